"""`bench` while connection and storage of its device fail: told, bounded, recovered where it can be, left clean."""

from __future__ import annotations

import time

import pytest

from device_bench.lab.launch import free_port
from device_bench.measuring.record import BenchRecord
from tests.device_bench.lab.benches import (
    FLOAT32,
    HASTY,
    INT8,
    Bench,
    assert_no_results,
    assert_nothing_valid,
    finish,
    measures,
    rows,
    wait_until,
)
from tests.device_bench.lab.phones import AdbServer, LabPhone

pytestmark = pytest.mark.lab

ONE = ("--runner=interpreter", "--precision=int8", "--check=0")
LONG = (*ONE, "--min-seconds=2", "--max-seconds=4")
"""Long enough for a fault to come while it measures."""


def assert_recovered(record: BenchRecord) -> None:
    lost, found = record.attempts
    assert lost.transient
    assert not lost.valid
    assert found.valid
    assert (lost.number, found.number) == (1, 2)
    assert record.passed
    assert record.failure is None


def assert_unfinished(record: BenchRecord, phone: LabPhone) -> None:
    assert record.finished is None
    assert not record.passed
    assert record.failure
    assert phone.serial not in record.failure


@pytest.mark.parametrize("fault", ["drop", "kill-adbd"])
def test_a_process_whose_connection_breaks_is_measured_again(bench: Bench, fault: str) -> None:
    phone = bench.phone("amd64")
    with bench.start(phone, *LONG) as process:
        wait_until(lambda: measures(phone), process)
        phone.control(fault)
        if fault == "kill-adbd":
            time.sleep(2)
            phone.control("start-adbd")
        done = finish(process)
    assert done.returncode == 0, done.stderr
    assert_recovered(bench.record_of(phone))


def test_an_adb_server_that_is_killed_is_started_again(bench: Bench) -> None:
    phone = bench.phone("amd64")
    server = AdbServer(phone.server.program, free_port())
    try:
        with bench.start(phone, *LONG, ANDROID_ADB_SERVER_PORT=str(server.port)) as process:
            wait_until(lambda: measures(phone), process)
            assert server.run("kill-server").returncode == 0
            done = finish(process)
    finally:
        server.run("kill-server")
    assert done.returncode == 0, done.stderr
    assert_recovered(bench.record_of(phone))


def test_a_device_that_is_lost_for_good_ends_with_3_and_is_resumed(bench: Bench) -> None:
    phone = bench.phone("amd64")
    bench.program = HASTY
    words = (*LONG, "--repeats=2")
    with bench.start(phone, *words) as process:
        wait_until(lambda: bool(bench.record_files() and bench.record_of(phone).attempts), process)
        # The first of two processes is done: what it measured is kept.
        wait_until(lambda: measures(phone), process)
        phone.control("kill-adbd")
        done = finish(process)
    assert done.returncode == 3, done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {phone.serial}: the device's answer was cut off")
    record = bench.record_of(phone)
    assert_unfinished(record, phone)
    first, *lost = record.attempts
    assert first.valid
    assert lost
    assert all(attempt.transient and not attempt.valid for attempt in lost)
    assert str(record.summaries()[0].failure).startswith("1 of 2 processes gave a result: ")
    phone.heal()
    again = bench.run(phone, *words, "--resume")
    assert again.returncode == 0, again.stderr
    resumed = bench.record_of(phone)
    assert resumed.passed
    assert resumed.attempts[0] == first
    assert len(resumed.attempts) == 2


@pytest.mark.slow
def test_devices_that_fall_silent_are_given_up_and_cost_the_others_nothing(bench: Bench) -> None:
    bench.program = HASTY
    frozen, stalled, sound = (bench.phone(name) for name in ("amd64", "board", "good"))
    device = f"--device={frozen.serial},{stalled.serial},{sound.serial}"
    with bench.start(None, device, *LONG) as process:
        wait_until(lambda: measures(frozen), process)
        frozen.control("stop-adbd")
        wait_until(lambda: measures(stalled), process)
        stalled.control("stall")
        done = finish(process)
    assert done.returncode == 3
    for lost in (frozen, stalled):
        assert f"error: {lost.serial}: " in done.stderr
        record = bench.record_of(lost)
        assert_unfinished(record, lost)
        assert "gave no answer in 12 s although adb may list it" in str(record.attempts[0].failure)
        assert all(row.failure for row in record.summaries())
        whole = bench.record_of(sound)
    assert whole.passed
    # What was left on the lost devices goes with the next run there, or by hand.
    for lost in (frozen, stalled):
        lost.heal()
    again = bench.run(None, f"--device={frozen.serial},{sound.serial}", *LONG, "--resume")
    assert again.returncode == 0, again.stderr
    assert bench.record_of(frozen).passed
    assert bench.record_of(sound) == whole
    assert bench.clean_up(stalled).returncode == 0


def test_two_devices_without_a_choice_are_named_and_all_means_both(bench: Bench) -> None:
    phones = [bench.phone(name) for name in ("amd64", "board")]
    phones[0].server.run("disconnect")
    for phone in phones:
        phone.connect()
    done = bench.run(None, *ONE)
    assert done.returncode == 2
    assert all(phone.serial in done.stderr for phone in phones)
    assert_no_results(bench, done)
    everywhere = bench.run(None, *ONE, "--device=all", "--dry-run")
    assert everywhere.returncode == 0, everywhere.stderr
    assert all(f"# {phone.serial}: 1 cases, 1 timed processes" in everywhere.stdout for phone in phones)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (("data", "ro"), "the folder is read-only ("),
        (("data", "noexec"), "runs no programs in '/data/local/tmp/device_bench' (it is mounted noexec"),
    ],
)
def test_storage_that_cannot_serve_is_refused_before_anything_is_measured(
    bench: Bench, fault: tuple[str, str], words: str
) -> None:
    phone = bench.phone("amd64")
    phone.control(*fault)
    try:
        done = bench.run(phone, *ONE)
    finally:
        phone.control("data", "exec")
    assert done.returncode == 3, done.stdout
    assert words in done.stdout + done.stderr
    assert_nothing_valid(done, *bench.records())


def test_a_small_disk_takes_what_fits_and_refuses_the_rest(bench: Bench) -> None:
    phone = bench.phone("amd64")
    phone.control("disk", str(600_000))
    done = bench.run(phone, "--runner=interpreter", "--precision=int8,float32", "--check=2")
    assert done.returncode == 3, done.stdout
    failures = {row.case.split(".")[0]: row.failure for row in bench.record_of(phone).summaries()}
    assert failures["int8"] is None
    assert "MiB are free, 0.8 are needed; remove files in /data/local/tmp on it" in str(failures["float32"])


def test_a_disk_that_is_full_when_the_runner_ends_is_no_result(bench: Bench) -> None:
    phone = bench.phone("amd64")
    with bench.start(phone, *LONG) as process:
        wait_until(lambda: measures(phone), process)
        phone.control("disk", str(2**21))
        phone.shell("dd if=/dev/zero of=/data/fill bs=65536 2>/dev/null || true")
        done = finish(process)
        phone.shell("rm /data/fill")
    assert done.returncode == 3, done.stdout
    assert "its disk is full ('No space left on device')" in done.stdout
    assert_nothing_valid(done, bench.record_of(phone))


def test_a_runner_that_takes_too_much_memory_is_told_as_such(bench: Bench) -> None:
    phone = bench.phone("amd64")
    with bench.start(phone, *LONG) as process:
        wait_until(lambda: measures(phone), process)
        phone.control("memory", str(20 * 2**20))
        done = finish(process)
    assert done.returncode == 3, done.stdout
    assert "the command was ended by SIGKILL (exit code 137; the device may have run out of memory)" in done.stdout
    record = bench.record_of(phone)
    assert_nothing_valid(done, record)
    # Another process would only repeat it.
    assert len(record.attempts) == 1


def spoiled(kind: str, whole: bytes) -> bytes:
    """Contents of a file that is no network."""
    return {
        "text": b"no network\n" * 100,
        "half": whole[: len(whole) // 2],
        "numbers": whole[:8] + bytes(range(256)) * 1000,
        "nothing": b"",
    }[kind]


@pytest.mark.parametrize(
    ("runner", "kind"),
    [("classic", "half"), ("classic", "numbers"), ("interpreter", "text"), ("interpreter", "nothing")],
)
def test_a_file_that_is_no_network_fails_alone(bench: Bench, kind: str, runner: str) -> None:
    phone = bench.phone("amd64")
    bench.replace_file(INT8, spoiled(kind, (bench.exported / INT8).read_bytes()))
    done = bench.run(phone, f"--runner={runner}", "--precision=int8,float32")
    assert done.returncode == 3, done.stdout + done.stderr
    good, bad = rows(done)
    assert bad.startswith("int8.tflite")
    assert "FAILED" in bad
    assert " ms" not in bad
    assert "FAILED" not in good
    record = bench.record_of(phone)
    assert record.checks[f"{runner} cpu {FLOAT32}"].passed  # type: ignore[union-attr]
    assert isinstance(record.checks[f"{runner} cpu {INT8}"], str)
    failures = {row.case.split(".")[0]: row.failure for row in record.summaries()}
    assert failures["float32"] is None
    assert failures["int8"]
