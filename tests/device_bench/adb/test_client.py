"""Every call of adb: bounded, stoppable, and never believed by its exit code."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from device_bench.adb.client import Adb
from device_bench.process import Stopped
from device_bench.remote import script_call
from models.errors import DeviceError, LinkError, ProgramError, StorageError, UnreachableError, UsageError
from tests.device_bench.adb.test_errors import NO_PERMISSION, UNAUTHORIZED
from tests.device_bench.adb_stub import AdbStub, free_port
from tests.device_bench.test_process import gone

ROOT = Path(__file__).parents[3]
SHELL = "\0shell\0"


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdbStub:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    for name in ("ADB", "ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_ADDRESS", "ANDROID_SERIAL"):
        monkeypatch.delenv(name, raising=False)
    return AdbStub(tmp_path / "stub")


@pytest.fixture
def adb(stub: AdbStub) -> Adb:
    return Adb(stub.program)


def shell(adb: Adb, command: str, serial: str = "phone", **options: float) -> bytes:
    return adb.shell(serial, command, mark="m", timeout_s=options.pop("timeout_s", 10), **options).stdout  # type: ignore[arg-type]


def test_the_server_is_started_once_before_the_first_command(stub: AdbStub, adb: Adb) -> None:
    adb.devices()
    adb.devices()
    assert [call[0] for call in stub.calls()] == ["version", "start-server", "devices", "devices"]


def test_a_command_is_one_word_after_the_serial(stub: AdbStub, adb: Adb) -> None:
    assert shell(adb, "echo hi") == b"hi\n"
    call = stub.calls()[-1]
    assert call[:5] == ["-s", "phone", "shell", "-n", "-T"]
    assert len(call) == 6


@pytest.mark.parametrize("serial", ["-H", "it's", 'a"b', "$(reboot)", "a\nb", "; reboot", "all"])
def test_a_serial_is_never_taken_for_anything_else(serial: str, stub: AdbStub, adb: Adb) -> None:
    shell(adb, "echo hi", serial)
    assert stub.calls()[-1][:3] == ["-s", serial, "shell"]


def test_a_remote_server_is_named_in_every_call_and_never_started(
    stub: AdbStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_bench.adb.client.server_version", lambda _address: 41)
    adb = Adb(stub.program, server="rack7:5038")
    shell(adb, "echo hi")
    calls = stub.calls()
    assert ["start-server"] not in calls
    assert all(call[:4] == ["-H", "rack7", "-P", "5038"] for call in calls if call != ["version"])


def test_a_remote_server_that_does_not_run_is_not_started_here(stub: AdbStub) -> None:
    with pytest.raises(UnreachableError, match=r"no adb server listens at .*start it there with"):
        Adb(stub.program, server=f"127.0.0.1:{free_port()}").devices()
    assert stub.calls() == [["version"]]


def test_a_server_of_another_version_is_not_ended(stub: AdbStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_bench.adb.client.server_version", lambda _address: 39)
    with pytest.raises(DeviceError, match=r"speaks version 39, .* version 41, and would end it"):
        Adb(stub.program).devices()
    assert stub.calls() == [["version"]]


def test_no_server_is_an_error_with_adb_s_own_words(stub: AdbStub) -> None:
    stub.answer("^start-server$", stderr="* failed to start daemon\nerror: cannot connect to daemon\n", exit=1)
    with pytest.raises(UnreachableError, match="the adb server cannot be reached or started"):
        Adb(stub.program).devices()


def test_a_cut_answer_with_exit_code_0_is_a_transient_error(stub: AdbStub, adb: Adb) -> None:
    stub.answer(SHELL, action="cut", at=10, times=1)
    with pytest.raises(LinkError, match="the device's answer was cut off") as caught:
        shell(adb, "echo first; echo second")
    assert caught.value.transient
    assert shell(adb, "echo first; echo second") == b"first\nsecond\n"


@pytest.mark.parametrize(
    ("stderr", "expected", "transient"),
    [
        ("error: device offline\n", UnreachableError, True),
        ("error: device 'phone' not found\n", UnreachableError, True),
        (UNAUTHORIZED, UnreachableError, False),
        (NO_PERMISSION, UnreachableError, False),
        ("error: closed\n", LinkError, True),
        ("error: something new\n", LinkError, True),
    ],
)
def test_adb_s_refusals_are_typed(
    stderr: str, expected: type[DeviceError], transient: bool, stub: AdbStub, adb: Adb
) -> None:
    stub.answer(SHELL, stderr=stderr, exit=1)
    with pytest.raises(expected) as caught:
        shell(adb, "echo")
    assert caught.value.transient is transient


def test_a_device_is_asked_once_for_its_features_and_an_old_one_gets_another_command(stub: AdbStub, adb: Adb) -> None:
    stub.features = "cmd"
    stub.save()
    assert shell(adb, "echo hi; echo no >&2") == b"hi\nno\n"
    assert shell(adb, script_call("exit 7")) == b""
    calls = [call[2:] for call in stub.calls() if call[0] == "-s"]
    assert [call[0] for call in calls] == ["features", "exec-out", "exec-out"]


def test_an_offline_device_is_no_old_one(stub: AdbStub, adb: Adb) -> None:
    stub.answer("features", stderr="error: device offline\n", exit=1, times=1)
    with pytest.raises(UnreachableError):
        shell(adb, "echo")
    shell(adb, "echo")
    assert stub.calls()[-1][2:5] == ["shell", "-n", "-T"]


def test_output_that_is_no_text_comes_back_as_it_is(adb: Adb) -> None:
    assert shell(adb, r"printf '\377\000\r\n\033[2J'") == b"\xff\x00\r\n\x1b[2J"


def test_a_hundred_megabytes_are_an_error_and_not_kept(stub: AdbStub, adb: Adb) -> None:
    stub.answer(SHELL, action="endless")
    started = time.monotonic()
    with pytest.raises(ProgramError, match=r"printed more than 8 MiB"):
        shell(adb, "echo")
    assert time.monotonic() - started < 5


def test_a_slow_command_is_told_from_a_silent_device(stub: AdbStub, adb: Adb) -> None:
    stub.answer("sleep 3010", action="hang")
    with pytest.raises(ProgramError, match=r"took longer than 0.5 s, while the device still answers") as slow:
        shell(adb, "sleep 3010", timeout_s=0.5)
    assert not slow.value.transient


def test_a_silent_device_is_a_transient_error(stub: AdbStub, adb: Adb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_bench.adb.client._PROBE_TIMEOUT_S", 0.3)
    stub.answer(SHELL, action="hang")
    with pytest.raises(LinkError, match=r"gave no answer in 0.3 s.*switch USB debugging off and on") as silent:
        shell(adb, "echo", timeout_s=0.3)
    assert silent.value.transient


def test_a_hanging_adb_is_a_transient_error(stub: AdbStub, adb: Adb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_bench.adb.client._LIST_TIMEOUT_S", 0.3)
    stub.answer("^devices", action="hang")
    with pytest.raises(LinkError, match=r"`adb devices` did not end in 0.3 s"):
        adb.devices()


def test_a_stop_ends_the_call_and_leaves_no_adb(stub: AdbStub) -> None:
    stop = threading.Event()
    adb = Adb(stub.program, stop=stop)
    adb.devices()
    stub.answer(SHELL, action="hang")
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Stopped):
        shell(adb, "echo")
    assert gone(str(stub.program))


def test_clean_up_goes_on_after_a_stop(stub: AdbStub) -> None:
    stop = threading.Event()
    stop.set()
    adb = Adb(stub.program, stop=stop)
    with adb.shielded():
        assert shell(adb, "echo hi") == b"hi\n"
    with pytest.raises(Stopped):
        shell(adb, "sleep 1")


def test_ctrl_c_leaves_no_adb(stub: AdbStub) -> None:
    stub.answer(SHELL, action="hang")
    call = f"Adb({str(stub.program)!r}).shell('phone', 'echo', mark='m', timeout_s=60)"
    code = f"from device_bench.adb.client import Adb\n{call}"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE) as process:
        while not any("shell" in call for call in stub.calls()):
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in stderr
    assert gone(str(stub.program))


def test_the_list_of_devices_is_read(adb: Adb) -> None:
    (row,) = adb.devices()
    assert (row.serial, row.model, row.problem) == ("phone", "m", None)


def test_the_environment_can_name_the_device(stub: AdbStub, adb: Adb, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.devices = "a  device\nb  device\n"
    stub.save()
    with pytest.raises(UsageError, match="2 devices are attached"):
        adb.choose()
    monkeypatch.setenv("ANDROID_SERIAL", "b")
    assert [row.serial for row in adb.choose().devices] == ["b"]


def test_a_network_device_is_connected_before_it_is_chosen(stub: AdbStub, adb: Adb) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        adb.choose("10.0.0.7:5555")
    words = [call for call in stub.calls() if call[0] in ("disconnect", "connect")]
    assert words == [["disconnect", "10.0.0.7:5555"], ["connect", "10.0.0.7:5555"]]


@pytest.mark.parametrize(
    ("stdout", "words"),
    [
        ("failed to connect to '127.0.0.1:5999': Connection refused", "does not take the connection"),
        ("failed to authenticate to 127.0.0.1:5999", "has not authorized this computer"),
        ("missing port in specification: tcp:x", "adb cannot connect"),
    ],
)
def test_a_connection_that_failed_with_exit_code_0_is_an_error(
    stdout: str, words: str, stub: AdbStub, adb: Adb
) -> None:
    stub.answer("^connect", stdout=stdout + "\n", exit=0)
    with pytest.raises(UnreachableError, match=words):
        adb.connect("127.0.0.1:5999")


def test_a_lost_network_device_is_disconnected_first_since_adb_believes_it_connected(stub: AdbStub, adb: Adb) -> None:
    stub.answer("^connect", stdout="already connected to 127.0.0.1:5555\n")
    stub.answer(SHELL, stderr="error: device offline\n", exit=1, times=2)
    adb.reconnect("127.0.0.1:5555")
    words = [call[0] for call in stub.calls() if call[0] in ("disconnect", "connect")]
    assert words == ["disconnect", "connect"] * 3


def test_a_lost_usb_device_is_waited_for(stub: AdbStub, adb: Adb) -> None:
    stub.answer(SHELL, stderr="error: device 'phone' not found\n", exit=1, times=2)
    adb.reconnect("phone")
    assert not any(call[0] in ("disconnect", "connect") for call in stub.calls())


def test_a_device_that_stays_away_is_an_error_after_the_patience(stub: AdbStub, adb: Adb) -> None:
    stub.answer(SHELL, stderr="error: device 'phone' not found\n", exit=1)
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="adb does not see it"):
        adb.reconnect("phone", patience_s=0.5)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_failed_push_is_understood_on_either_stream(stream: str, stub: AdbStub, adb: Adb, tmp_path: Path) -> None:
    text = "adb: error: failed to copy 'a' to '/b': remote write failed: No space left on device\n"
    said: dict[str, Any] = {stream: text}
    stub.answer("\0push\0", exit=1, **said)
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StorageError, match="its disk is full"):
        adb.push("phone", tmp_path / "a", "/b")


def test_an_adb_for_another_machine_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "adb"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    program.chmod(0o755)
    with pytest.raises(DeviceError, match=r"cannot run .* as adb: Exec format error; name another one with ADB=PATH"):
        Adb(program).devices()
