"""`list`: all networks of the zoo."""

from __future__ import annotations

import argparse
import json
from typing import Any

from models.catalogue import describe_row, format_millions, format_top1
from models.cli import result_console
from models.zoo import MODELS


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    listing = commands.add_parser("list", help="all networks with parameters, mult-adds and published accuracy")
    listing.add_argument("--json", action="store_true", help="print JSON instead of a table")
    listing.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the zoo."""
    rows = [describe_row(spec) for spec in MODELS.values()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    from rich.table import Table

    table = Table(title="Networks (1000 classes, VGG 10; top-1 on ImageNet as published)", title_justify="left")
    for heading in ("name", "parameters", "mult-adds", "top-1", ""):
        table.add_column(heading, justify="left" if heading == "name" else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["name"],
            format_millions(row["parameters"], 2),
            format_millions(row["mult_adds"], 0),
            format_top1(row["published_top1"]),
            "*" if row["imagenet_weights"] else "",
        )
    result_console().print(table, "* released weights: --weights imagenet", sep="\n", highlight=False)
    return 0
