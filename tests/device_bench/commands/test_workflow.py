"""The example for GitHub Actions says what our command lines take."""

import re
import shlex
from pathlib import Path

import pytest

from device_bench.__main__ import make_parser
from models.zoo import lookup

WORKFLOW = Path(__file__).parents[3] / "docs" / "workflows" / "latency-gate.yml"
TEXT = WORKFLOW.read_text("utf-8")
ENVIRONMENT = dict(re.findall(r"^  ([A-Z]+): (\S+)$", TEXT, re.MULTILINE))
COMMANDS = re.findall(r"\.venv/bin/python -m device_bench (.*)$", TEXT, re.MULTILINE)


def test_the_example_measures_twice_and_compares() -> None:
    assert [command.split()[0] for command in COMMANDS] == ["bench", "bench", "compare"]
    assert COMMANDS[0] == COMMANDS[1]
    lookup(ENVIRONMENT["MODEL"])


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_understood(command: str) -> None:
    words = [ENVIRONMENT.get(word.removeprefix("$"), word) for word in shlex.split(command)]
    assert not [word for word in words if word.startswith("$")]
    arguments = make_parser().parse_args(words)
    if arguments.command == "bench":
        assert (arguments.model, arguments.repeats, arguments.aa) == (ENVIRONMENT["MODEL"], 10, True)
    else:
        assert (arguments.old, arguments.new) == (Path("../base/build"), Path("build"))
        assert arguments.max_regression == 0.05
