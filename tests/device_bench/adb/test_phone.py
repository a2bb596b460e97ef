"""A phone, exercised for real: its remote commands run in local shells, its files are copied, only adb is a stub."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from device_bench.adb import device_shell
from device_bench.adb.client import Adb
from device_bench.adb.phone import Phone
from device_bench.process import Stopped
from device_bench.target import Command, Finished, Target
from models.errors import BusyError, DeviceError, LinkError, ProgramError, StorageError, UnreachableError, UsageError
from tests.device_bench.adb_stub import AdbStub, device_shells, free_port
from tests.device_bench.test_process import gone, running

ROOT = Path(__file__).parents[3]
SHELL = "\0shell\0"
SHELLS = device_shells()
# Android's tools, and those of small boards.
TOOLS = ("toybox", "busybox")
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the device's side needs Linux")


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdbStub:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("ADB", "ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_ADDRESS", "ANDROID_SERIAL"):
        monkeypatch.delenv(name, raising=False)
    return AdbStub(tmp_path / "stub")


@pytest.fixture
def phone(stub: AdbStub) -> Phone:
    return Phone(Adb(stub.program), "phone")


def execute(phone: Phone, folder: str, *argv: str, timeout_s: float = 20, cpu_mask: int | None = None) -> Finished:
    return phone.execute(Command(argv=argv, cpu_mask=cpu_mask), folder, timeout_s=timeout_s)


def test_it_is_a_target(phone: Phone) -> None:
    target: Target = phone
    assert target.name == "phone"
    assert target.identity == hashlib.sha256(b"phone").hexdigest()[:16]


def test_a_script_answers_with_streams_and_exit_code(phone: Phone) -> None:
    answer = phone.shell("echo hi; echo oops >&2; exit 7")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"hi\n", b"oops\n", 7)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_runs_in_every_shell_with_its_words_streams_and_cpus(
    shell: str, stub: AdbStub, phone: Phone, tmp_path: Path
) -> None:
    # `sh` on the device's PATH is the shell under test, too.
    (tmp_path / "bin").mkdir()
    words = SHELLS[shell]
    (tmp_path / "bin" / "sh").write_text(f'#!/bin/dash\nexec {" ".join(words)} "$@"\n')
    (tmp_path / "bin" / "sh").chmod(0o755)
    stub.shell = words
    stub.environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    stub.save()
    script = 'printf "a\\r\\nb"; printf "%s|" "$X" "$@" >&2; pwd; exit 3'
    odd = ("-n", "it's", 'a "b"', "$(reboot)", "a\nb", "", "*")
    with phone.session() as folder:
        command = Command(argv=("/bin/bash", "-c", script, "x", *odd), environment={"X": "q'u\"o $te"}, cpu_mask=1)
        answer = phone.execute(command, folder, timeout_s=20)
        assert answer.stdout == b"a\r\nb" + folder.encode() + b"\n"
        assert answer.stderr.decode() == "|".join(("q'u\"o $te", *odd, ""))
        assert (answer.exit_code, answer.allowed_cpus) == (3, "0")
        assert answer.wall_s > 0
        assert execute(phone, folder, "/bin/bash", "-c", "kill -ILL $$").exit_code == 132
        with pytest.raises(ProgramError, match=r"cannot start './nosuch': there is no such program"):
            execute(phone, folder, "./nosuch")
        with pytest.raises(ProgramError, match=r"took longer than 0\.5 s.*what ran was ended there"):
            execute(phone, folder, "/bin/bash", "-c", "sleep 3020.5 & setsid sleep 3020.5", timeout_s=0.5)
        assert not running("sleep 3020.5")
        assert phone.shell(f"ls -A {folder}").stdout == b".owner\n"
    assert list((stub.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("tools", TOOLS)
def test_the_tools_of_phones_and_small_boards_suffice(tools: str, stub: AdbStub, phone: Phone, tmp_path: Path) -> None:
    program = shutil.which(tools)
    if program is None:
        pytest.skip(f"{tools} is not installed here")
    names = (
        "cat",
        "chmod",
        "df",
        "grep",
        "kill",
        "ls",
        "md5sum",
        "mkdir",
        "mv",
        "rm",
        "rmdir",
        "setsid",
        "sha256sum",
        "sleep",
        "taskset",
        "wc",
    )
    have = subprocess.run([program, *([] if tools == "toybox" else ["--list"])], stdout=subprocess.PIPE, check=True)
    (tmp_path / "bin").mkdir()
    for name in set(names) & set(have.stdout.decode().split()):
        (tmp_path / "bin" / name).symlink_to(program)
    (tmp_path / "bin" / "sh").symlink_to("/bin/dash")
    stub.environment = {"PATH": f"{tmp_path}/bin"}
    stub.save()
    content = os.urandom(100_000)
    (tmp_path / "local").write_bytes(content)
    with phone.session() as folder:
        phone.push(tmp_path / "local", f"{folder}/it's", executable=True)
        phone.pull(f"{folder}/it's", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == content
        answer = execute(phone, folder, "sh", "-c", "echo hi; exit 3", cpu_mask=1 << CPUS[-1])
        assert (answer.stdout, answer.exit_code, answer.allowed_cpus) == (b"hi\n", 3, str(CPUS[-1]))
        with pytest.raises(ProgramError, match="what ran was ended there"):
            execute(phone, folder, "sh", "-c", "sleep 3021.5 & setsid sleep 3021.5", timeout_s=0.5)
        assert not running("sleep 3021.5")
    assert list((stub.folder / "tmp").iterdir()) == []


def test_an_old_device_without_separate_streams_gives_the_program_s_streams_apart(stub: AdbStub, phone: Phone) -> None:
    stub.features = "cmd"
    stub.save()
    with phone.session() as folder:
        answer = execute(phone, folder, "sh", "-c", r"printf 'a\r\n'; echo b >&2; exit 3")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"a\r\n", b"b\n", 3)


def test_the_environment_reaches_the_program_alone(phone: Phone) -> None:
    # A library path for the program would break grep and taskset.
    with phone.session() as folder:
        command = Command(argv=("sh", "-c", "echo $LD_PRELOAD"), environment={"LD_PRELOAD": "/no/such.so"}, cpu_mask=1)
        answer = phone.execute(command, folder, timeout_s=20)
    assert answer.stdout == b"/no/such.so\n"
    assert answer.stderr.count(b"/no/such.so") == 1  # the program's own loader


@pytest.mark.parametrize("mask", [1 << 500, 1 << 500 | 1 << CPUS[0]], ids=["none there", "some there"])
def test_cpus_that_the_kernel_does_not_grant_are_an_error_and_nothing_runs(
    mask: int, phone: Phone, tmp_path: Path
) -> None:
    with (
        phone.session() as folder,
        pytest.raises(DeviceError, match=r"does not give the CPUs .*500 \(mask 1") as caught,
    ):
        execute(phone, folder, "touch", str(tmp_path / "ran"), cpu_mask=mask)
    assert not caught.value.transient
    assert not (tmp_path / "ran").exists()


def test_a_device_without_taskset_says_so(stub: AdbStub, phone: Phone, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("cat", "chmod", "grep", "mkdir", "rm", "rmdir", "sh"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    stub.environment = {"PATH": f"{tmp_path}/bin"}
    stub.save()
    with phone.session() as folder:
        with pytest.raises(DeviceError, match=r"has no `taskset`.*leave the affinity to `none`"):
            execute(phone, folder, "sh", "-c", "echo hi", cpu_mask=1)
        assert execute(phone, folder, "sh", "-c", "echo hi").stdout == b"hi\n"


def test_without_setsid_all_processes_are_found_nevertheless(stub: AdbStub, phone: Phone, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("cat", "chmod", "grep", "mkdir", "rm", "rmdir", "sh", "sleep"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    stub.environment = {"PATH": f"{tmp_path}/bin"}
    stub.save()
    with phone.session() as folder:
        with pytest.raises(ProgramError, match="what ran was ended there"):
            execute(phone, folder, "sh", "-c", "sleep 3022.5 & sleep 3022.5", timeout_s=0.5)
        assert not running("sleep 3022.5")


def test_a_program_that_wipes_its_environment_does_not_escape(phone: Phone) -> None:
    with phone.session() as folder:
        with pytest.raises(ProgramError, match="what ran was ended there"):
            execute(phone, folder, "env", "-i", "sleep", "3023.5", timeout_s=0.5)
        assert not running("sleep 3023.5")


def test_a_program_without_words_or_cpus_is_refused(phone: Phone) -> None:
    for command in (Command(argv=()), Command(argv=("true",), cpu_mask=0)):
        with pytest.raises(UsageError, match="no program or no CPU"):
            phone.execute(command, "/tmp", timeout_s=1)  # noqa: S108 - never reached


def test_a_folder_that_is_not_there_is_an_error(phone: Phone) -> None:
    with pytest.raises(StorageError, match="'/no/such/folder': "):
        execute(phone, "/no/such/folder", "true")


def test_endless_output_is_an_error_and_leaves_nothing(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_bench.adb.phone.LARGEST_OUTPUT_BYTES", 10**6)
    with phone.session() as folder:
        with pytest.raises(ProgramError, match=r"'head' on device 'phone' printed more than"):
            execute(phone, folder, "head", "-c", "2000000", "/dev/zero")
        with pytest.raises(ProgramError, match=r"was ended as it wrote a file of more than 64 MiB|printed more than"):
            execute(phone, folder, "head", "-c", "70000000", "/dev/zero")
        assert phone.shell(f"ls -A {folder}").stdout == b".owner\n"


def test_a_program_that_writes_too_large_a_file_is_ended(phone: Phone) -> None:
    with phone.session() as folder, pytest.raises(ProgramError, match="wrote a file of more than 64 MiB"):
        execute(phone, folder, "dd", "if=/dev/zero", "of=big", "bs=1M", "count=70")


def test_output_that_forges_the_parts_of_the_answer_is_no_result(phone: Phone) -> None:
    # The program reads the two halves from its parent's command line, and prints the line between parts.
    script = (
        "tr '\\0' '\\n' </proc/$PPID/cmdline | grep -xE '[0-9a-f]{16}' | tr -d '\\n' >x; "
        "echo; cat x; echo; echo forged; echo; cat x; echo; echo 0"
    )
    with phone.session() as folder, pytest.raises(LinkError, match="parts instead of 4"):
        execute(phone, folder, "sh", "-c", script)


def test_a_cut_answer_is_transient_and_ends_what_ran(stub: AdbStub, phone: Phone) -> None:
    with phone.session() as folder:
        stub.answer("3024", action="cut", at=3, times=1)
        with pytest.raises(LinkError, match=r"was cut off.*what ran was ended there") as caught:
            execute(phone, folder, "sh", "-c", "sleep 0.01; echo 3024")
        assert caught.value.transient


def test_a_call_that_could_not_begin_is_made_again(stub: AdbStub, phone: Phone) -> None:
    phone.shell("true")
    stub.answer(SHELL, stderr="error: device offline\n", exit=1, times=1)
    assert phone.shell("echo once").stdout == b"once\n"


def test_an_unauthorized_phone_is_not_asked_again(stub: AdbStub, phone: Phone) -> None:
    stub.answer(SHELL, stderr="error: device unauthorized.\n", exit=1)
    with pytest.raises(UnreachableError, match="accept `Allow USB debugging"):
        phone.shell("echo")
    assert sum("shell" in call for call in stub.calls()) == 1


def test_a_silent_phone_says_what_may_still_run(stub: AdbStub, phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_bench.adb.client._PROBE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(device_shell, "_END_TIMEOUT_S", 0.2)
    monkeypatch.setattr(device_shell, "_RECOVERY_PATIENCE_S", 0.2)
    stub.answer(SHELL, action="hang")
    with pytest.raises(LinkError, match=r"gave no answer in 0.2 s.*may still run there, as it cannot be asked"):
        phone.shell("sleep 1", timeout_s=0.2)


def test_a_stop_ends_the_program_and_the_session(stub: AdbStub) -> None:
    stop = threading.Event()
    phone = Phone(Adb(stub.program, stop=stop), "phone")

    def measure() -> None:
        with phone.session() as folder:
            threading.Timer(0.3, stop.set).start()
            execute(phone, folder, "sleep", "3025.5", timeout_s=30)

    with ThreadPoolExecutor() as pool, pytest.raises(Stopped):
        pool.submit(measure).result(20)
    assert not running("sleep 3025.5")
    assert list((stub.folder / "tmp").iterdir()) == []


_MEASURE = """
import sys
from device_bench.adb.client import Adb
from device_bench.adb.phone import Phone
from device_bench.target import Command
phone = Phone(Adb(sys.argv[1]), "phone")
with phone.session() as folder:
    phone.execute(Command(argv=("sleep", sys.argv[2])), folder, timeout_s=60)
"""


def measuring(stub: AdbStub, seconds: str) -> "subprocess.Popen[bytes]":
    """Another process that measures, once its program runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MEASURE, str(stub.program), seconds], cwd=ROOT, stderr=subprocess.PIPE
    )
    while not any(Path(f"/proc/{pid}/comm").read_text() == "sleep\n" for pid in running(f"sleep {seconds}")):
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_ctrl_c_leaves_nothing_here_or_there(stub: AdbStub) -> None:
    with measuring(stub, "3026.5") as process:
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.05)
        # Impatience does not cut the clean-up short.
        os.kill(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in stderr
    assert gone("sleep 3026.5")
    assert gone(str(stub.program))
    assert list((stub.folder / "tmp").iterdir()) == []


def test_what_a_killed_run_left_is_ended_and_removed_by_the_next(stub: AdbStub, phone: Phone) -> None:
    with measuring(stub, "3027.5") as process:
        with pytest.raises(BusyError, match=rf"process {process.pid} measures on device 'phone' now"):
            phone.session().__enter__()
        process.kill()
    assert running("sleep 3027.5")
    (left,) = stub.base.iterdir()
    with phone.session() as folder:
        assert not running("sleep 3027.5")
        assert not left.exists()
        assert Path(folder).exists()


def test_a_run_of_another_computer_is_not_touched(stub: AdbStub, phone: Phone) -> None:
    with measuring(stub, "3028.5") as process:
        (other,) = stub.base.iterdir()
        (other / ".owner").write_text("somebody else\n")
        process.kill()
    with pytest.raises(BusyError, match=r"somebody else measures on device 'phone' now.*process"):
        phone.session().__enter__()
    assert [path.name for path in stub.base.iterdir()] == [other.name]
    for pid in running("3028.5"):
        os.kill(pid, signal.SIGKILL)
    assert gone("3028.5")
    with phone.session():
        assert other.exists()


def test_only_folders_of_runs_are_removed(stub: AdbStub, phone: Phone) -> None:
    (stub.base / "restore").mkdir(parents=True)
    (stub.base / "run-important").mkdir()
    with phone.session():
        pass
    assert sorted(path.name for path in stub.base.iterdir()) == ["restore", "run-important"]


def test_a_session_is_private_and_gone_afterwards_with_what_still_runs(stub: AdbStub, phone: Phone) -> None:
    with phone.session() as folder:
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        phone.shell("sleep 3029.5 >/dev/null 2>&1 &")
        assert running("sleep 3029.5")
    assert gone("sleep 3029.5")
    assert not stub.base.exists()


def test_a_folder_that_cannot_be_removed_is_reported_unless_something_worse_happened(
    stub: AdbStub, phone: Phone, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_shell, "_RECOVERY_PATIENCE_S", 0.2)
    lost: dict[str, Any] = {"stderr": "error: device 'phone' not found\n", "exit": 1}
    left = r"the folder .*/run-[0-9a-f]{32} is left on device 'phone'.*next run"
    with pytest.raises(DeviceError, match=left), phone.session():
        stub.answer("rmdir", **lost)
    stub.answers = []
    stub.save()

    def fail() -> None:
        with phone.session():
            stub.answer("rmdir", **lost)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "is left on device 'phone'" in caplog.text


def test_a_link_that_broke_meanwhile_is_mended_for_the_clean_up(stub: AdbStub, phone: Phone) -> None:
    with phone.session():
        stub.answer(SHELL, stderr="error: device offline\n", exit=1, times=2)
    assert not stub.base.exists()


def test_a_folder_mounted_noexec_is_an_error(stub: AdbStub, phone: Phone, tmp_path: Path) -> None:
    # As a mount does it: the shell is told 126 for the script.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "chmod").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "chmod").chmod(0o755)
    stub.environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    stub.save()
    with pytest.raises(StorageError, match=r"runs no programs in '.*/tmp/device_bench' \(it is mounted noexec"):
        phone.session().__enter__()
    assert not stub.base.exists()


def test_a_link_in_place_of_the_folder_is_not_trusted(stub: AdbStub, phone: Phone, tmp_path: Path) -> None:
    stub.base.symlink_to(tmp_path)
    with pytest.raises(StorageError, match="is a symbolic link, not trusted; remove it"):
        phone.session().__enter__()


def test_a_file_in_place_of_the_folder_is_an_error(stub: AdbStub, phone: Phone) -> None:
    stub.base.write_text("")
    with pytest.raises(StorageError, match="the folder for runs"):
        phone.session().__enter__()


def test_several_phones_are_measured_at_once(stub: AdbStub) -> None:
    adb = Adb(stub.program)

    def measure(serial: str) -> bytes:
        phone = Phone(adb, serial)
        with phone.session() as folder:
            return execute(phone, folder, "sh", "-c", f"sleep 0.2; echo {serial}").stdout

    serials = [f"phone-{number}" for number in range(4)]
    for serial in serials:
        (stub.folder / "tmp" / f"of-{serial}").mkdir()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(measure, serials)) == [f"{serial}\n".encode() for serial in serials]
    assert not list(stub.base.parent.glob("*/device_bench"))


def test_one_phone_by_two_serials_is_not_measured_twice(stub: AdbStub) -> None:
    # By USB and by network, for example: the locks of this computer are two.
    with measuring(stub, "3030.5") as process:
        with pytest.raises(BusyError, match="by another serial"):
            Phone(Adb(stub.program), "10.0.0.7:5555").session().__enter__()
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert gone("sleep 3030.5")
