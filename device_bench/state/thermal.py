"""Heat: how a target is now, whether it slowed itself down, and the wait until it is cool."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from device_bench.state.android_text import (
    STATUS_NAMES,
    Battery,
    parse_battery,
    parse_thermal_service,
    parse_wakefulness,
)
from device_bench.state.linux_text import name_cpus, parse_path_lines, parse_zones
from device_bench.state.questions import Answer, Findings, ask, clean
from device_bench.state.telemetry import Clock, Telemetry
from device_bench.target import Target
from models.worker import Progress, Report

_CPUS = "/sys/devices/system/cpu"
_ZONES = "/sys/class/thermal"
_LOOK_EVERY_S = 10.0

_QUESTIONS = {
    "thermal": "dumpsys thermalservice",
    "battery": "dumpsys battery",
    # The whole dump is long, and only one line counts.
    "power": "command -v dumpsys >/dev/null || exit 127; dumpsys power | grep mWakefulness=",
    "saver": "settings get global low_power",
    "clocks": f"c={_CPUS}; grep . /dev/null $c/cpu[0-9]*/cpufreq/scaling_*_freq $c/cpu[0-9]*/cpufreq/cpuinfo_max_freq"
    " $c/cpu[0-9]*/cpufreq/scaling_governor; exit 0",
    "zones": f"z={_ZONES}; grep . /dev/null $z/thermal_zone*/type $z/thermal_zone*/temp; exit 0",
    "load": "cat /proc/loadavg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How warm a target may be when a measurement begins; Android's thermal status must be 0 in any case."""

    battery_c: float = 37.0
    """What react-native-executorch asks of its phones: the battery follows the whole phone's heat by minutes, and a
    phone at rest on a charger stays below."""
    skin_c: float = 37.0
    """Phones report status 1 from about 38 °C on; a run that begins right below would be throttled before it ends."""
    zone_c: float = 70.0
    """Of boards without a thermal service: their kernels throttle from 80 to 85 °C on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooling:
    """How the wait for a cool target ended."""

    outcome: Literal["cool", "gave_up", "unknown"]
    """unknown: the target tells nothing about heat, and nobody waited."""
    waited_s: float
    reasons: tuple[str, ...]
    """What was still too warm, or why nothing is known; empty if it is cool."""
    telemetry: Telemetry
    """The last look."""


def read_telemetry(target: Target) -> Telemetry:
    """The state of a target now, in one round trip.

    Raises:
        DeviceError: the target did not answer.
    """
    answers = ask(target, _QUESTIONS)
    found = Findings()
    _read_temperatures(found, answers)
    _read_battery(found, answers["battery"])
    found.read("screen_on", answers["power"], _is_screen_on, "dumpsys power")
    # A phone whose owner never touched the switch says null, and Android's default is off.
    saver = {"0": False, "null": False, "1": True}
    found.read("battery_saver", answers["saver"], lambda text: saver.get(text.strip()), "settings")
    clocks = _clocks(parse_path_lines(answers["clocks"].text))
    found.put("clocks", clocks or None, f"no readable {_CPUS}/cpu*/cpufreq")
    found.read("load_1min", answers["load"], _load, "/proc/loadavg")
    return Telemetry(**found.values, missing=found.missing)


def throttled(before: Telemetry, after: Telemetry, *, fixed_performance: bool = False) -> tuple[str, ...]:
    """What says that the target slowed itself down around a run; empty if nothing does.

    Args:
        before: State right before the run.
        after: State right after it.
        fixed_performance: Android's fixed-performance mode was on: it lowers the clocks by design, so only a limit
            that changed during the run counts.
    """
    reasons = list(_status_reasons(before.thermal_status, after.thermal_status))
    if before.battery_saver or after.battery_saver:
        reasons.append("the battery saver is on")
    earlier = {clock.cpu: clock for clock in before.clocks or ()}
    later = {clock.cpu: clock for clock in after.clocks or ()}
    if gone := tuple(sorted(set(earlier) - set(later))) if later else ():
        reasons.append(f"switched off in the course of the run: {name_cpus(gone)}")
    for when, clocks in (("before", earlier), ("after", later)) if not fixed_performance else ():
        limits = {cpu: (clock.max_khz, clock.hardware_max_khz) for cpu, clock in clocks.items()}
        reasons += _limited(limits, f"{when} the run")
    fell = {cpu: (later[cpu].max_khz, clock.max_khz) for cpu, clock in earlier.items() if cpu in later}
    reasons += _limited(fell, "in the course of the run")
    return tuple(reasons)


def wait_until_cool(
    target: Target,
    limits: Limits,
    *,
    patience_s: float,
    report: Report,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Cooling:
    """Waits until the target is within the limits, at most `patience_s`, and says how that ended.

    Args:
        target: What is to cool down.
        limits: How cool.
        patience_s: 0 looks once.
        report: Hears of every look while waiting.
        sleep: Waits; may raise to end the wait.
        clock: Seconds.

    Raises:
        DeviceError: the target did not answer.
    """
    stage, total = f"cool down {target.name}"[:28], max(1, round(patience_s))
    started = clock()
    waited_s = 0.0
    while True:
        telemetry = read_telemetry(target)
        reasons = _too_warm(telemetry, limits)
        if reasons is None:
            why = (telemetry.missing["thermal_status"], telemetry.missing["battery_c"])
            return Cooling(outcome="unknown", waited_s=0.0, reasons=tuple(dict.fromkeys(why)), telemetry=telemetry)
        left_s = patience_s - (clock() - started)
        if not reasons or left_s <= 0:
            if waited_s:
                report(Progress(stage=stage, done=total, total=total, detail="; ".join(reasons) or "cool"))
            outcome: Literal["cool", "gave_up"] = "gave_up" if reasons else "cool"
            return Cooling(outcome=outcome, waited_s=waited_s, reasons=reasons, telemetry=telemetry)
        report(Progress(stage=stage, done=min(total - 1, int(waited_s)), total=total, detail="; ".join(reasons)))
        sleep(min(_LOOK_EVERY_S, left_s))
        waited_s = clock() - started


def _too_warm(telemetry: Telemetry, limits: Limits) -> tuple[str, ...] | None:
    """What is above its limit; None if nothing that has one is known."""
    status, battery, skin = telemetry.thermal_status, telemetry.battery_c, telemetry.hottest_c("skin")
    # Where the system judges the heat itself, single zones of unknown meaning do not count.
    zone = telemetry.hottest_c("zone") if status is None else None
    if status is None and battery is None and skin is None and zone is None:
        return None
    pairs = (
        ("battery", battery, limits.battery_c),
        ("skin", skin, limits.skin_c),
        ("hottest zone", zone, limits.zone_c),
    )
    warm = [f"{what} {now:.1f} °C, allowed {most:.1f}" for what, now, most in pairs if now is not None and now > most]
    return tuple([f"thermal status {_status(status)}", *warm] if status else warm)


def _read_temperatures(found: Findings, answers: Mapping[str, Answer]) -> None:
    refusal = answers["thermal"].refusal("dumpsys thermalservice")
    service = None if refusal else parse_thermal_service(answers["thermal"].text)
    faked = "somebody set it by hand; `cmd thermalservice reset` undoes that"
    status = service.status if service and not service.faked else None
    reason = refusal or (faked if service and service.faked else "dumpsys thermalservice does not tell")
    found.put("thermal_status", status, reason)
    sensors = service.temperatures if service else None
    zones = parse_zones(parse_path_lines(answers["zones"].text))
    found.put(
        "temperatures", sensors or zones or None, f"{refusal or 'no current temperatures'}, and no zone in {_ZONES}"
    )


def _read_battery(found: Findings, answer: Answer) -> None:
    refusal = answer.refusal("dumpsys battery")
    battery: Battery | None = None if refusal else parse_battery(answer.text)
    if battery and battery.faked:
        battery, refusal = None, "somebody set it by hand; `dumpsys battery reset` undoes that"
    reason = refusal or "dumpsys battery does not tell"
    found.put("battery_c", battery and battery.temperature_c, reason)
    found.put("battery_level", battery and battery.level, reason)
    found.put("battery_status", battery and battery.status, reason)
    found.put("plugged", battery.plugged if battery else None, reason)


def _is_screen_on(text: str) -> bool | None:
    state = parse_wakefulness(text)
    return None if state is None else state in ("Awake", "Dreaming")


def _load(text: str) -> float | None:
    found = re.match(r"\s*([0-9]{1,6}\.[0-9]{1,4})\s", text)
    return float(found[1]) if found else None


def _clocks(files: Mapping[str, str]) -> tuple[Clock, ...]:
    by_cpu: dict[int, dict[str, str]] = {}
    for path, value in files.items():
        match = re.fullmatch(rf"{_CPUS}/cpu([0-9]{{1,4}})/cpufreq/([a-z_]{{1,40}})", path)
        if match:
            by_cpu.setdefault(int(match[1]), {})[match[2]] = value
    return tuple(_clock(cpu, by_cpu[cpu]) for cpu in sorted(by_cpu))


def _clock(cpu: int, files: Mapping[str, str]) -> Clock:
    found = Findings()
    found.put("governor", clean(files.get("scaling_governor", ""), longest=40) or None, "no readable scaling_governor")
    names = {"now": "scaling_cur_freq", "min": "scaling_min_freq", "max": "scaling_max_freq"}
    for name, file in {**names, "hardware_max": "cpuinfo_max_freq"}.items():
        text = files.get(file, "")
        khz = int(text) if re.fullmatch("[1-9][0-9]{0,8}", text) else None
        found.put(f"{name}_khz", khz, f"{file} is {text!r}" if text else f"no readable {file}")
    return Clock(cpu=cpu, **found.values, missing=found.missing)


def _status_reasons(before: int | None, after: int | None) -> tuple[str, ...]:
    if before is not None and after is not None and after > before:
        return (f"thermal status rose from {_status(before)} to {_status(after)}",)
    worst = max(before or 0, after or 0)
    return (f"thermal status was {_status(worst)}",) if worst else ()


def _limited(limits: Mapping[int, tuple[int | None, int | None]], when: str) -> list[str]:
    """A sentence for each group of CPUs whose first clock is below the second."""
    groups: dict[tuple[int, int], list[int]] = {}
    for cpu, (now, full) in sorted(limits.items()):
        if now is not None and full is not None and now < full:
            groups.setdefault((now, full), []).append(cpu)
    return [
        f"{name_cpus(tuple(cpus))} limited to {now / 1000:.0f} of {full / 1000:.0f} MHz {when}"
        for (now, full), cpus in groups.items()
    ]


def _status(number: int) -> str:
    return f"{number} ({STATUS_NAMES[number]})"
