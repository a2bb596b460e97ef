"""`bench` and the state of its device: heat, throttling, settings that are put back, CPUs that are chosen."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from device_bench.state.cpus import Cpus
from device_bench.state.linux_text import format_cpu_list
from tests.device_bench.lab.benches import Bench, assert_no_results, finish, measures, running, wait_until
from tests.device_bench.lab.phones import LabPhone

pytestmark = pytest.mark.lab

ONE = ("--runner=classic", "--precision=int8", "--check=0")
LONG = (*ONE, "--min-seconds=2", "--max-seconds=4")
CHANGED, START = ("7", "Awake", "true"), ("0", "Asleep", "false")


@pytest.fixture
def phone(lab_device: Callable[[str], LabPhone], bench: Bench, native_runner: str) -> LabPhone:
    """The fast device, with its settings as a phone in a drawer has them."""
    del native_runner, lab_device
    found = bench.phone("amd64")
    found.shell("settings put global stay_on_while_plugged_in 0; input keyevent KEYCODE_SLEEP")
    found.shell("cmd power set-fixed-performance-mode-enabled false")
    return found


def settings(phone: LabPhone) -> tuple[str, ...]:
    names = ("settings/global/stay_on_while_plugged_in", "wakefulness", "fixed_performance_mode")
    return tuple(phone.shell(f"cat /var/lib/phone/{name}") for name in names)


def test_a_phone_that_stays_warm_is_measured_after_the_wait_and_marked(bench: Bench, phone: LabPhone) -> None:
    phone.control("temperature", "45")
    phone.control("thermal-status", "2")
    done = bench.run(phone, *ONE, "--cool-down=1")
    assert done.returncode == 0, done.stderr
    (attempt,) = bench.record_of(phone).attempts
    assert attempt.gate == "gave_up"
    assert attempt.throttled == ("thermal status was 2 (moderate)",)
    assert "warm some processes began on a warm device; give it more time: --cool-down SECONDS" in done.stdout
    assert "throttled thermal status was 2 (moderate)" in done.stdout


def test_clocks_that_fall_in_the_course_of_a_run_are_flagged(bench: Bench, phone: LabPhone) -> None:
    with bench.start(phone, *LONG) as process:
        wait_until(lambda: measures(phone), process)
        phone.control("max-frequency", "1000000")
        done = finish(process)
    assert done.returncode == 0, done.stderr
    record = bench.record_of(phone)
    assert any("in the course of the run" in reason for reason in record.attempts[0].throttled)
    assert record.summaries()[0].throttled
    assert "limited to 1000 of " in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_settings_are_put_back_however_a_benchmark_ends(bench: Bench, phone: LabPhone, number: signal.Signals) -> None:
    assert settings(phone) == START
    with bench.start(phone, *LONG, "--stay-awake", "--fixed-performance") as process:
        wait_until(lambda: measures(phone), process)
        assert settings(phone) == CHANGED
        process.send_signal(number)
        done = finish(process)
    if number == signal.SIGKILL:
        assert settings(phone) == CHANGED
        # The next session ends what runs there still and puts the settings back.
        assert bench.run(phone, *ONE).returncode == 0
    else:
        assert done.returncode == 130
        assert "interrupted: " in done.stderr
    assert settings(phone) == START
    assert running(phone) == []
    assert not bench.records()[0].passed


def test_the_kernel_confirms_the_cpus_of_every_policy(bench: Bench, phone: LabPhone) -> None:
    expected = {"big": slice(1, None), "prime": slice(-1, None), "little": slice(0, 1)}
    for policy, chosen in expected.items():
        done = bench.run(phone, *ONE, f"--affinity={policy}")
        assert done.returncode == 0, done.stderr
        record = bench.records()[-1]
        clusters = Cpus.from_json(record.target["cpus"]).clusters
        cpus = sorted(cpu for cluster in clusters[chosen] or clusters for cpu in cluster)
        assert [attempt.allowed_cpus for attempt in record.attempts] == [format_cpu_list(tuple(cpus))]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--affinity=all", "--threads=1024"), "1024 threads do not fit on CPU"),
        (("--affinity=fffffffffffffffff",), "names CPU"),
        (("--affinity=0",), "affinity mask 0 names no CPU"),
        (("--affinity=huge",), "unknown affinity 'huge'; known: "),
    ],
)
def test_cpus_that_cannot_be_had_are_bad_input(
    bench: Bench, phone: LabPhone, words: tuple[str, ...], message: str
) -> None:
    done = bench.run(phone, *ONE, *words)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert done.stderr.count("error: ") == 1
    assert_no_results(bench, done)
