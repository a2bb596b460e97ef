"""`recipes`: the ways to train."""

from __future__ import annotations

import argparse
import json
from typing import Any

from models.cli import inert, result_console
from models.training.recipes import RECIPES


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    recipes = commands.add_parser("recipes", help="the ways to train, and where they come from")
    recipes.add_argument("--json", action="store_true", help="print JSON with all settings instead of a table")
    recipes.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the ways to train."""
    if arguments.json:
        print(json.dumps([recipe.to_json() for recipe in RECIPES.values()], indent=2))
        return 0
    from rich.table import Table

    table = Table(title="Recipes (--recipe)", title_justify="left", show_lines=True)
    for heading in ("name", "epochs", "batch", "what and whence"):
        table.add_column(heading, justify="right" if heading in ("epochs", "batch") else "left")
    for recipe in RECIPES.values():
        epochs = "by cost" if recipe.epochs is None else str(recipe.epochs)
        table.add_row(
            recipe.name, epochs, str(recipe.batch), f"{inert(recipe.summary)}\n[dim]{inert(recipe.source)}[/]"
        )
    result_console().print(table)
    return 0
