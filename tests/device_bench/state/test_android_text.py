import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.state.android_text import (
    Battery,
    Temperature,
    is_plausible,
    parse_battery,
    parse_properties,
    parse_thermal_service,
    parse_wakefulness,
)
from tests.device_bench.phone_texts import BATTERY, GETPROP, POWER, THERMAL

# getprop


def test_properties_are_read_with_values_over_several_lines() -> None:
    values = parse_properties(GETPROP)
    assert len(values) == 19
    assert values["ro.product.model"] == "Phone 9 Pro"
    assert values["persist.sys.boot.reason.history"] == "reboot,ota,1763000000\nreboot,shell,1762000000"
    assert values["ro.board.platform"] == "lahaina"


def test_brackets_inside_of_a_value_belong_to_it() -> None:
    assert parse_properties("[a]: [x]: [y]\n[b]: [[1], [2]]\n[c]: []\n") == {"a": "x]: [y", "b": "[1], [2]", "c": ""}


def test_carriage_returns_of_old_shells_are_no_part_of_a_value() -> None:
    assert parse_properties("[a]: [1]\r\n[b]: [2]\r\n") == {"a": "1", "b": "2"}


def test_a_key_with_two_values_has_none() -> None:
    assert parse_properties("[a]: [1]\n[a]: [2]\n[b]: [3]\n[b]: [3]\n") == {"a": None, "b": "3"}


def test_a_value_without_end_and_lines_of_another_kind_are_no_properties() -> None:
    assert parse_properties("getprop: not found\n[a]: [1]\nnoise\n[b]: [cut off") == {}
    assert parse_properties("noise\n[a]: [1]\n[b]: [cut off") == {"a": "1"}
    assert parse_properties("") == {}


@given(st.dictionaries(st.from_regex(r"[a-z.]{1,12}", fullmatch=True), st.text("ab1 \n[]:", max_size=12), max_size=6))
def test_properties_survive_printing_unless_a_value_looks_like_a_line_end(values: dict[str, str]) -> None:
    # `]` at a line's end before a line that begins with `[` is where a value ends: nothing can tell otherwise.
    values = {key: value.replace("\n[", "\n").replace("]\n", "\n") for key, value in values.items()}
    text = "".join(f"[{key}]: [{value}]\n" for key, value in values.items())
    assert parse_properties(text) == values


@pytest.mark.parametrize("line", ["[a]: [", "[a]: [x\n", "]\n[", "[", "\n", "[a]: [b]\n"])
def test_half_a_megabyte_of_properties_takes_no_time(line: str) -> None:
    started = time.process_time()
    parse_properties(line * (500_000 // len(line)))
    assert time.process_time() - started < 2


# dumpsys battery


def test_the_battery_is_read_in_degrees_and_shares_and_later_logs_are_not() -> None:
    assert parse_battery(BATTERY) == Battery(
        temperature_c=31.2, level=0.8, status="charging", plugged=("usb",), faked=False
    )


def test_a_battery_set_by_hand_is_told() -> None:
    stopped = BATTERY.replace("state:\n", "state:\n  (UPDATES STOPPED -- use 'reset' to restart)\n")
    battery = parse_battery(stopped)
    assert battery is not None
    assert battery.faked


def test_what_the_battery_does_not_tell_is_unknown() -> None:
    assert parse_battery("Current Battery Service state:\n  present: false\n") == Battery(
        temperature_c=None, level=None, status=None, plugged=None, faked=False
    )
    assert parse_battery("Can't find service: battery\n") is None


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("temperature: 0", "temperature_c"),
        ("temperature: -2740", "temperature_c"),
        ("temperature: 99999999999", "temperature_c"),
        ("temperature: warm", "temperature_c"),
        ("level: 101", "level"),
        ("scale: 0", "level"),
        ("status: 9", "status"),
    ],
)
def test_impossible_values_of_the_battery_are_unknown(line: str, field: str) -> None:
    name = line.partition(":")[0]
    text = "\n".join(f"  {line}" if row.strip().startswith(f"{name}:") else row for row in BATTERY.split("\n"))
    battery = parse_battery(text)
    assert battery is not None
    assert getattr(battery, field) is None


# dumpsys thermalservice


def test_only_current_temperatures_count() -> None:
    service = parse_thermal_service(THERMAL)
    assert service is not None
    assert (service.status, service.faked) == (0, False)
    assert service.temperatures == (
        Temperature(name="AP", kind="cpu", celsius=44.8),
        Temperature(name="SKIN", kind="skin", celsius=33.5),
        Temperature(name="BATTERY", kind="battery", celsius=31.0),
    )


def test_spaces_instead_of_tabs_make_no_difference() -> None:
    assert parse_thermal_service(THERMAL.replace("\t", "  ")) == parse_thermal_service(THERMAL)


def test_without_a_ready_hal_there_are_no_temperatures_not_even_cached_ones() -> None:
    text = THERMAL[: THERMAL.index("HAL Ready")] + "HAL Ready: false\n"
    service = parse_thermal_service(text)
    assert service is not None
    assert service.temperatures is None
    assert service.status == 0


def test_an_overridden_status_is_told() -> None:
    service = parse_thermal_service(THERMAL.replace("IsStatusOverride: false", "IsStatusOverride: true"))
    assert service is not None
    assert service.faked


@pytest.mark.parametrize("text", ["", "Can't find service: thermalservice\n", "Thermal Status: hot\n"])
def test_a_text_of_another_kind_is_no_thermal_service(text: str) -> None:
    assert parse_thermal_service(text) is None


def test_a_status_beyond_shutdown_is_unknown() -> None:
    service = parse_thermal_service(THERMAL.replace("Thermal Status: 0", "Thermal Status: 7"))
    assert service is not None
    assert service.status is None


def test_hostile_sensors_are_bounded_and_cannot_steer_a_terminal() -> None:
    rows = "\tTemperature{mValue=40.0, mType=0, mName=\x1b[2J" + "x" * 500 + ", mStatus=0}\n"
    bad = "\tTemperature{mValue=1.2.3, mType=0, mName=AP, mStatus=0}\n"
    text = THERMAL.replace("from HAL:\n", "from HAL:\n" + bad + rows * 1000, 1)
    service = parse_thermal_service(text)
    assert service is not None
    assert service.temperatures is not None
    assert len(service.temperatures) == 256
    assert all(row.name.isprintable() and len(row.name) <= 60 for row in service.temperatures)


def test_absent_sensors_are_told_by_their_values() -> None:
    assert [is_plausible(value) for value in (0.0, -40.0, -99.9, -273.0, 200.0, float("nan"), float("inf"))] == [
        False
    ] * 7
    assert is_plausible(-5.0)
    assert is_plausible(31.2)


# dumpsys power


@pytest.mark.parametrize("state", ["Awake", "Dreaming", "Dozing", "Asleep"])
def test_wakefulness_is_one_of_four_words(state: str) -> None:
    assert parse_wakefulness(POWER.replace("Awake", state)) == state


def test_another_word_or_none_is_unknown() -> None:
    assert parse_wakefulness(POWER.replace("Awake", "Confused")) is None
    assert parse_wakefulness("mWakefulnessChanging=false") is None


@given(st.text(max_size=400))
def test_no_text_makes_a_parser_fail(text: str) -> None:
    parse_properties(text)
    parse_battery("Current Battery Service state:\n" + text)
    parse_thermal_service("Thermal Status: 0\nCurrent temperatures from HAL:\n" + text)
    parse_wakefulness(text)


@given(st.integers(0, len(THERMAL)), st.integers(0, len(BATTERY)))
def test_a_text_cut_anywhere_tells_less_but_nothing_else(thermal_end: int, battery_end: int) -> None:
    service, whole = parse_thermal_service(THERMAL[:thermal_end]), parse_thermal_service(THERMAL)
    assert whole is not None
    if service is not None:
        assert service.status == whole.status
        assert set(service.temperatures or ()) <= set(whole.temperatures or ())
    battery = parse_battery(BATTERY[:battery_end])
    if battery is not None:
        assert battery.status in (None, "charging")
        assert battery.plugged in (None, (), ("usb",))
