"""What `adb devices -l` lists, and which of it is meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import DeviceError, UnknownNameError, UnreachableError, UsageError

_HEADER = "List of devices attached"
# State -> what helps. Only `device` can be used.
_PROBLEMS = {
    "offline": "it does not answer; plug it in again, or switch USB debugging off and on",
    "unauthorized": "unlock its screen and accept `Allow USB debugging?`",
    "authorizing": "it is still authorizing; wait a moment and run the same command again",
    "connecting": "it is still connecting; wait a moment and run the same command again",
    "no permissions": "this user may not open it; install Android's udev rules, join the group plugdev, log in again",
    "recovery": "it is in recovery mode; start Android on it",
    "sideload": "it waits for an update; start Android on it",
    "rescue": "it is in rescue mode; start Android on it",
    "bootloader": "it is in the bootloader; start Android on it",
    "host": "it is the host side of a connection, no device; choose another",
    "detached": "adb has released it; run `adb attach`",
}
# adb pads the serial with blanks; a state may hold blanks, and some serials do. A line that the table does not know is
# cut at its first blank.
_STATES = "|".join(["device", *_PROBLEMS])
_LINE = re.compile(rf"(?P<serial>\S.*?)\s+(?P<state>{_STATES})(?P<rest>(?:[ ;(].*)?)")
_OTHER = re.compile(r"(?P<serial>\S+)\s+(?P<state>\S+)(?P<rest>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One line of the list."""

    serial: str
    state: str
    product: str | None
    model: str | None
    transport_id: int | None

    @property
    def problem(self) -> str | None:
        """Why it cannot be used, and what helps; None if it can."""
        if self.state == "device":
            return None
        return f"{self.state}: {_PROBLEMS.get(self.state, 'plug it in again')}"

    def __str__(self) -> str:
        parts = (self.serial, self.model and f"({self.model})", self.problem)
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a selection means."""

    devices: tuple[Device, ...]
    """To be measured, at least one."""
    unusable: tuple[Device, ...] = ()
    """Attached and meant, but they cannot be used now."""


def parse_devices(text: str) -> tuple[Device, ...]:
    """The devices in the output of `adb devices -l`.

    Raises:
        DeviceError: it is no such list.
    """
    lines = [line.strip() for line in text.splitlines()]
    if _HEADER not in lines:
        shown = " ".join(text.split())[:200]
        raise DeviceError(
            f"`adb devices -l` printed no list but {shown!r}; run it by hand to see what ails adb", transient=True
        )
    # Old versions print their daemon's start-up (`* daemon started successfully`) on the same stream.
    entries = [line for line in lines[lines.index(_HEADER) + 1 :] if line and not line.startswith("* ")]
    return tuple(_device(line) for line in entries)


def _device(line: str) -> Device:
    found = _LINE.fullmatch(line) or _OTHER.fullmatch(line)
    if not found:
        raise DeviceError(f"`adb devices -l` printed the line {line[:200]!r}; run it by hand to see what ails adb")
    facts = dict(re.findall(r"(?<!\S)(product|model|transport_id):(\S+)", found["rest"]))
    number = facts.get("transport_id", "")
    return Device(
        serial=found["serial"],
        state=found["state"],
        product=facts.get("product"),
        model=facts.get("model"),
        transport_id=int(number) if number.isdecimal() else None,
    )


def choose_devices(devices: Sequence[Device], selection: str | None) -> Choice:
    """The devices that a selection means: nothing (the only usable one), `all`, or serials with commas between them.

    Raises:
        UsageError: no selection, and several can be used.
        UnknownNameError: no such serial.
        UnreachableError: none is attached, or one that was named cannot be used.
    """
    usable = tuple(device for device in devices if not device.problem)
    unusable = tuple(device for device in devices if device.problem)
    if selection is not None and selection != "all":
        return Choice(devices=_named(devices, selection))
    if not devices:
        raise UnreachableError(
            "no device is attached to adb; plug in a phone with USB debugging on, or give host:port of one on the "
            "network; `make lab` gives an emulated one"
        )
    if not usable:
        raise UnreachableError(f"no attached device can be used: {_listed(unusable)}")
    if selection is None and len(usable) > 1:
        raise UsageError(f"{len(usable)} devices are attached: {_listed(usable)}; choose with a serial or `all`")
    _check_unique(usable)
    return Choice(devices=usable, unusable=unusable)


def _named(devices: Sequence[Device], selection: str) -> tuple[Device, ...]:
    serials = list(dict.fromkeys(serial for serial in selection.split(",") if serial))
    if not serials:
        raise UsageError(f"{selection!r} names no device; give a serial, several with commas between them, or `all`")
    chosen: list[Device] = []
    for serial in serials:
        found = [device for device in devices if device.serial == serial]
        if not found:
            raise UnknownNameError("device", serial, {device.serial for device in devices}, see="see `adb devices -l`")
        chosen += found
    _check_unique(chosen)
    if unusable := [device for device in chosen if device.problem]:
        raise UnreachableError(f"cannot use {_listed(unusable)}")
    return tuple(chosen)


def _check_unique(devices: Sequence[Device]) -> None:
    serials = [device.serial for device in devices]
    if twice := sorted({serial for serial in serials if serials.count(serial) > 1}):
        raise UsageError(f"two devices have the serial {twice[0]!r}, adb cannot tell them apart; unplug one")


def _listed(devices: Sequence[Device]) -> str:
    return ", ".join(map(str, devices))
