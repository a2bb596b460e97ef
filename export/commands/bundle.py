"""`bundle`: what an app developer receives, proven before it is published."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from export.commands.options import CODES, add_export_options, check_export_options, export_request
from export.precision import PRECISIONS, Precision, select_precisions
from models.cli import inert, progress_display, result_console, words
from models.errors import UsageError

if TYPE_CHECKING:
    from export.bundle.build import Bundled

DEFAULT = ("int8", "float16")
"""What phones run fast: int8 on the CPU, from a camera's bytes; float16 on the GPU, which computes so anyway, in half
the size of float32 and with the same accuracy. float32 itself is for comparing."""


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    names = [row.name for row in PRECISIONS.values() if row.format == "tflite"]
    bundle = commands.add_parser(
        "bundle",
        help="one folder and zip for app developers: models, labels, snippets, golden vectors, model card",
        description="Takes the proven files of the export, which is made now if need be, and adds what an app needs.",
        epilog=CODES,
    )
    add_export_options(bundle)
    bundle.add_argument(
        "--precision",
        type=words,
        default=DEFAULT,
        metavar="NAMES",
        help=f"comma separated, of {', '.join(names)} (default: {','.join(DEFAULT)}: phone CPUs and phone GPUs)",
    )
    bundle.add_argument("--format", type=words, metavar="NAMES", help="tflite, which is all that a bundle holds")
    bundle.add_argument("--purpose", metavar="TEXT", help="what the classifier is for; for the model card")
    bundle.add_argument("--json", action="store_true", help="print paths and checks as JSON")
    bundle.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Builds the bundle and says what to do with it."""
    labels = check_export_options(arguments)
    if others := [name for name in arguments.format or () if name != "tflite"]:
        raise UsageError(
            f"a bundle holds TFLite files only, not {others[0]}: its golden vectors, snippets and page are for them; "
            "leave the format out, and take other files from the folder that `make export` makes"
        )
    precisions = _in_order_given(arguments.precision or DEFAULT)
    # Not before the names are known to be good: these imports take a moment.
    from export.bundle.build import BundleRequest, build_bundle
    from models.files import format_json

    with progress_display() as report:
        request = export_request(arguments, precisions, labels, report)
        bundled = build_bundle(BundleRequest(export=request, purpose=arguments.purpose), report)
    if arguments.json:
        value = {
            "folder": str(bundled.folder),
            "archive": str(bundled.archive),
            "models": list(bundled.models),
            "checks": list(bundled.checks),
            "problems": list(bundled.problems),
        }
        print(format_json(value), end="")
    else:
        print_summary(bundled)
    return 0


def _in_order_given(names: tuple[str, ...]) -> tuple[Precision, ...]:
    """The rows asked for, the first one first: it leads the bundle's first page."""
    rows = {row.name: row for row in select_precisions(names, ("tflite",))}
    return tuple(rows[name] for name in dict.fromkeys(names))


def print_summary(bundled: Bundled) -> None:
    """What was proven, where it is, and what to send to whom."""
    console = result_console()

    def line(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    for check in bundled.checks:
        line(f"[green]ok[/]      {inert(check)}")
    for problem in bundled.problems:
        line(f"[yellow]left out[/] {inert(problem)}")
    archive = inert(shlex.quote(str(bundled.archive)))
    line(f"bundle:  {inert(bundled.folder)}/")
    line(f"send:    {archive}")
    line("to:      Android, iOS and web developers; they begin with README.md and run python verify_bundle.py")
    line("         product, legal, data protection; they read model_card.md")
    line(f"check:   .venv/bin/python -m export verify-bundle {archive}")
    line(f"sign:    minisign -Sm {archive} (docs/app-developers.md)")
