"""Facts, heat and settings on a device behind a real adbd, in Android's own shell and tools."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from device_bench.adb.client import Adb
from device_bench.adb.phone import Phone
from device_bench.state.control import changed_settings, restore_left_over
from device_bench.state.cpus import read_cpus, resolve_affinity
from device_bench.state.facts import read_facts
from device_bench.state.thermal import Limits, read_telemetry, throttled, wait_until_cool
from device_bench.target import Command
from tests.device_bench.lab.phones import LabPhone

pytestmark = pytest.mark.lab

SETTINGS = ("settings/global/stay_on_while_plugged_in", "wakefulness", "fixed_performance_mode")
START, CHANGED = ("0", "Asleep", "false"), ("7", "Awake", "true")


def open_phone(device: LabPhone) -> Phone:
    return Phone(Adb(), device.serial)


def settings(device: LabPhone) -> tuple[str, ...]:
    return tuple(device.shell(f"cat /var/lib/phone/{name}") for name in SETTINGS)


@pytest.fixture
def device(lab_device: Callable[[str], LabPhone]) -> LabPhone:
    found = lab_device("amd64")
    found.shell("settings put global stay_on_while_plugged_in 0; input keyevent KEYCODE_SLEEP")
    found.shell("cmd power set-fixed-performance-mode-enabled false; rm -f /data/local/tmp/device_bench/restore")
    return found


def test_an_emulated_phone_tells_what_it_is(lab_device: Callable[[str], LabPhone]) -> None:
    facts = read_facts(open_phone(lab_device("good")))
    assert (facts.os_name, facts.abis, facts.machine) == ("Android", ("arm64-v8a",), "aarch64")
    assert (facts.cpu_name, facts.is_emulator) == ("Cortex-A76", True)
    assert facts.storage_free_bytes is not None
    assert facts.missing == {}


def test_a_board_tells_what_it_has_and_why_not_the_rest(lab_device: Callable[[str], LabPhone]) -> None:
    phone = open_phone(lab_device("board"))
    facts = read_facts(phone)
    assert (facts.os_name, facts.machine) == ("Debian GNU/Linux", "aarch64")
    assert facts.missing["sdk"] == "no getprop on this target: it is no Android"
    assert wait_until_cool(phone, Limits(), patience_s=0, report=lambda _: None).outcome == "cool"
    with changed_settings(phone, stay_awake=True, fixed_performance=True) as changes:
        assert [change.outcome for change in changes] == ["unavailable"] * 3


def test_the_kernel_grants_the_cpus_of_every_policy(device: LabPhone) -> None:
    phone = open_phone(device)
    cpus = read_cpus(phone)
    with phone.session() as folder:
        for policy in ("all", "big", "prime", "little"):
            affinity = resolve_affinity(cpus, policy, 1)
            assert affinity.cpu_mask
            phone.execute(Command(argv=("true",), cpu_mask=affinity.cpu_mask), folder, timeout_s=30)


def test_a_warm_phone_is_seen_and_waited_for(device: LabPhone) -> None:
    phone = open_phone(device)
    device.control("temperature", "45")
    device.control("thermal-status", "2")

    def cool(_: float) -> None:
        device.control("temperature", "30")
        device.control("thermal-status", "0")

    said: list[str] = []
    cooling = wait_until_cool(
        phone, Limits(), patience_s=60, report=lambda progress: said.append(progress.detail), sleep=cool
    )
    assert cooling.outcome == "cool"
    assert said[0].startswith("thermal status 2 (moderate); battery 4")
    assert said[-1] == "cool"


def test_a_phone_that_throttles_is_told(device: LabPhone) -> None:
    phone = open_phone(device)
    before = read_telemetry(phone)
    assert throttled(before, before) == ()
    device.control("thermal-status", "1")
    device.control("max-frequency", "1000000")
    reasons = throttled(before, read_telemetry(phone))
    assert reasons[0] == "thermal status rose from 0 (none) to 1 (light)"
    assert any("limited to 1000 of" in reason and "in the course of the run" in reason for reason in reasons)


def test_settings_are_changed_and_put_back(device: LabPhone) -> None:
    phone = open_phone(device)
    assert settings(device) == START
    with phone.session(), changed_settings(phone, stay_awake=True, fixed_performance=True) as changes:
        assert [change.outcome for change in changes] == ["changed", "changed", "accepted"]
        assert settings(device) == CHANGED
    assert settings(device) == START


def test_settings_go_back_when_the_connection_is_lost(device: LabPhone) -> None:
    phone = open_phone(device)
    with phone.session(), changed_settings(phone, stay_awake=True, fixed_performance=True):
        device.control("drop")
    assert settings(device) == START


_BENCHMARK = """
import sys, time
from device_bench.adb.client import Adb
from device_bench.state.control import changed_settings
from device_bench.adb.phone import Phone
phone = Phone(Adb(), sys.argv[1])
with phone.session(), changed_settings(phone, stay_awake=True, fixed_performance=True):
    print("changed", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_phone_of_a_benchmark_that_ends_by_a_signal_is_as_before(device: LabPhone, number: int) -> None:
    root = Path(__file__).parents[3]
    words = [sys.executable, "-c", _BENCHMARK, device.serial]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "changed\n"
        assert settings(device) == CHANGED
        process.send_signal(number)
        process.wait(timeout=60)
    assert settings(device) == (CHANGED if number == signal.SIGKILL else START)
    phone = open_phone(device)
    with phone.session():
        assert len(restore_left_over(phone)) == (3 if number == signal.SIGKILL else 0)
    assert settings(device) == START
