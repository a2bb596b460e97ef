"""Single checks: what they say of machines that lack something, and of programs that misbehave."""

import importlib.util
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from device_bench.doctor import machine, phones, programs
from device_bench.doctor.examine import check_lab
from device_bench.doctor.programs import OPTIONAL, ask, check_program
from tests.programs import first_lines


class Usage(NamedTuple):
    """As `shutil.disk_usage` answers."""

    total: int
    used: int
    free: int


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts Python programs on a PATH that has nothing else."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, code: str) -> Path:
        (folder / name).write_text(first_lines() + code)
        (folder / name).chmod(0o755)
        return folder / name

    return put


# The machine


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), "wrong"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "wrong")]
)
def test_pythons_of_the_project_are_right(
    version: tuple[int, int], state: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    found = machine.check_python(tmp_path)
    assert (found.state, found.blocks) == (state, state == "wrong")


def made(root: Path) -> Path:
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/made-from").touch()
    python = root / ".venv/bin/python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    return root


def test_an_environment_that_is_made_is_ok(tmp_path: Path) -> None:
    assert machine.check_environment(made(tmp_path)).found == "made"


def test_an_environment_whose_python_is_broken_is_made_anew(tmp_path: Path) -> None:
    (made(tmp_path) / ".venv/bin/python").write_text("#!/bin/sh\nexit 3\n")
    found = machine.check_environment(tmp_path)
    assert (found.state, found.found, found.remedy) == ("wrong", "its Python failed (code 3)", "make clean setup")
    assert found.blocks


def test_an_environment_that_lacks_packages_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(made(tmp_path) / ".venv"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else object())
    found = machine.check_environment(tmp_path)
    assert (found.state, found.found, found.remedy) == ("wrong", "lacks tf2onnx", "make clean setup")
    assert found.blocks


def test_without_an_environment_uv_or_venv_will_do(
    tmp_path: Path, tools: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine.check_environment(tmp_path).state == "ok"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert machine.check_environment(tmp_path).blocks
    tools("uv", "")
    assert machine.check_environment(tmp_path).found == "not made yet: the first make does it"


def test_a_disk_wants_room_for_what_is_not_made_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(9_000_000_000, 0, 2_000_000_000))
    found = machine.check_disk(tmp_path)
    assert (found.state, found.found, found.blocks) == ("missing", "2.0 GB free, 5.0 GB wanted", True)
    assert machine.check_disk(made(tmp_path)).state == "ok"


def test_a_folder_that_cannot_be_written_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert machine.check_disk(tmp_path).found == f"{tmp_path} cannot be written"


def test_little_memory_is_said_and_forbids_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: "MemTotal: 1000000 kB\nMemAvailable:  900000 kB\n")
    found = machine.check_memory(tmp_path)
    assert (found.state, found.found, found.blocks) == ("wrong", "0.9 GB free, 5.0 GB wanted", False)


def test_a_gpu_is_named_and_so_is_what_it_lacks(
    tmp_path: Path, tools: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine.check_gpu(tmp_path).found == "no nvidia-smi"
    tools("nvidia-smi", "print('NVIDIA H100 80GB HBM3, 81559 MiB, 575.57.08')\n")
    monkeypatch.setattr(programs, "PATIENCE_S", 30)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    found = machine.check_gpu(tmp_path)
    assert found.state == "wrong"
    assert found.found.startswith("NVIDIA H100 80GB HBM3, 81559 MiB, 575.57.08, unused")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert machine.check_gpu(tmp_path).state == "ok"


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        ("import sys; sys.exit('NVIDIA-SMI has failed: Driver/library version mismatch')", "wrong", "mismatch"),
        ("import sys; sys.exit(9)", "wrong", "failed (code 9)"),
        ("import time; time.sleep(60)", "unknown", "gave no answer in 0.3 s"),
    ],
)
def test_a_driver_that_fails_or_hangs_is_said(
    code: str, state: str, words: str, tmp_path: Path, tools: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(programs, "PATIENCE_S", 0.3 if "sleep" in code else 30)
    tools("nvidia-smi", code + "\n")
    found = machine.check_gpu(tmp_path)
    assert found.state == state
    assert words in found.found


# Programs


def test_an_answer_is_bounded_and_cannot_steer_the_terminal(
    tools: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "PATIENCE_S", 30)
    tools("talker", r"print('a\x1b[31mb\n\n c ')" + "\n")
    assert ask("talker").lines == ("a [31mb", "c")
    tools("flood", "print('x' * 10_000_000)\n")
    assert ask("flood").failure is not None
    assert ask("absent").missing


@pytest.mark.parametrize("row", OPTIONAL, ids=lambda row: row.names[0])
def test_an_optional_program_is_found_or_says_what_it_is_for(
    row: programs.Optional, tmp_path: Path, tools: Callable[[str, str], Path]
) -> None:
    found = check_program(row, tmp_path)
    assert (found.state, found.needed_by, found.remedy, found.blocks) == ("missing", row.needed_by, row.remedy, False)
    path = tools(row.names[-1], "")
    found = check_program(row, tmp_path)
    assert (found.state, found.found) == ("ok", str(path))


def test_a_host_without_the_labs_tools_says_which(
    tmp_path: Path, tools: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    del tools
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    found = check_lab(tmp_path)
    assert found.state == "missing"
    assert found.remedy is not None


# Phones


@contextmanager
def listening(answer: bytes | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Something at adb's port that gives this answer to the first who asks; None keeps silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        monkeypatch.delenv("ADB_SERVER_SOCKET", raising=False)
        done = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                if answer is not None:
                    connection.sendall(answer)
                else:
                    done.wait(30)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port
        finally:
            done.set()
            thread.join()


def answered(text: str) -> bytes:
    return b"OKAY%04x" % len(text) + text.encode()


def test_phones_of_a_running_server_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "8A1X0  device usb:1-1 product:oriole model:Pixel_6 device:oriole transport_id:1\n"
    with listening(answered(text), monkeypatch):
        found = phones.check_phones(tmp_path)
    assert (found.state, found.found) == ("ok", "8A1X0 (Pixel_6)")


def test_a_phone_that_has_not_allowed_this_computer_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(answered("8A1X0  unauthorized usb:1-1 transport_id:1\n"), monkeypatch):
        found = phones.check_phones(tmp_path)
    assert found.state == "wrong"
    assert "accept `Allow USB debugging?`" in found.found


def test_a_server_without_phones_leads_to_the_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(answered(""), monkeypatch):
        found = phones.check_phones(tmp_path)
    assert (found.state, found.found) == ("missing", "none on adb")
    assert "make lab" in (found.remedy or "")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"OKAY", b"OKAYffff", b"OKAYzzzz", b"", None])
def test_what_is_no_adb_server_is_said(answer: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phones, "PATIENCE_S", 0.3 if answer is None else 30)
    with listening(answer, monkeypatch) as port:
        found = phones.check_phones(tmp_path)
    assert found.state == "wrong"
    assert found.found.startswith(f"port {port} of 127.0.0.1 answers, but not as an adb server does")
    assert found.remedy == "end what listens there, or choose another port with ANDROID_ADB_SERVER_PORT"


def test_without_a_server_the_bus_tells_and_none_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: Callable[[str, str], Path]
) -> None:
    tools("adb", f"open({str(tmp_path / 'started')!r}, 'w')\n")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(closed.getsockname()[1]))
        monkeypatch.delenv("ADB_SERVER_SOCKET", raising=False)
        monkeypatch.setattr(phones, "USB_FOLDER", tmp_path / "usb")
        assert phones.check_phones(tmp_path).state == "unknown"
        for number, protocol in enumerate(["01", "50"]):
            interface = tmp_path / f"usb/1-1:1.{number}"
            interface.mkdir(parents=True)
            for file, value in {**phones.ADB_INTERFACE, "bInterfaceProtocol": protocol}.items():
                (interface / file).write_text(f"{value}\n")
        assert phones.check_phones(tmp_path).found == "1 on USB; no adb server runs yet"
        shutil.rmtree(tmp_path / "usb/1-1:1.0")
        found = phones.check_phones(tmp_path)
    assert (found.state, found.found.split(";")[0]) == ("missing", "none on USB")
    assert not (tmp_path / "started").exists()


def test_adb_is_found_or_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert phones.check_adb(tmp_path).state == "ok"
    monkeypatch.setenv("ADB", "/nowhere/adb")
    found = phones.check_adb(tmp_path)
    assert (found.state, found.remedy) == ("missing", "give the path of an executable adb")
