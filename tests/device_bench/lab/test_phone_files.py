from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.lab.devices import DEVICES
from device_bench.lab.phone_files import (
    MANNERS,
    clusters,
    limit_frequency,
    read_state,
    set_property,
    set_temperature,
    write_phone,
)


@pytest.fixture(params=["good", "board", "amd64"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "system/bin").mkdir(parents=True)
    write_phone(tmp_path, DEVICES[request.param], [0, 1, 2, 5])
    return tmp_path


def _text(path: Path) -> str:
    return path.read_text().strip()


@given(st.sets(st.integers(0, 200), min_size=1))
def test_every_cpu_has_a_cluster_and_the_last_one_is_the_fastest(cpus: set[int]) -> None:
    made = clusters(sorted(cpus))
    capacities = [cluster["capacity"] for cluster in made]
    assert len(made) == len(cpus)
    assert capacities == sorted(capacities)
    assert len(cpus) == 1 or capacities[0] < capacities[-1]


def test_only_cpus_that_programs_may_use_are_shown(root: Path) -> None:
    folder = root / "sys/devices/system/cpu"
    assert {_text(folder / name) for name in ("online", "possible", "present")} == {"0,1,2,5"}
    assert sorted(path.name for path in folder.glob("cpu*")) == ["cpu0", "cpu1", "cpu2", "cpu5"]
    assert [_text(folder / f"cpu{cpu}/cpu_capacity") for cpu in (0, 1, 2, 5)] == ["385", "385", "891", "1024"]
    assert _text(folder / "cpu1/cpufreq/related_cpus") == "0 1"


def test_a_throttled_cpu_never_exceeds_its_own_frequency(root: Path) -> None:
    slow, fast = (root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_max_freq" for cpu in (0, 5))
    limit_frequency(root, 2_000_000)
    assert (_text(slow), _text(fast)) == ("1804800", "2000000")
    limit_frequency(root, None)
    assert (_text(slow), _text(fast)) == ("1804800", "2400000")


def test_a_temperature_reaches_all_sensors(root: Path) -> None:
    set_temperature(root, 45.5)
    zones = sorted((root / "sys/class/thermal").iterdir())
    assert len(zones) == 4
    assert {_text(zone / "temp") for zone in zones} == {"45500"}
    battery = root / "sys/class/power_supply/battery/temp"
    assert not battery.exists() or _text(battery) == "455"


def test_a_board_has_nothing_of_android(root: Path) -> None:
    android = (root / "system/build.prop").exists()
    assert android == (root / "system/bin/getprop").exists() == bool(read_state(root))
    assert android != (root / "sys/firmware/devicetree/base/model").exists()


def test_the_emulated_cpu_is_the_one_that_is_shown(tmp_path: Path) -> None:
    for name, part in {"good": "0xd0b", "old": "0xd03", "liar": "0x051"}.items():
        (tmp_path / name / "system/bin").mkdir(parents=True)
        write_phone(tmp_path / name, DEVICES[name], [0, 1])
        shown = (tmp_path / name / "etc/cpuinfo").read_text()
        assert shown.count(f"CPU part\t: {part}\n") == 2


def test_a_property_is_replaced_and_not_doubled(tmp_path: Path) -> None:
    (tmp_path / "system/bin").mkdir(parents=True)
    write_phone(tmp_path, DEVICES["good"], [0])
    set_property(tmp_path, "ro.product.model", "a=b [c]")
    lines = (tmp_path / "system/build.prop").read_text().splitlines()
    assert [line for line in lines if line.startswith("ro.product.model=")] == ["ro.product.model=a=b [c]"]


@pytest.mark.parametrize("name", sorted(path.name for path in MANNERS.iterdir()))
def test_a_command_of_the_phone_is_a_program(name: str) -> None:
    assert os.access(MANNERS / name, os.R_OK)
    assert (MANNERS / name).read_text().startswith("#!/bin/sh\n")
