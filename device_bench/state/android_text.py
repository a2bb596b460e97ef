"""Texts of Android's own tools read without guessing: `getprop`, `dumpsys battery`, `dumpsys thermalservice`.

Formats: AOSP's BatteryService and ThermalManagerService, as dumped by Android 10 and later.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from device_bench.state.questions import clean

STATUS_NAMES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Of thermal status 0 to 6 (android.os.PowerManager)."""

_KINDS = {0: "cpu", 1: "gpu", 2: "battery", 3: "skin", 4: "usb_port", 5: "power_amplifier", 9: "npu", 10: "tpu"}
"""android.os.Temperature's types."""
_NOT_TEMPERATURES = {6, 7, 8}
"""Battery current limiter: volts, amperes and percent in the same list."""
_CHARGING = {1: "unknown", 2: "charging", 3: "discharging", 4: "not charging", 5: "full"}
_MOST_SENSORS = 256

_TEMPERATURE = re.compile(
    r"\s*Temperature\{mValue=(-?[0-9.]{1,12}), mType=(-?[0-9]{1,4}), mName=(.*), mStatus=(-?[0-9]{1,3})\}\s*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """One sensor."""

    name: str
    kind: str
    """cpu, gpu, battery, skin, …; `zone` for one that the kernel names and nobody has classified."""
    celsius: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """`dumpsys battery`; what it does not tell is None."""

    temperature_c: float | None
    level: float | None
    """0..1."""
    status: str | None
    plugged: tuple[str, ...] | None
    """Of ac, usb, wireless, dock; empty when it runs from the battery."""
    faked: bool
    """Somebody set these values by hand (`dumpsys battery set`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalService:
    """`dumpsys thermalservice`."""

    status: int | None
    """0..6 (`STATUS_NAMES`)."""
    faked: bool
    """Somebody set the status by hand (`cmd thermalservice override-status`)."""
    temperatures: tuple[Temperature, ...] | None
    """As the sensors are now; None if the hardware layer is not ready or not asked."""


def parse_properties(text: str) -> dict[str, str | None]:
    """Values of `getprop`'s lines `[key]: [value]` by key; None where one key has two different values.

    A value may hold line ends: it ends with `]` at the end of a line before the next `[` or the end.
    """
    values: dict[str, str | None] = {}
    key = ""
    parts: list[str] = []
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines):
        if not parts:
            key, found, value = line.partition("]: [")
            if not (found and key.startswith("[")):
                continue
            key, parts = key[1:], [value]
        else:
            parts.append(line)
        last = number + 1 == len(lines) or lines[number + 1].startswith("[")
        if line.endswith("]") and last:
            whole = "\n".join(parts)[:-1]
            values[key] = whole if values.get(key, whole) == whole else None
            parts = []
    return values


def parse_battery(text: str) -> Battery | None:
    """The first state in the dump; None if there is none. Vendors append logs that repeat its words."""
    _, found, rest = text.partition("Current Battery Service state:")
    if not found:
        return None
    fields: dict[str, str] = {}
    faked = False
    for line in rest.split("\n")[1:]:
        if line[:1] not in (" ", "\t"):
            break
        faked = faked or "UPDATES STOPPED" in line
        name, separator, value = line.strip().partition(": ")
        if separator:
            fields.setdefault(name, value)
    level, scale = (_integer(fields.get(name)) for name in ("level", "scale"))
    known = level is not None and scale is not None and 0 <= level <= scale and scale > 0
    tenths = _integer(fields.get("temperature"))
    sources = [(name.split()[0].lower(), value) for name, value in fields.items() if name.endswith(" powered")]
    return Battery(
        temperature_c=None if tenths is None or not is_plausible(tenths / 10) else tenths / 10,
        level=level / scale if known and level is not None and scale else None,
        status=_CHARGING.get(_integer(fields.get("status")) or 0),
        plugged=tuple(clean(name, longest=20) for name, value in sources if value == "true") if sources else None,
        faked=faked,
    )


def parse_thermal_service(text: str) -> ThermalService | None:
    """Status and current temperatures; None if the text is no dump of the service.

    The block `Cached temperatures` is as old as the last event and is not read.
    """
    status = re.search(r"^\s*Thermal Status: ([0-9]{1,3})\s*$", text, re.MULTILINE)
    if not status:
        return None
    number = int(status[1])
    return ThermalService(
        status=number if number < len(STATUS_NAMES) else None,
        faked=bool(re.search(r"^\s*IsStatusOverride: true\s*$", text, re.MULTILINE)),
        temperatures=_current_temperatures(text),
    )


def parse_wakefulness(text: str) -> str | None:
    """Awake, Dreaming, Dozing or Asleep, from `dumpsys power`; None if it does not tell."""
    found = re.search(r"^\s*mWakefulness=(Awake|Dreaming|Dozing|Asleep)\s*$", text, re.MULTILINE)
    return found[1] if found else None


def is_plausible(celsius: float) -> bool:
    """Whether a sensor can mean it: absent ones read exactly 0, -40, -99.9, -273 or nonsense."""
    return math.isfinite(celsius) and -40 < celsius < 200 and celsius != 0


def _current_temperatures(text: str) -> tuple[Temperature, ...] | None:
    lines = iter(text.split("\n"))
    if not any(line.strip() == "Current temperatures from HAL:" for line in lines):
        return None
    found: list[Temperature] = []
    for line in lines:
        match = _TEMPERATURE.fullmatch(line)
        if not match or len(found) == _MOST_SENSORS:
            break
        try:
            celsius, kind = float(match[1]), int(match[2])
        except ValueError:
            continue
        if kind not in _NOT_TEMPERATURES and is_plausible(celsius):
            name = clean(match[3], longest=60)
            found.append(Temperature(name=name, kind=_KINDS.get(kind, "other"), celsius=celsius))
    return tuple(found)


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,9}", text.strip()) else None
