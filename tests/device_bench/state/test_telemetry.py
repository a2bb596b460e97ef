import json
from dataclasses import replace

import pytest

from device_bench.state.telemetry import Clock, Telemetry
from device_bench.state.thermal import read_telemetry
from tests.device_bench.fake_targets import TableTarget
from tests.device_bench.phone_texts import BATTERY, THERMAL


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"thermal": THERMAL, "battery": BATTERY, "load": "0.5 0.4 0.3 1/2 3\n"},
        {"clocks": "/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq:1800000\n", "saver": "1\n"},
    ],
)
def test_telemetry_survives_json(answers: dict[str, str]) -> None:
    telemetry = read_telemetry(TableTarget(answers))
    assert Telemetry.from_json(json.loads(json.dumps(telemetry.to_json()))) == telemetry


def test_the_hottest_sensor_of_a_kind_counts() -> None:
    text = THERMAL.replace("mType=2, mName=BATTERY", "mType=3, mName=SKIN2")
    telemetry = read_telemetry(TableTarget({"thermal": text}))
    assert telemetry.hottest_c("skin") == 33.5
    assert telemetry.hottest_c("gpu") is None


def test_what_is_unknown_needs_its_reason() -> None:
    telemetry = read_telemetry(TableTarget({}))
    with pytest.raises(ValueError, match="reasons are given for"):
        replace(telemetry, missing={})
    with pytest.raises(ValueError, match="unknown are"):
        Clock(cpu=0, governor=None, now_khz=1, min_khz=1, max_khz=1, hardware_max_khz=1, missing={})
