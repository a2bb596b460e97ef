"""`python -m models`: list the networks, take one apart, train one; look at data sets."""

from __future__ import annotations

from models import cli
from models.commands import data, info, listing, recipes, table, train


def make_parser() -> cli.Parser:
    """The command line."""
    parser = cli.Parser(prog=".venv/bin/python -m models", description="The networks of the zoo, and their training.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (listing, info, table, recipes, train, data):
        command.add_options(commands)
    return parser


def main() -> int:
    """Runs the command asked for."""
    arguments = make_parser().parse_args()
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    cli.run(main)
