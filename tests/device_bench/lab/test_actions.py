from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from device_bench.lab.actions import ACTIONS, Action, read_action
from device_bench.lab.devices import lookup
from device_bench.lab.guest import Guest, Order
from device_bench.lab.relay import Relay
from models.errors import UnknownNameError, UsageError


def test_a_device_knows_every_action_and_no_other(tmp_path: Path) -> None:
    async def actions() -> frozenset[str]:
        with socket.socket() as listener:
            return Guest(tmp_path, lookup("good"), Relay(listener, ("127.0.0.1", 1))).actions

    assert asyncio.run(actions()) == set(ACTIONS)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["drop"], None),
        (["rate", "5000"], 5000),
        (["rate", "none"], None),
        (["temperature", "45.5"], 45.5),
        (["thermal-status", "6"], 6),
        (["property", "ro.x=a=b c"], ["ro.x", "a=b c"]),
        (["data", "noexec"], "noexec"),
        (["disk", "4194304"], 4194304),
    ],
)
def test_an_action_is_read_from_words(words: list[str], value: Any) -> None:
    assert read_action(words[0], words[1:]) == (words[0], value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["drop", "now"], r"the lab action drop takes no argument, and got \['now'\]"),
        (["rate"], r"the lab action rate takes one argument, BYTES_PER_S\|none, and got \[\]"),
        (["rate", "fast"], r"is 'fast'; allowed: a whole number from 100 to 10000000000, or none$"),
        (["rate", "٣٣٣"], r"allowed: a whole number from 100"),
        (
            ["thermal-status", "7"],
            r"0\.\.6 of the lab action thermal-status is '7'; allowed: a whole number from 0 to 6",
        ),
        (["temperature", "nan"], r"is 'nan'; allowed: 0 to 999\.9, one decimal$"),
        (["data", "rw,suid"], r"is 'rw,suid'; allowed: rw, ro, exec or noexec$"),
        (["property", "a=b\nc=d"], r"allowed: NAME=VALUE, on one line$"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_action(words[0], words[1:])


def test_an_unknown_action_gets_the_nearest_offered() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown lab action 'stal'; did you mean stall"):
        read_action("stal", [])


@pytest.mark.parametrize("name", ["good", "readonly", "amd64"])
def test_an_order_survives_its_way_to_the_guest(name: str) -> None:
    order = Order(spec=lookup(name), lower="/l", place="/p", emulator=None, listener=3, control=4, ready=5)
    assert Order.from_json(order.to_json()) == order


def test_help_lists_every_action_with_its_argument() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "device_bench", "lab", "control", "--help"],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    for action in ACTIONS.values():
        assert any(line.split() == [*action_words(action), *action.about.split()] for line in said.splitlines())


def action_words(action: Action) -> list[str]:
    return [action.name, *([action.argument] if action.argument else [])]
