"""`table`: the zoo as a page of the documentation."""

from __future__ import annotations

import argparse
from typing import Any

from models.catalogue import format_page


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    commands.add_parser("table", help="all networks as Markdown: docs/models.md").set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Prints `docs/models.md`."""
    print(format_page(), end="")
    return 0
