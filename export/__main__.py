"""`python -m export`: turn a network into verified TFLite and ONNX files."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from export.precision import FORMATS, PRECISIONS, select_precisions
from models.cli import Parser, at_least_one, inert, one_line, progress_display, result_console, run, seed, words
from models.labels import read_labels
from models.presets import PRESETS
from models.zoo import lookup

if TYPE_CHECKING:
    from export.artifact import Artifact
    from export.pipeline import Exported


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    names = list(dict.fromkeys(row.name for row in PRECISIONS.values()))
    codes = "exit codes: 0 all passed, 1 a check failed, 2 bad input"
    parser = Parser(
        prog="python -m export", description="Turns a network into verified TFLite and ONNX files.", epilog=codes
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    export = commands.add_parser("run", help="train if need be, convert, calibrate, verify", epilog=codes)
    export.add_argument(
        "--model",
        required=True,
        metavar="NAME|PATH.keras",
        help="a name from `python -m models list`, or a classifier of your own, of stock Keras layers",
    )
    export.add_argument(
        "--preprocessing",
        metavar="PRESET|PATH.json",
        help=f"of your own network: {', '.join(PRESETS)}, or a file with mean and std in grey levels",
    )
    export.add_argument(
        "--labels", type=Path, metavar="FILE", help="class names, one per line (default: the data set's)"
    )
    export.add_argument(
        "--weights",
        default="auto",
        metavar="auto|random|imagenet|PATH",
        help="auto: this machine's training run of model and data set, trained now if there is none; random: "
        "untrained, for latency; imagenet: released weights of MobileNetV1, V2 and V3 for ImageNet's 1000 classes, "
        "which need --dataset DIR with pictures of some of them; PATH: a .keras checkpoint (default: %(default)s)",
    )
    export.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|DIR",
        help="to train, calibrate and verify: digits, shapes, cifar10, or a folder of pictures; imagenet:DIR is a "
        "folder whose class folders are some of ImageNet's classes (default: %(default)s)",
    )
    export.add_argument(
        "--allow-broken", action="store_true", help="leave out any number of broken files of the folder"
    )
    export.add_argument(
        "--precision",
        type=words,
        metavar="NAMES",
        help=f"comma separated, of {', '.join(names)} (default: all but int16x8)",
    )
    export.add_argument(
        "--format", type=words, metavar="NAMES", help=f"comma separated, of {', '.join(FORMATS)} (default: both)"
    )
    export.add_argument(
        "--calibration-images",
        type=at_least_one,
        default=128,
        metavar="N",
        help="size of the representative data set (default: %(default)s)",
    )
    export.add_argument(
        "--seed",
        type=seed,
        default=0,
        help="chooses the calibration images, and starts a training (default: %(default)s)",
    )
    export.add_argument(
        "--output",
        choices=("probabilities", "logits"),
        default="probabilities",
        help="what the files compute (default: %(default)s)",
    )
    export.add_argument("--author", metavar="TEXT", help="whoever answers for the files; written into every .tflite")
    export.add_argument("--license", metavar="TEXT", help="what they may be used under; written into every .tflite")
    export.add_argument(
        "--build-dir", type=Path, default=Path("build"), metavar="DIR", help="where results go (default: %(default)s)"
    )
    export.add_argument("--json", action="store_true", help="print the manifest instead of a table")
    show = commands.add_parser("show", help="what is in a .tflite file: tensors, operators, metadata, class names")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--json", action="store_true", help="all of it, as JSON")
    return parser.parse_args()


def run_export(arguments: argparse.Namespace) -> int:
    """The main job."""
    if not arguments.model.endswith(".keras"):
        lookup(arguments.model)
    precisions = select_precisions(arguments.precision, arguments.format)
    labels = read_labels(arguments.labels) if arguments.labels else None
    # Not before the names are known to be good: these imports take a moment.
    from export.pipeline import ExportRequest, export_model
    from models.data import allowing_broken, dataset_loader
    from models.files import format_json
    from models.given import find_model

    dataset = allowing_broken(arguments.dataset, arguments.allow_broken)
    dataset_loader(dataset)
    with progress_display() as report:
        request = ExportRequest(
            spec=find_model(arguments.model, arguments.preprocessing, arguments.weights, report),
            dataset=dataset,
            weights=arguments.weights,
            precisions=precisions,
            calibration_images=arguments.calibration_images,
            seed=arguments.seed,
            output=arguments.output,
            build_dir=arguments.build_dir,
            labels=labels,
            author=arguments.author,
            license=arguments.license,
        )
        exported = export_model(request, report)
    if arguments.json:
        print(format_json(exported.manifest.to_json()), end="")
    else:
        print_summary(exported)
    return 0 if exported.passed else 1


def print_summary(exported: Exported) -> None:
    """The table a person reads, then where the files are and what to do next."""
    from rich.table import Table

    manifest, console = exported.manifest, result_console()
    weights = manifest.weights
    accuracy = f"Keras float top-1 {weights['top1']:.2%} on {weights['images']} test images"
    title = f"{manifest.model['name']} ({weights['source']}): {accuracy}"
    # The common start of all names stands in the heading: with it in each row, 80 columns would not do.
    prefix = f"{manifest.model['name']}-"
    table = Table(title=inert(title), title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0))
    table.add_column(inert(prefix), no_wrap=True)
    for heading in ("size", "ratio", "top-1", "drop, points (95 %)", "agree", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    full = {a.format: a.size_bytes for a in manifest.artifacts if a.precision == "float32"}
    for artifact in manifest.artifacts:
        ratio = f"{artifact.size_bytes / full[artifact.format]:.0%}" if artifact.format in full else "-"
        table.add_row(
            artifact.file.removeprefix(prefix), f"{artifact.size_bytes / 1e6:.2f} MB", ratio, *format_verdict(artifact)
        )
    console.print(table)
    for artifact in manifest.artifacts:
        for reason in failures(artifact):
            console.print(f"[red]failed[/] {artifact.file}: {inert(reason)}", highlight=False, soft_wrap=True)
    for what, reason in manifest.failures.items():
        console.print(f"[red]not made[/] {what}: {inert(reason)}", highlight=False, soft_wrap=True)
    console.print(
        f"files: {inert(exported.folder / prefix)}*, manifest.json, labels.txt", highlight=False, soft_wrap=True
    )
    if exported.removed:
        console.print(f"removed (made by other settings): {', '.join(exported.removed)}", soft_wrap=True)
    good = [a.file for a in manifest.artifacts if a.passed and a.format == "tflite"]
    pick = next((file for file in good if file.endswith("-int8.tflite")), next(iter(good), None))
    if pick:
        console.print(
            f"next:  adb push {inert(shlex.quote(str(exported.folder / pick)))} /data/local/tmp/",
            highlight=False,
            soft_wrap=True,
        )


def format_verdict(artifact: Artifact) -> tuple[str, str, str, str]:
    """Top-1, drop, agreement and mark of one artifact."""
    verdict = artifact.verification
    mark = "[green]passed[/]" if artifact.passed else "[red]FAILED[/]"
    if verdict is None:
        return "-", "-", "-", mark
    low, high = (100 * bound for bound in verdict.top1_drop_ci95)
    drop = f"{100 * verdict.top1_drop:.2f} ({low:.2f} to {high:.2f})"
    return f"{verdict.top1:.2%}", drop, f"{verdict.top1_agreement:.2%}", mark


def failures(artifact: Artifact) -> list[str]:
    """What an artifact failed at, in words."""
    if artifact.verification is None:
        return [artifact.failure or "not verified"]
    return [
        check.detail or f"{check.name} is {check.value}, the limit is {check.limit}"
        for check in artifact.verification.checks
        if not check.passed
    ]


def run_show(arguments: argparse.Namespace) -> int:
    """Looks into a file."""
    from export.show import format_facts, read_facts

    facts = read_facts(arguments.file)
    if arguments.json:
        # In ASCII: what a hostile file holds must not steer the terminal.
        print(json.dumps(facts.to_json(), indent=2, allow_nan=False))
    else:
        for line in format_facts(arguments.file, facts):
            print(one_line(line))
    return 0


def main() -> int:
    """Runs the command asked for."""
    arguments = parse_arguments()
    return {"run": run_export, "show": run_show}[arguments.command](arguments)


if __name__ == "__main__":
    run(main)
