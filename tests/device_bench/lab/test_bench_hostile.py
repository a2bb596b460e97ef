"""`bench` with programs, outputs and names that mean harm, or are merely wrong."""

from __future__ import annotations

import resource
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.device_bench.lab.benches import Bench, assert_no_results, assert_nothing_valid
from tests.device_bench.lab.phones import LabPhone

pytestmark = pytest.mark.lab

ONE = ("--runner=classic", "--precision=int8", "--check=0")
FIRST_ON_PATH = "/usr/sbin/benchmark_model"
NATIVE = "/usr/bin/benchmark_model"
X86_64, AARCH64 = 62, 183


def elf(machine: int) -> bytes:
    """The first bytes of a program, and nothing more."""
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHI", 2, machine, 1) + bytes(100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (elf(AARCH64), "'runner $(id)' is a program for arm64, but the device ("),
        (b"#!/bin/sh\necho hello\n", "is no ELF program"),
        (b"", "is no ELF program"),
        (elf(X86_64)[:19], "is no ELF program"),
        (None, "No such file or directory"),
    ],
    ids=["foreign", "script", "empty", "short", "missing"],
)
def test_a_runner_that_cannot_run_there_is_refused_before_it_is_pushed(
    bench: Bench, content: bytes | None, message: str
) -> None:
    phone = bench.phone("amd64")
    runner = bench.folder / "runner $(id)"
    if content is not None:
        runner.write_bytes(content)
    # Nothing can be pushed in this time, not even a little.
    phone.control("disk", str(2**16))
    done = bench.run(phone, "--precision=int8", "--check=0", f"--runner-path={runner}")
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert_no_results(bench, done)


def test_a_runner_that_is_cut_off_is_told_by_the_device(bench: Bench, native_runner: str) -> None:
    phone = bench.phone("amd64")
    whole = bench.folder / "whole"
    phone.adb("pull", native_runner, str(whole))
    runner = bench.folder / "runner"
    runner.write_bytes(whole.read_bytes()[:4096])
    done = bench.run(phone, "--precision=int8", "--check=0", f"--runner-path={runner}")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "/runner-given/benchmark_model" in done.stderr
    assert_no_results(bench, done)


def test_a_runner_that_is_not_there_and_cannot_be_fetched_is_told(bench: Bench) -> None:
    done = bench.run(
        bench.phone("board"), "--runner=litert", "--precision=int8", "--check=0",
        DEVICE_BENCH_RUNNER_URL="https://127.0.0.1:9", XDG_CACHE_HOME=str(bench.folder / "cache"),
    )  # fmt: skip
    assert done.returncode == 3, done.stdout
    assert "127.0.0.1:9" in done.stderr
    assert_no_results(bench, done)


@pytest.fixture
def hostile(bench: Bench, native_runner: str) -> Iterator[LabPhone]:
    """The fast device, where a test puts a script before the native runner."""
    assert native_runner == NATIVE
    phone = bench.phone("amd64")
    yield phone
    phone.shell(f"rm -f {FIRST_ON_PATH}")


def install(phone: LabPhone, folder: Path, body: str) -> None:
    """A runner that helps like the native one, and measures like `body`."""
    script = folder / "script"
    script.write_text(f'#!/bin/sh\ncase "$*" in *--help*) exec {NATIVE} --help ;; esac\n{body}\n', "utf-8")
    assert phone.adb("push", str(script), FIRST_ON_PATH).returncode == 0
    phone.shell(f"chmod 755 {FIRST_ON_PATH}")


HARM = r"\033]0;owned\007\033[2J\r\b\377\376\303\050 [red]x[/red] \302\233A"
BODIES = {
    "error": f"printf 'ERROR: {HARM}\\n' >&2; exit 1",
    "garbage": f"printf '{HARM}\\n'; exit 0",
    "count": f"printf 'INFO: count=5 curr=1 min=1 max={HARM} avg=1 std=0\\n'; exit 0",
    "zeros": "head -c 5000000 /dev/zero; exit 0",
    "one line": "head -c 5000000 /dev/zero | tr '\\0' 'ERROR: '; exit 1",
}


@pytest.mark.parametrize("body", BODIES)
def test_what_a_hostile_runner_prints_neither_counts_nor_reaches_the_terminal(
    bench: Bench, hostile: LabPhone, body: str
) -> None:
    install(hostile, bench.folder, BODIES[body])
    done = bench.run(hostile, *ONE)
    assert done.returncode == 3, done.stdout + done.stderr
    assert [c for c in done.stdout + done.stderr if not c.isprintable() and c != "\n"] == []
    assert max(map(len, (done.stdout + done.stderr).splitlines())) < 2000
    record = bench.record_of(hostile)
    assert_nothing_valid(done, record)
    assert len(record.attempts) == 1
    raw = (bench.record_files()[0].parent / record.attempts[0].raw / "stdout").read_bytes()
    assert b"\xff\xfe" in raw or body not in ("garbage", "count")


def test_output_without_end_is_cut_and_takes_no_memory(bench: Bench, hostile: LabPhone) -> None:
    install(hostile, bench.folder, "exec yes 'INFO: count=5 curr=1 min=1 max=1 avg=1 std=0'")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = bench.run(hostile, *ONE)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "MiB" in done.stdout
    assert_nothing_valid(done, bench.record_of(hostile))
    # Kilobytes; of the largest child so far. The runtime alone takes some hundred MB.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before < 300 * 1024


@pytest.mark.parametrize("name", ['it\'s $(touch pwned) `touch pwned`; touch pwned "x"\n\x1b[2J[red]', "-rf"])
def test_a_build_folder_of_any_name_is_taken_as_it_is(bench: Bench, name: str) -> None:
    bench.build.rename(bench.folder / name)
    bench.build_name = name
    phone = bench.phone("amd64")
    done = bench.run(phone, "--runner=interpreter", "--precision=int8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert bench.record_of(phone).passed
    assert "\x1b" not in done.stdout + done.stderr
    # A wrong quote would run it here or there.
    assert list(bench.folder.rglob("pwned")) == []
    assert phone.shell("find / -xdev -name pwned 2>/dev/null; true") == ""


def test_commands_of_a_dry_run_are_safe_to_paste_and_run_as_they_are(bench: Bench) -> None:
    name = 'it\'s $(touch pwned); "x"'
    bench.build.rename(bench.folder / name)
    bench.build_name = name
    phone = bench.phone("amd64")
    done = bench.run(phone, "--runner=interpreter", "--precision=int8", "--dry-run")
    assert done.returncode == 0, done.stderr
    checked = subprocess.run(["sh", "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert bench.record_files() == []


@pytest.mark.parametrize("serial", ["$(touch pwned)", "a b;c", "-x", "a\nb", "127.0.0.1:1\x1b[2J"])
def test_a_serial_that_is_none_is_refused_on_one_line(bench: Bench, serial: str) -> None:
    done = bench.run(None, *ONE, f"--device={serial}")
    assert done.returncode in (2, 3)
    assert "\x1b" not in done.stderr
    assert done.stderr.count("error: ") == 1
    assert list(bench.folder.rglob("pwned")) == []
    assert_no_results(bench, done)
