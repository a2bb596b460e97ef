"""`run`: train if need be, convert, calibrate, verify."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.budget.wanted import check_budget
from export.commands.options import CODES, add_export_options, check_export_options, export_request
from export.precision import FORMATS, PRECISIONS, select_precisions
from models.cli import inert, make_command, progress_display, result_console, words

if TYPE_CHECKING:
    from export.artifact import Artifact
    from export.budget.rungs import Climbed
    from export.request import Exported, ExportRequest


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    names = list(dict.fromkeys(row.name for row in PRECISIONS.values()))
    export = commands.add_parser("run", help="train if need be, convert, calibrate, verify", epilog=CODES)
    add_export_options(export)
    export.add_argument(
        "--precision",
        type=words,
        metavar="NAMES",
        help=f"comma separated, of {', '.join(names)} (default: all but int8_mixed and int16x8)",
    )
    export.add_argument(
        "--format", type=words, metavar="NAMES", help=f"comma separated, of {', '.join(FORMATS)} (default: both)"
    )
    export.add_argument(
        "--max-drop",
        type=points,
        metavar="POINTS",
        help="what 8-bit files may lose of the top-1 accuracy, in points of percent, with 95 %% confidence: tries the "
        "levers of --quantization, cheapest first, then float islands, until that is proven",
    )
    export.add_argument(
        "--allow-qat",
        action="store_true",
        help="of --max-drop: where nothing else serves, train for int8 too (`make train QAT=1`), minutes to hours",
    )
    export.add_argument("--json", action="store_true", help="print the manifest instead of a table")
    export.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The main job."""
    labels = check_export_options(arguments)
    precisions = select_precisions(arguments.precision, arguments.format)
    check_budget(
        arguments.max_drop,
        arguments.quantization,
        precisions,
        arguments.weights,
        allow_qat=arguments.allow_qat,
        own=arguments.model.endswith(".keras"),
    )
    # Not before the names are known to be good: these imports take a moment.
    from export.pipeline import export_model
    from models.files import format_json

    with progress_display() as report:
        request = export_request(arguments, precisions, labels, report)
        request = replace(request, max_drop=arguments.max_drop, allow_qat=arguments.allow_qat)
        exported = export_model(request, report)
    if arguments.json:
        print(format_json(exported.manifest.to_json()), end="")
    else:
        print_summary(exported)
        command = diagnosis_command(exported.manifest.artifacts, arguments.model, request)
        if command:
            result_console().print(f"why:   {inert(command)}", highlight=False, soft_wrap=True)
    return 0 if exported.passed else 1


LEAST_POINTS = 1e-6
"""A budget below it takes more pictures to prove than there are."""


def points(text: str) -> float:
    """Points of percent as a share.

    Raises:
        ArgumentTypeError: no number above 0 and below 100.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not LEAST_POINTS <= value < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of points above 0 and below 100, such as 0.5")
    return value / 100


def print_summary(exported: Exported) -> None:
    """The table a person reads, then where the files are and what to do next."""
    from rich.table import Table

    manifest, console = exported.manifest, result_console()
    if exported.climbed:
        print_ladder(exported.climbed)
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
    best = [file for end in ("int8", "int8_mixed", "int8_npu") for file in good if file.endswith(f"-{end}.tflite")]
    pick = next(iter([*best, *good]), None)
    if pick:
        console.print(
            f"next:  adb push {inert(shlex.quote(str(exported.folder / pick)))} /data/local/tmp/",
            highlight=False,
            soft_wrap=True,
        )


def diagnosis_command(artifacts: Sequence[Artifact], model: str, request: ExportRequest) -> str | None:
    """What to type to learn why an integer TFLite file failed; None where none did, or make cannot find it."""
    failed = {artifact.precision for artifact in artifacts if artifact.format == "tflite" and not artifact.passed}
    precision = next((name for name in ("int8", "int8_npu", "int16x8") if name in failed), None)
    # make knows one build folder only.
    if precision is None or request.build_dir != Path("build"):
        return None
    more = [f"PRECISION={precision}"] if precision != "int8" else []
    return make_command("diagnose", model, *more, weights=request.weights, dataset=request.dataset)


def print_ladder(climbed: Climbed) -> None:
    """The rungs that were tried, the one that was taken, and what to do where none serves."""
    from rich.table import Table

    console, budget = result_console(), 100 * climbed.max_drop
    table = Table(
        title=f"int8 within {budget:g} points", title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0)
    )
    table.add_column("rung", no_wrap=True)
    for heading in ("size", "latency", "top-1", "drop, points (95 %)", "agree", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in climbed.tried:
        low, high = (100 * bound for bound in result.drop_ci95)
        mark = "[green]taken[/]" if result.name == climbed.taken.name and climbed.met else ""
        table.add_row(
            result.name,
            f"{result.size_bytes / 1e6:.2f} MB",
            f"{result.relative_latency:.2f}x",
            f"{result.top1:.2%}",
            f"{100 * result.drop:.2f} ({low:.2f} to {high:.2f})",
            f"{result.agreement:.2%}",
            mark,
        )
    console.print(table)
    console.print("latency: of the float32 file's, on this machine's CPU, one thread; phones differ", highlight=False)
    if not climbed.met:
        console.print(
            f"[red]no rung is proven to keep {budget:g} points[/]; {climbed.taken.name} comes nearest, and is made:",
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


def _rounded(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def failures(artifact: Artifact) -> list[str]:
    """What an artifact failed at, in words."""
    if artifact.verification is None:
        return [artifact.failure or "not verified"]
    return [
        check.detail or f"{check.name} is {_rounded(check.value)}, the limit is {check.limit}"
        for check in artifact.verification.checks
        if not check.passed
    ]
