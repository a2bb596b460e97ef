"""`verify-bundle`: a bundle from anywhere, proven to be whole, to load, and to compute what it should."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from export.commands.options import CODES
from models.cli import inert, progress_display, result_console


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    verify = commands.add_parser(
        "verify-bundle",
        help="re-compute all that a bundle states: hashes, metadata, golden vectors",
        description="Trusts nothing in the bundle: it is unpacked within bounds, and its own programs are not run.",
        epilog=CODES,
    )
    verify.add_argument("bundle", type=Path, metavar="DIR|ZIP")
    verify.add_argument("--json", action="store_true", help="print the checks as JSON")
    verify.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verifies a bundle; the first difference is the error's message."""
    # These imports take a moment.
    from export.bundle.verify import verify_bundle
    from models.files import format_json

    with progress_display() as report:
        checks = verify_bundle(arguments.bundle, report)
    if arguments.json:
        print(format_json({"bundle": str(arguments.bundle), "checks": list(checks), "passed": True}), end="")
        return 0
    console = result_console()
    for check in checks:
        console.print(f"[green]ok[/]  {inert(check)}", highlight=False, soft_wrap=True)
    console.print(f"passed: {inert(arguments.bundle)}", highlight=False, soft_wrap=True)
    return 0
