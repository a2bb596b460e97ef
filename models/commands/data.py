"""`data`: what is in a data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from models.cli import progress_display, result_console


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    data = commands.add_parser("data", help="what is in a data set: classes, splits, broken files, a contact sheet")
    data.add_argument("dataset", metavar="NAME|DIR", help="digits, shapes, cifar10, or a folder of pictures")
    data.add_argument("--allow-broken", action="store_true", help="any number of files of the folder may be broken")
    data.add_argument(
        "--sheet", type=Path, metavar="FILE", help="where the picture goes (default: BUILD/data/NAME.png)"
    )
    data.add_argument("--build-dir", type=Path, default=Path("build"), metavar="BUILD", help="default: %(default)s")
    data.add_argument("--json", action="store_true", help="print JSON instead of a table")
    data.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints what is in a data set, and draws a contact sheet."""
    from models.data import allowing_broken
    from models.data.overview import format_overview, show_dataset

    dataset = allowing_broken(arguments.dataset, arguments.allow_broken)
    with progress_display() as report:
        overview = show_dataset(dataset, report, arguments.build_dir, arguments.sheet)
    if arguments.json:
        print(json.dumps(overview.to_json(), indent=2))
    else:
        result_console().print(*format_overview(overview), sep="\n", highlight=False, soft_wrap=True)
    if overview.failure:
        raise overview.failure
    return 0
