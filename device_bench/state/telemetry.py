"""Frozen state of a target at one moment: temperatures, clocks, power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from device_bench.result import check_reasons
from device_bench.state.android_text import Temperature


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Frequencies of one CPU, as the kernel's cpufreq tells them."""

    cpu: int
    governor: str | None
    now_khz: int | None
    min_khz: int | None
    max_khz: int | None
    """The limit set at present: thermal protection and battery saver lower it."""
    hardware_max_khz: int | None
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """A target before or after a run; what it does not tell is None, with the reason in `missing`."""

    thermal_status: int | None
    """Android's 0 (none) to 6 (shutdown); above 0 the system throttles."""
    temperatures: tuple[Temperature, ...] | None
    """Of Android's thermal service, or else of the kernel's zones."""
    battery_c: float | None
    battery_level: float | None
    """0..1."""
    battery_status: str | None
    """charging, discharging, not charging, full or unknown."""
    plugged: tuple[str, ...] | None
    """Of ac, usb, wireless, dock; empty when it runs from the battery."""
    screen_on: bool | None
    battery_saver: bool | None
    clocks: tuple[Clock, ...] | None
    load_1min: float | None
    """Processes that ran or wanted to, over the last minute."""
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)

    def hottest_c(self, kind: str) -> float | None:
        """The highest temperature of the sensors of one kind; None without one."""
        return max((row.celsius for row in self.temperatures or () if row.kind == kind), default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        values = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Telemetry:
        """Value from `to_json`'s form.

        Raises:
            KeyError, TypeError, ValueError: it is no telemetry.
        """
        temperatures, plugged, clocks = (value[name] for name in ("temperatures", "plugged", "clocks"))
        return cls(
            **{
                **value,
                "temperatures": None if temperatures is None else tuple(Temperature(**row) for row in temperatures),
                "plugged": None if plugged is None else tuple(plugged),
                "clocks": None if clocks is None else tuple(Clock(**row) for row in clocks),
            }
        )
