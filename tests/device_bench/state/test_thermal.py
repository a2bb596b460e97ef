from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.state.android_text import Temperature
from device_bench.state.telemetry import Clock, Telemetry
from device_bench.state.thermal import Cooling, Limits, read_telemetry, throttled, wait_until_cool
from device_bench.target import Finished, Target
from models.errors import DeviceError
from models.worker import Progress
from tests.device_bench.fake_targets import KINDS, ShellTarget, TableTarget, make_root
from tests.device_bench.phone_texts import BATTERY, THERMAL

PHONE = {"thermal": THERMAL, "battery": BATTERY}


def warm(status: int = 0, *, skin_c: float = 33.5, battery_c: float = 31.2) -> dict[str, str]:
    thermal = THERMAL.replace("Thermal Status: 0", f"Thermal Status: {status}").replace(
        "mValue=33.5", f"mValue={skin_c}"
    )
    return {"thermal": thermal, "battery": BATTERY.replace("312", str(round(battery_c * 10)))}


def zones(*values: str) -> str:
    folder = "/sys/class/thermal/thermal_zone"
    return "".join(f"{folder}{n}/type:zone{n}\n{folder}{n}/temp:{value}\n" for n, value in enumerate(values))


def make_clock(cpu: int, max_khz: int | None = 2400000, hardware_max_khz: int | None = 2400000) -> Clock:
    values = {"max_khz": max_khz, "hardware_max_khz": hardware_max_khz}
    missing = {name: "?" for name, value in values.items() if value is None}
    return Clock(
        cpu=cpu, governor="g", now_khz=1, min_khz=1, max_khz=max_khz, hardware_max_khz=hardware_max_khz, missing=missing
    )


def make_telemetry(status: int | None = 0, *clocks: Clock, saver: bool = False) -> Telemetry:
    missing = (
        {"load_1min": "?"} | ({} if clocks else {"clocks": "?"}) | ({"thermal_status": "?"} if status is None else {})
    )
    return Telemetry(
        thermal_status=status, temperatures=(), battery_c=30.0, battery_level=0.5, battery_status="full", plugged=(),
        screen_on=True, battery_saver=saver, clocks=clocks or None, load_1min=None, missing=missing,
    )  # fmt: skip


class CoolingTarget(TableTarget):
    """Answers each look from the next table; the last one stays."""

    def __init__(self, *looks: dict[str, str]) -> None:
        super().__init__(looks[0])
        self.looks = list(looks)

    def shell(self, script: str, *, timeout_s: float = 15.0) -> Finished:
        self.answers = dict(self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])
        return super().shell(script, timeout_s=timeout_s)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds

    def clock(self) -> float:
        return self.now_s


def wait(
    target: Target, *, patience_s: float = 60.0, limits: Limits | None = None
) -> tuple[Cooling, list[float], list[Progress]]:
    time, said = Time(), list[Progress]()
    cooling = wait_until_cool(
        target, limits or Limits(), patience_s=patience_s, report=said.append, sleep=time.sleep, clock=time.clock
    )
    return cooling, time.slept, said


@pytest.fixture(params=KINDS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> ShellTarget:
    return ShellTarget(*make_root(tmp_path, request.param))


# Reading


def test_a_phone_tells_all_in_one_round_trip(shell: ShellTarget) -> None:
    shell.root.phone()
    telemetry = read_telemetry(shell)
    assert len(shell.scripts) == 1
    assert telemetry.missing == {}
    assert telemetry.thermal_status == 0
    assert telemetry.hottest_c("cpu") == 44.8
    assert (telemetry.battery_c, telemetry.battery_level, telemetry.battery_status) == (31.2, 0.8, "charging")
    assert telemetry.plugged == ("usb",)
    assert (telemetry.screen_on, telemetry.battery_saver, telemetry.load_1min) == (False, False, 1.25)
    assert telemetry.clocks is not None
    assert [clock.cpu for clock in telemetry.clocks] == list(range(8))
    clock = telemetry.clocks[4]
    assert (clock.governor, clock.now_khz, clock.min_khz) == ("schedutil", 1113600, 300000)
    assert (clock.max_khz, clock.hardware_max_khz, clock.missing) == (2419200, 2419200, {})


def test_a_board_tells_its_zones_and_why_not_the_rest(shell: ShellTarget) -> None:
    shell.root.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    shell.root.write("sys/class/thermal/thermal_zone0/temp", "48312\n")
    (shell.root.folder / "sys/class/thermal/thermal_zone1/temp").mkdir(parents=True)
    telemetry = read_telemetry(shell)
    assert telemetry.temperatures == (Temperature(name="cpu-thermal", kind="zone", celsius=48.312),)
    assert telemetry.missing["thermal_status"] == "no dumpsys thermalservice on this target"
    assert telemetry.missing["battery_c"] == "no dumpsys battery on this target"
    assert telemetry.missing["screen_on"] == "no dumpsys power on this target"
    assert telemetry.missing["battery_saver"] == "no settings on this target"
    assert telemetry.missing["clocks"] == "no readable /sys/devices/system/cpu/cpu*/cpufreq"


def test_a_target_that_tells_nothing_has_a_reason_for_everything() -> None:
    telemetry = read_telemetry(TableTarget({}))
    assert len(telemetry.missing) == 10
    assert all(telemetry.missing.values())


def test_values_that_somebody_set_by_hand_are_not_taken() -> None:
    faked = {
        "thermal": THERMAL.replace("Override: false", "Override: true"),
        "battery": BATTERY.replace("state:\n", "state:\n  (UPDATES STOPPED -- use 'reset' to restart)\n"),
    }
    telemetry = read_telemetry(TableTarget(faked))
    assert telemetry.missing["thermal_status"] == "somebody set it by hand; `cmd thermalservice reset` undoes that"
    assert telemetry.missing["battery_c"] == "somebody set it by hand; `dumpsys battery reset` undoes that"
    assert telemetry.hottest_c("skin") == 33.5


def test_zones_stand_in_where_the_thermal_service_has_no_temperatures() -> None:
    text = THERMAL[: THERMAL.index("HAL Ready")] + "HAL Ready: false\n"
    telemetry = read_telemetry(TableTarget({"thermal": text, "zones": zones("45000")}))
    assert (telemetry.thermal_status, telemetry.hottest_c("zone")) == (0, 45.0)


def test_a_dump_that_was_cut_is_not_read() -> None:
    telemetry = read_telemetry(TableTarget({"thermal": (THERMAL, None), "battery": (BATTERY[:-1], None)}))
    assert telemetry.missing["thermal_status"] == "dumpsys thermalservice printed more than was asked for"
    assert telemetry.battery_level is None


@pytest.mark.parametrize(("text", "saver"), [("1\n", True), ("0\n", False), ("null\n", False), ("maybe\n", None)])
def test_the_battery_saver_is_on_off_or_unknown(text: str, saver: bool | None) -> None:
    assert read_telemetry(TableTarget({"saver": text})).battery_saver is saver


def test_odd_clocks_are_unknown_with_their_reason() -> None:
    text = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq:<unknown>\n"
    telemetry = read_telemetry(TableTarget({"clocks": text}))
    assert telemetry.clocks is not None
    assert telemetry.clocks[0].missing == {
        "governor": "no readable scaling_governor",
        "now_khz": "scaling_cur_freq is '<unknown>'",
        "min_khz": "no readable scaling_min_freq",
        "max_khz": "no readable scaling_max_freq",
        "hardware_max_khz": "no readable cpuinfo_max_freq",
    }


# Throttling


def test_nothing_that_changed_is_no_throttling() -> None:
    calm = make_telemetry(0, make_clock(0))
    assert throttled(calm, replace(calm, battery_c=35.0)) == ()


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        (0, 1, ("thermal status rose from 0 (none) to 1 (light)",)),
        (1, 3, ("thermal status rose from 1 (light) to 3 (severe)",)),
        (2, 2, ("thermal status was 2 (moderate)",)),
        (2, 0, ("thermal status was 2 (moderate)",)),
        (None, 1, ("thermal status was 1 (light)",)),
        (None, None, ()),
    ],
)
def test_a_thermal_status_above_zero_at_either_end_is_throttling(
    before: int | None, after: int | None, reasons: tuple[str, ...]
) -> None:
    assert throttled(make_telemetry(before), make_telemetry(after)) == reasons


def test_a_limit_below_the_hardwares_is_throttling_told_once_per_group() -> None:
    limited = make_telemetry(0, make_clock(0), make_clock(4, 1800000), make_clock(5, 1800000), make_clock(7, 1200000))
    free = make_telemetry(0, *(make_clock(cpu) for cpu in (0, 4, 5, 7)))
    assert throttled(limited, free) == (
        "CPUs 4-5 limited to 1800 of 2400 MHz before the run",
        "CPU 7 limited to 1200 of 2400 MHz before the run",
    )
    assert throttled(free, limited)[-1] == "CPU 7 limited to 1200 of 2400 MHz in the course of the run"


def test_in_fixed_performance_mode_only_a_limit_that_falls_is_throttling() -> None:
    fixed, fallen = make_telemetry(0, make_clock(0, 1800000)), make_telemetry(0, make_clock(0, 1200000))
    assert throttled(fixed, fixed, fixed_performance=True) == ()
    assert throttled(fixed, fallen, fixed_performance=True) == (
        "CPU 0 limited to 1200 of 1800 MHz in the course of the run",
    )


def test_cpus_that_vanish_and_the_battery_saver_are_told() -> None:
    both, one = make_telemetry(0, make_clock(0), make_clock(7)), make_telemetry(0, make_clock(0), saver=True)
    assert throttled(both, one) == ("the battery saver is on", "switched off in the course of the run: CPU 7")


def test_clocks_that_nobody_knows_accuse_nobody() -> None:
    known, unknown = make_telemetry(0, make_clock(0, 1200000, None)), make_telemetry(0)
    assert throttled(known, unknown) == throttled(unknown, known) == throttled(unknown, unknown) == ()


# The gate


def test_a_cool_phone_passes_at_once_and_hands_over_what_was_seen() -> None:
    target = CoolingTarget(PHONE)
    cooling, slept, said = wait(target)
    assert (cooling.outcome, cooling.waited_s, cooling.reasons) == ("cool", 0.0, ())
    assert cooling.telemetry == read_telemetry(TableTarget(PHONE))
    assert (target.asked, slept, said) == (1, [], [])


def test_a_warm_phone_is_waited_for_and_the_wait_is_told() -> None:
    cooling, slept, said = wait(CoolingTarget(warm(1, battery_c=39.0), warm(battery_c=37.4), PHONE))
    assert (cooling.outcome, cooling.waited_s, slept) == ("cool", 20.0, [10.0, 10.0])
    assert [(row.done, row.total) for row in said] == [(0, 60), (10, 60), (60, 60)]
    assert [row.detail for row in said] == [
        "thermal status 1 (light); battery 39.0 °C, allowed 37.0",
        "battery 37.4 °C, allowed 37.0",
        "cool",
    ]


def test_patience_ends_and_what_was_too_warm_is_told() -> None:
    cooling, slept, said = wait(CoolingTarget(warm(skin_c=41.0)), patience_s=25.0)
    assert (cooling.outcome, cooling.waited_s, slept) == ("gave_up", 25.0, [10.0, 10.0, 5.0])
    assert cooling.reasons == ("skin 41.0 °C, allowed 37.0",)
    assert said[-1].done == said[-1].total == 25


def test_without_patience_a_warm_phone_is_looked_at_once() -> None:
    target = CoolingTarget(warm(2))
    cooling, slept, _ = wait(target, patience_s=0)
    assert (cooling.outcome, cooling.reasons, slept, target.asked) == (
        "gave_up",
        ("thermal status 2 (moderate)",),
        [],
        1,
    )


def test_a_target_that_tells_nothing_about_heat_is_unknown_and_not_waited_for() -> None:
    cooling, slept, said = wait(CoolingTarget({}))
    assert (cooling.outcome, slept, said) == ("unknown", [], [])
    assert cooling.reasons == (
        "no dumpsys thermalservice on this target",
        "no dumpsys battery on this target",
    )


@pytest.mark.parametrize(("value", "outcome"), [("69900", "cool"), ("70100", "gave_up"), ("85", "gave_up")])
def test_a_board_is_judged_by_its_hottest_zone(value: str, outcome: str) -> None:
    cooling, _, _ = wait(CoolingTarget({"zones": zones("30000", value)}), patience_s=0)
    assert cooling.outcome == outcome


def test_zones_do_not_count_where_android_judges() -> None:
    text = THERMAL[: THERMAL.index("HAL Ready")] + "HAL Ready: false\n"
    cooling, _, _ = wait(CoolingTarget({"thermal": text, "zones": zones("95000")}), patience_s=0)
    assert cooling.outcome == "cool"


def test_limits_are_the_callers() -> None:
    assert wait(CoolingTarget(PHONE), patience_s=0, limits=Limits(battery_c=31.0))[0].outcome == "gave_up"
    assert wait(CoolingTarget(warm(skin_c=41.0)), limits=Limits(skin_c=42.0))[0].outcome == "cool"


def test_a_connection_lost_while_waiting_ends_the_wait() -> None:
    target = CoolingTarget(warm(1))
    target.unanswered = {"thermal"}
    with pytest.raises(DeviceError):
        wait(target)


def test_an_interruption_ends_the_wait() -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_until_cool(CoolingTarget(warm(1)), Limits(), patience_s=60, report=lambda _: None, sleep=interrupt)
