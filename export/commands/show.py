"""`show`: what is in a .tflite file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from models.cli import one_line


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    show = commands.add_parser("show", help="what is in a .tflite file: tensors, operators, metadata, class names")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--json", action="store_true", help="all of it, as JSON")
    show.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
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
