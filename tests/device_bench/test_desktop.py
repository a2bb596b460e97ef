"""This machine as a target, with the guarantees that a phone gives."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from device_bench.desktop import Desktop
from device_bench.process import Stopped
from device_bench.target import Command, Finished, Target
from models.errors import BusyError, DeviceError, ProgramError, StorageError, UsageError
from tests.device_bench.test_process import gone, running

ROOT = Path(__file__).parents[2]
HAS_PROC = Path("/proc/self/environ").exists()
needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not place processes")


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"device_bench-{os.getuid()}"


def execute(folder: str | Path, *argv: str, timeout_s: float = 20, cpu_mask: int | None = None) -> Finished:
    return Desktop().execute(Command(argv=argv, cpu_mask=cpu_mask), str(folder), timeout_s=timeout_s)


def test_it_is_a_target() -> None:
    target: Target = Desktop()
    assert target.name == "local"
    assert len(target.identity) == 16


def test_a_script_answers_with_streams_and_exit_code() -> None:
    answer = Desktop().shell("echo hi; echo oops >&2; exit 7")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"hi\n", b"oops\n", 7)


def test_a_program_gets_its_words_environment_and_folder(tmp_path: Path) -> None:
    odd = ("-n", "it's", "$(reboot)", "a\nb", "", "*")
    script = 'printf "%s|" "$X" "$@"; pwd; exit 3'
    command = Command(argv=("sh", "-c", script, "x", *odd), environment={"X": "q'u\"o $te"})
    answer = Desktop().execute(command, str(tmp_path), timeout_s=20)
    assert answer.stdout.decode() == "|".join(("q'u\"o $te", *odd, f"{tmp_path}\n"))
    assert answer.exit_code == 3


@needs_affinity
def test_a_program_runs_on_the_cpus_of_its_mask(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    answer = execute(tmp_path, "grep", "Cpus_allowed_list", "/proc/self/status", cpu_mask=1 << cpu)
    assert answer.stdout.split()[1].decode() == str(cpu) == answer.allowed_cpus


@needs_affinity
@pytest.mark.parametrize("extra", [0, 1], ids=["none there", "some there"])
def test_cpus_that_are_not_granted_are_an_error_and_nothing_runs(extra: int, tmp_path: Path) -> None:
    mask = 1 << 500 | extra << min(os.sched_getaffinity(0))
    with pytest.raises(DeviceError, match=r"CPUs .*500 \(mask 1.* are asked for, this process may use "):
        execute(tmp_path, "touch", "ran", cpu_mask=mask)
    assert not (tmp_path / "ran").exists()


def test_where_no_process_can_be_placed_a_mask_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with pytest.raises(DeviceError, match="cannot keep a program on some CPUs; leave the affinity to `none`"):
        execute(tmp_path, "true", cpu_mask=1)


def test_a_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"'sh' took longer than 0\.3 s and was ended") as caught:
        execute(tmp_path, "sh", "-c", "sleep 3040.5 & sleep 3040.5", timeout_s=0.3)
    assert not caught.value.transient
    assert gone("sleep 3040.5")


def test_what_a_program_leaves_running_ends_with_it(tmp_path: Path) -> None:
    assert execute(tmp_path, "sh", "-c", "sleep 3041.5 & echo done").stdout == b"done\n"
    assert gone("sleep 3041.5")


def test_a_stop_ends_it(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped):
        Desktop(stop=stop).execute(Command(argv=("sleep", "3042.5")), str(tmp_path), timeout_s=20)
    assert gone("sleep 3042.5")


def test_endless_output_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="'yes' printed more than 8 MiB and was ended"):
        execute(tmp_path, "yes")


def test_a_signal_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    assert execute(tmp_path, "sh", "-c", "kill -SEGV $$").exit_code == 139


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0, "No such file or directory; check its path and mode"),
        (b"#!/bin/sh\n", 0o644, "Permission denied; check its path and mode"),
        (b"\x7fELF" + bytes(60), 0o755, "Exec format error; it was built for another system or processor"),
    ],
    ids=["missing", "mode", "format"],
)
def test_a_program_that_cannot_be_started_is_an_error(
    content: bytes | None, mode: int, words: str, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    if content is not None:
        program.write_bytes(content)
        program.chmod(mode)
    with pytest.raises(ProgramError, match=f"cannot start '{program}': {words}"):
        execute(tmp_path, str(program))


def test_bad_commands_and_folders_are_refused(tmp_path: Path) -> None:
    for command in (Command(argv=()), Command(argv=("true",), cpu_mask=0)):
        with pytest.raises(UsageError, match="no program or no CPU"):
            Desktop().execute(command, str(tmp_path), timeout_s=1)
    with pytest.raises(UsageError, match="cannot be a command: embedded null byte"):
        execute(tmp_path, "a\0b")
    with pytest.raises(StorageError, match=r"there is no folder '.*/nowhere'"):
        execute(tmp_path / "nowhere", "true")


@pytest.mark.parametrize("name", ["-n", "it's", "a\nb", "$(reboot)"])
def test_files_come_and_go_whatever_their_names(name: str, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(b"\xff\0")
    Desktop().push(tmp_path / "local", f"{tmp_path}/{name}", executable=True)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o755
    Desktop().pull(f"{tmp_path}/{name}", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"\xff\0"
    assert not list(tmp_path.glob(".push-*"))


def test_files_that_are_missing_or_too_large_are_errors(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(1001))
    with pytest.raises(UsageError, match=r"no file .* to copy"):
        Desktop().push(tmp_path / "nothing", str(tmp_path / "x"))
    with pytest.raises(DeviceError, match="there is no file"):
        Desktop().pull(str(tmp_path / "nothing"), tmp_path / "x")
    with pytest.raises(DeviceError, match="has 1001 bytes, at most 1000 are fetched"):
        Desktop().pull(str(tmp_path / "large"), tmp_path / "x", largest_bytes=1000)
    with pytest.raises(StorageError, match="No such file or directory; choose a folder"):
        Desktop().push(tmp_path / "large", str(tmp_path / "no" / "x"))
    assert not (tmp_path / "x").exists()


def test_a_session_is_private_and_alone_and_gone_afterwards(base: Path) -> None:
    with Desktop().session() as folder:
        assert Path(folder).parent == base
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        assert list(Path(folder).iterdir()) == []
        with pytest.raises(BusyError, match=rf"process {os.getpid()} measures on device 'local' now"):
            Desktop().session().__enter__()
        (Path(folder) / "file").write_text("")
    assert list(base.iterdir()) == []


@pytest.mark.skipif(not HAS_PROC, reason="needs /proc")
def test_what_a_killed_run_left_is_ended_and_removed_by_the_next(base: Path, tmp_path: Path) -> None:
    code = (
        "import sys, tempfile; from device_bench.desktop import Desktop; from device_bench.target import Command\n"
        "tempfile.tempdir = sys.argv[1]; desktop = Desktop()\n"
        "with desktop.session() as folder:\n"
        "    desktop.execute(Command(argv=('sh', '-c', 'setsid sleep 3043.5 & sleep 3043.5')), folder, timeout_s=60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT) as process:
        deadline = time.monotonic() + 20
        while len(running("sleep 3043.5")) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    assert running("sleep 3043.5")
    (left,) = base.iterdir()
    with Desktop().session():
        assert gone("sleep 3043.5")
        assert not left.exists()


def test_ctrl_c_leaves_no_process_and_no_folder(base: Path, tmp_path: Path) -> None:
    code = (
        "import sys, tempfile; from device_bench.desktop import Desktop; from device_bench.target import Command\n"
        "tempfile.tempdir = sys.argv[1]; desktop = Desktop()\n"
        "with desktop.session() as folder:\n"
        "    desktop.execute(Command(argv=('sleep', '3044.5')), folder, timeout_s=60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 20
        while not running("sleep 3044.5") and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in stderr
    assert gone("sleep 3044.5")
    assert list(base.iterdir()) == []


def test_a_folder_that_is_not_ours_is_refused(base: Path, tmp_path: Path) -> None:
    base.symlink_to(tmp_path)
    with pytest.raises(StorageError, match="is not a folder of this user"):
        Desktop().session().__enter__()


def test_a_full_or_forbidden_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    with pytest.raises(StorageError, match=r"cannot use /proc/nowhere/.* for runs: .*; set TMPDIR"):
        Desktop().session().__enter__()


def test_another_home_does_not_let_a_second_program_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Desktop().session() as folder:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
        with pytest.raises(BusyError, match="measures on device 'local' now"), Desktop().session():
            pass
        assert Path(folder).is_dir()
