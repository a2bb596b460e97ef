"""`python -m export`: turn a network into verified TFLite and ONNX files, and into a bundle for app developers."""

from __future__ import annotations

from export.commands import bundle, diagnose, parity, run, show, verify_bundle
from export.commands.options import CODES
from models import cli


def make_parser() -> cli.Parser:
    """The command line."""
    parser = cli.Parser(
        prog=".venv/bin/python -m export",
        description="Turns a network into verified TFLite and ONNX files.",
        epilog=CODES,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (run, bundle, verify_bundle, show, parity, diagnose):
        command.add_options(commands)
    return parser


def main() -> int:
    """Runs the command asked for."""
    arguments = make_parser().parse_args()
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    cli.run(main)
