"""`completion`: what a shell needs to complete our command lines; `complete`: what it then asks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import device_bench.completion

SHELLS = ("bash", "zsh", "fish")
ROOT = Path(__file__).resolve().parents[2]
"""The clone."""


def add_options(commands: Any) -> None:
    """The command line."""
    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete targets, options, models on TAB",
        description="Prints shell code that completes `make` and the three programs in this clone, model names and "
        'other values too. bash and zsh: eval "$(.venv/bin/python -m device_bench completion bash)"; fish: '
        ".venv/bin/python -m device_bench completion fish | source",
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(run=print_script)
    # Without help, so that no list shows it: only the shell asks.
    complete = commands.add_parser("complete", description="Prints the words that may end a command line.")
    complete.add_argument("line", metavar="LINE", help="what is typed before the cursor")
    complete.set_defaults(run=print_words)


def print_script(arguments: argparse.Namespace) -> int:
    """Prints the shell's code."""
    print(Path(device_bench.completion.__file__).with_name(f"{arguments.shell}.sh").read_text("utf-8"), end="")
    return 0


def print_words(arguments: argparse.Namespace) -> int:
    """Prints one word per line."""
    from device_bench.completion.line import complete_line

    for word in complete_line(arguments.line, ROOT):
        print(word)
    return 0
