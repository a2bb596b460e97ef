"""What can be done to a device that is up. A new fault is a row here and a line in `guest.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import UnknownNameError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One control of a device."""

    name: str
    about: str
    argument: str | None = None
    """How usage calls it; None: there is no argument."""
    read: Callable[[str], Any] = str
    """The argument's value; raises ValueError."""


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def _or_none(read: Callable[[str], int]) -> Callable[[str], int | None]:
    def read_or_none(text: str) -> int | None:
        try:
            return None if text == "none" else read(text)
        except ValueError as error:
            raise ValueError(f"{error}, or none") from None

    return read_or_none


def _temperature(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9])?", text):
        raise ValueError("0 to 999.9, one decimal")
    return float(text)


def _property(text: str) -> list[str]:
    found = re.fullmatch(r"([\w.-]{1,90})=([^\n]{0,90})", text)
    if not found:
        raise ValueError("NAME=VALUE, on one line")
    return [found[1], found[2]]


def _mode(text: str) -> str:
    if text not in {"rw", "ro", "exec", "noexec"}:
        raise ValueError("rw, ro, exec or noexec")
    return text


_ROWS = (
    Action(name="drop", about="lose every open connection"),
    Action(name="stall", about="let nothing through, connections stay open"),
    Action(name="unstall", about="let everything through again"),
    Action(name="refuse", about="refuse connections, drop the open ones"),
    Action(name="accept", about="accept connections again"),
    Action(name="rate", about="limit the connection", argument="BYTES_PER_S|none", read=_or_none(_whole(100, 10**10))),
    Action(name="kill-adbd", about="end adbd at once"),
    Action(name="start-adbd", about="start adbd again"),
    Action(name="stop-adbd", about="freeze adbd"),
    Action(name="continue-adbd", about="thaw adbd"),
    Action(name="disk", about="change the size of /data", argument="BYTES", read=_whole(2**16, 2**40)),
    Action(name="data", about="change how /data is mounted", argument="rw|ro|exec|noexec", read=_mode),
    Action(
        name="memory",
        about="kill programs that use more memory, as Android's low memory killer does",
        argument="BYTES|none",
        read=_or_none(_whole(2**20, 2**40)),
    ),
    Action(name="temperature", about="set all sensors and the battery", argument="CELSIUS", read=_temperature),
    Action(name="thermal-status", about="set the throttling status", argument="0..6", read=_whole(0, 6)),
    Action(
        name="max-frequency",
        about="throttle the CPUs",
        argument="KHZ|none",
        read=_or_none(_whole(1, 10**8)),
    ),
    Action(name="property", about="set what getprop answers", argument="NAME=VALUE", read=_property),
    Action(name="phone", about="what commands on the device have set"),
    Action(name="ps", about="the programs that run on the device"),
    Action(name="status", about="the state of link and adbd"),
)

ACTIONS: Mapping[str, Action] = {action.name: action for action in _ROWS}


def read_action(name: str, arguments: Sequence[str]) -> tuple[str, Any]:
    """Name and value of an action given in words.

    Raises:
        UnknownNameError: there is no such action.
        UsageError: too many or too few arguments, or one that does not fit.
    """
    if name not in ACTIONS:
        raise UnknownNameError("lab action", name, ACTIONS)
    action = ACTIONS[name]
    if len(arguments) != (action.argument is not None):
        wanted = f"one argument, {action.argument}" if action.argument else "no argument"
        raise UsageError(f"the lab action {name} takes {wanted}, and got {list(arguments)}")
    if action.argument is None:
        return name, None
    try:
        return name, action.read(arguments[0])
    except ValueError as error:
        raise UsageError(f"{action.argument} of the lab action {name} is {arguments[0]!r}; allowed: {error}") from None
