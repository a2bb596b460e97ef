"""`diagnose`: why an int8 file is worse than its float file, and what to try next."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.cli import at_least_one, inert, progress_display, result_console
from models.errors import UsageError
from models.presets import PRESETS
from models.zoo import lookup

if TYPE_CHECKING:
    from export.diagnosis.values import Diagnosis

CODES = "exit codes: 0 healthy, 1 a cause was found, 2 bad input"
PRECISIONS = ("int8", "int8_npu", "int16x8")
PAGE_FILE, JSON_FILE = "diagnosis.html", "diagnosis.json"


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    diagnose = commands.add_parser(
        "diagnose",
        help="why an int8 file is worse than its float file, and what to try next",
        description="Compares the float32 and the int8 TFLite file of an export, tensor by tensor and picture by "
        f"picture, and writes {PAGE_FILE} and {JSON_FILE} beside them.",
        epilog=CODES,
    )
    diagnose.add_argument(
        "model",
        metavar="MODEL",
        help="what `make export` was given: a name or path/to/model.keras; or the folder that it made",
    )
    diagnose.add_argument(
        "--weights",
        default="auto",
        metavar="auto|qat|random|imagenet|PATH",
        help="as for the export (default: %(default)s)",
    )
    diagnose.add_argument(
        "--dataset", metavar="NAME|DIR", help="as for the export (default: digits; of a folder: its manifest's)"
    )
    diagnose.add_argument(
        "--preprocessing", metavar="PRESET|PATH.json", help=f"as for the export: {', '.join(PRESETS)}; for the commands"
    )
    diagnose.add_argument(
        "--precision", choices=PRECISIONS, default="int8", help="the file to examine (default: %(default)s)"
    )
    diagnose.add_argument(
        "--images", type=at_least_one, default=2000, metavar="N", help="test pictures, at most (default: %(default)s)"
    )
    diagnose.add_argument(
        "--layer-images",
        type=at_least_one,
        default=32,
        metavar="N",
        help="test pictures on which all tensors are compared, at most (default: %(default)s)",
    )
    diagnose.add_argument(
        "--build-dir", type=Path, default=Path("build"), metavar="DIR", help="where exports are (default: %(default)s)"
    )
    diagnose.add_argument("--json", action="store_true", help="print the diagnosis as JSON")
    diagnose.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examines, writes page and JSON, and says what was found."""
    folder, words = _find(arguments)
    # These imports take a moment.
    from export.diagnosis.examine import Sizes, diagnose
    from export.diagnosis.page import format_page
    from export.diagnosis.subject import open_subject
    from models.files import format_json, write_file
    from models.worker import run_in_worker

    subject = open_subject(folder, arguments.precision, arguments.dataset, words)
    sizes = Sizes(test=arguments.images, layers=arguments.layer_images)
    with progress_display() as report:
        found: Diagnosis = run_in_worker(diagnose, subject, sizes, report=report)
    text = format_json(found.to_json())
    write_file(folder / JSON_FILE, text.encode())
    write_file(folder / PAGE_FILE, format_page(found).encode("utf-8", "replace"))
    if arguments.json:
        print(text, end="")
    else:
        _print(found, folder)
    return 0 if found.healthy else 1


def _find(arguments: argparse.Namespace) -> tuple[Path, tuple[str, ...]]:
    """The export's folder, and the words of `make` that name it.

    Raises:
        UnknownNameError: no such network, no such data set.
    """
    from models.checkpoint import run_folder
    from models.data import dataset_slug
    from models.spec import OWN
    from models.weights import AUTO, weights_source

    given, weights = arguments.model, arguments.weights
    if Path(given).is_dir():
        return Path(given), ()
    if "/" in given and not given.endswith(".keras"):
        raise UsageError(f"{given} is no folder; give the one that `make export` made, build/<model>-<weights>")
    options = [("DATASET", arguments.dataset), ("PREPROCESSING", arguments.preprocessing)]
    more = tuple(f"{name}={value}" for name, value in options if value)
    if given.endswith(".keras"):
        return run_folder(arguments.build_dir, Path(given).stem, OWN), (f"MODEL={given}", *more)
    name = lookup(given).name
    slug = dataset_slug(arguments.dataset or "digits")
    source = weights_source(weights, slug)
    chosen = () if weights == AUTO else (f"WEIGHTS={weights}",)
    return run_folder(arguments.build_dir, name, source), (f"MODEL={name}", *chosen, *more)


def _print(found: Diagnosis, folder: Path) -> None:
    """Verdict, evidence and the command to try next."""
    console = result_console()

    def line(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    accuracy, confidence = found.accuracy, found.confidence
    low, high = (100 * bound for bound in accuracy.drop_ci95)
    line(
        f"{inert(found.model)} ({inert(found.weights)}) {found.precision}: top-1 {accuracy.float_top1:.2%} float, "
        f"{accuracy.int8_top1:.2%} {found.precision} on {accuracy.images} test pictures"
    )
    line(
        f"drop {100 * (accuracy.float_top1 - accuracy.int8_top1):.2f} points ({low:.2f} to {high:.2f}), same class "
        f"named {accuracy.agreement:.2%}, ECE {confidence.float_ece:.2%} to {confidence.int8_ece:.2%}"
    )
    losing = [r for r in found.activations if r.loss_db is not None][:3]
    line("most is lost in " + ", ".join(f"{inert(r.name)} ({r.loss_db:.1f} dB)" for r in losing) if losing else "")
    worse = [row for row in found.classes if row.regressed]
    if worse:
        line(f"classes that got worse: {', '.join(inert(row.name) for row in worse[:8])}")
    if found.healthy:
        line("[green]healthy[/]  no known cause of a loss fits")
    for finding in found.findings:
        line(f"[red]{finding.cause}[/]  {finding.title}")
        for fact in finding.evidence:
            line(f"  - {inert(fact)}")
    line(f"page:  {inert(folder / PAGE_FILE)}")
    if found.findings:
        line(f"next:  {inert(found.findings[0].command)}")
