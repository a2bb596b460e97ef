"""`python -m device_bench`: measure on phones and boards, and read the outputs of benchmark runners."""

from __future__ import annotations

from device_bench.commands import (
    baseline,
    bench,
    cleanup,
    compare,
    completion,
    devices,
    doctor,
    history,
    lab,
    parse,
    pick,
    report,
)
from models.cli import Parser, run


def make_parser() -> Parser:
    """The command line."""
    codes = "exit codes: 0 all passed, 1 a check failed, 2 bad input, 3 a device or its connection failed"
    parser = Parser(
        prog=".venv/bin/python -m device_bench",
        description="Measures exported files on phones and boards, and proves that they compute right there.",
        epilog=codes,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (bench, baseline, report, pick, compare, history, devices, lab, cleanup, doctor, completion, parse):
        command.add_options(commands)
    return parser


def main() -> int:
    """Runs the command asked for."""
    arguments = make_parser().parse_args()
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    run(main)
