"""`parity`: an export's files in MediaPipe's own ImageClassifier, beside our verification."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.commands.options import CODES
from models.cli import at_least_one, inert, progress_display, result_console

if TYPE_CHECKING:
    from export.parity import Comparison


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    parity = commands.add_parser(
        "parity",
        help="classify the test pictures with MediaPipe too, and say how accurate it is with its own resize",
        description="Writes parity.json into the folder. MediaPipe runs in a process without connections: it would "
        "report its use to its maker.",
        epilog=CODES,
    )
    parity.add_argument("folder", type=Path, metavar="DIR", help="what `make export` made: build/<model>-<weights>")
    parity.add_argument("--dataset", metavar="NAME|DIR", help="where the manifest's name for it is not enough")
    parity.add_argument("--images", type=at_least_one, default=1000, metavar="N", help="at most (default: %(default)s)")
    parity.add_argument("--json", action="store_true", help="print the comparisons as JSON")
    parity.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compares, writes `parity.json`, and shows a table."""
    # These imports take a moment.
    from export.parity import PARITY_FILE, measure_parity
    from models.files import format_json, write_file

    with progress_display() as report:
        found = measure_parity(arguments.folder, arguments.dataset, arguments.images, report)
    text = format_json({"schema": 1, "comparisons": [comparison.to_json() for comparison in found]})
    write_file(arguments.folder / PARITY_FILE, text.encode())
    if arguments.json:
        print(text, end="")
    else:
        _print_table(found)
    return 0 if all(comparison.passed for comparison in found) else 1


def _print_table(found: tuple[Comparison, ...]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("file", no_wrap=True)
    table.add_column("pictures", no_wrap=True)
    for heading in ("ours", "MediaPipe", "drop, points (95 %)", "agree", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found:
        low, high = (100 * bound for bound in row.drop_ci95)
        table.add_row(
            inert(row.file),
            row.way,
            f"{row.top1:.2%}",
            f"{row.mediapipe_top1:.2%}",
            f"{100 * (row.top1 - row.mediapipe_top1):.2f} ({low:.2f} to {high:.2f})",
            f"{row.agreement:.2%}",
            "measured" if row.check is None else "[green]passed[/]" if row.check.passed else "[red]FAILED[/]",
        )
    console = result_console()
    console.print(table)
    if any(row.smaller for row in found):
        console.print("Pictures smaller than the input: MediaPipe moves them as it enlarges; see docs/metadata.md.")
