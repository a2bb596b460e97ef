"""Starts a device in namespaces of its own, and speaks to it."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from device_bench.lab.archive import Archive, unpack_root
from device_bench.lab.devices import DeviceSpec, preferred_port
from device_bench.lab.guest import Order
from device_bench.lab.host import NAMESPACES, tool_environment
from device_bench.lab.programs import Programs
from device_bench.lab.state import (
    LabDevice,
    RunningProcess,
    find_process,
    make_run_folder,
    remove_run_folder,
    run_folder,
    save_device,
)
from models.errors import LabError

_REPOSITORY = Path(__file__).resolve().parents[2]
_START_S = 60.0
_ANSWER_S = 30.0
_LONGEST_ANSWER_BYTES = 2**22
_CONTROL = "control"
# Isolated: what the user's environment adds to Python's path is no part of the lab.
_GUEST = "import sys; sys.path.insert(0, sys.argv[1]); from device_bench.lab.guest import main; main()"


def start_device(spec: DeviceSpec, archive: Archive) -> LabDevice:
    """The device, started and ready to be connected to.

    Raises:
        LabError: it did not start, with what it said last.
        OutputError: its folder cannot be made.
    """
    unpack_root(Programs(), archive, spec.architecture)
    folder = make_run_folder(spec.name)
    try:
        with _listen_on_loopback(preferred_port(spec)) as listener, _listen_in(folder) as control:
            return _launch(spec, archive, listener, control)
    except BaseException:
        remove_run_folder(spec.name)
        raise


def free_port() -> int:
    """A loopback port that nobody uses. A socket bound to it by number keeps it when it stops listening for a while."""
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        port: int = any_socket.getsockname()[1]
        return port


def ask(name: str, request: tuple[str, Any]) -> Any:
    """The device's answer to a request.

    Raises:
        LabError: it could not do what was asked, or does not answer.
    """
    folder = os.open(run_folder(name), os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(_ANSWER_S)
            channel.connect(_short(folder))
            channel.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(_read_line(channel, time.monotonic() + _ANSWER_S))
    except (OSError, ValueError) as error:
        raise LabError(f"the lab device {name} does not answer: {error}; make lab-down, then make lab") from None
    finally:
        os.close(folder)
    if "error" in answer:
        raise LabError(f"the lab device {name} could not {request[0]}: {answer['error']}; ask for its status")
    return answer["value"]


def _launch(spec: DeviceSpec, archive: Archive, listener: socket.socket, control: socket.socket) -> LabDevice:
    folder = run_folder(spec.name)
    host, port = listener.getsockname()
    with _answers() as (answer, ready), (folder / "log").open("wb") as log:
        order = Order(
            spec=spec,
            lower=str(archive.root(spec.architecture)),
            place=str(folder / "device"),
            emulator=str(archive.qemu) if spec.cpu else None,
            listener=listener.fileno(),
            control=control.fileno(),
            ready=ready.fileno(),
        )
        process = subprocess.Popen(  # noqa: S603 - words of our own, never a shell
            ["unshare", *NAMESPACES, sys.executable, "-I", "-c", _GUEST, str(_REPOSITORY)],  # noqa: S607 - PATH is ours
            env=tool_environment(),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(order.listener, order.control, order.ready),
            start_new_session=True,
        )
        try:
            device = _describe(spec, archive, f"{host}:{port}", process.pid)
            # Before it is ready: were this process killed now, `down` would still find it.
            save_device(device)
            if process.stdin:
                with suppress(BrokenPipeError), process.stdin as stdin:
                    stdin.write(order.to_json().encode())
            ready.close()
            _await_ready(answer, spec.name, folder / "log")
            device = _describe(spec, archive, f"{host}:{port}", process.pid)
            save_device(device)
        except BaseException:
            # --kill-child: everything inside dies with it.
            process.kill()
            process.wait()
            raise
    # It outlives this process, which must not wait for it.
    process.returncode = 0
    return device


def _describe(spec: DeviceSpec, archive: Archive, address: str, pid: int) -> LabDevice:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    found: list[RunningProcess | None] = [find_process(number) for number in (pid, *map(int, children))]
    return LabDevice(
        name=spec.name,
        address=address,
        architecture=spec.architecture,
        archive=archive.key,
        processes=tuple(process for process in found if process),
    )


def _await_ready(answer: socket.socket, name: str, log: Path) -> None:
    try:
        said = json.loads(_read_line(answer, time.monotonic() + _START_S))
        reason = said.get("error")
    except (OSError, ValueError):
        lines = log.read_text("utf-8", "replace").split("\n")
        said_last = " | ".join(line.strip() for line in lines if line.strip())[-400:]
        reason = said_last or "it said nothing"
    if reason:
        raise LabError(f"the lab device {name} did not start: {reason}; make lab-down, then make lab")


def _read_line(channel: socket.socket, deadline: float) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        if not select.select([channel], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError("no answer in time")
        piece = channel.recv(2**16)
        if not piece:
            raise ConnectionError("it ended")
        received += piece
        if len(received) > _LONGEST_ANSWER_BYTES:
            raise ConnectionError("an endless answer")
    return received


@contextmanager
def _answers() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@contextmanager
def _listen_on_loopback(preferred: int) -> Iterator[socket.socket]:
    """A socket in the host's network; the device inherits it, and accepts in a network namespace of its own."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", preferred))
        except OSError:
            # Somebody else's, perhaps another user's lab. The address is told, so any will do.
            listener.bind(("127.0.0.1", free_port()))
        yield listener


@contextmanager
def _listen_in(folder: Path) -> Iterator[socket.socket]:
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(_short(descriptor))
            listener.listen(4)
            yield listener
    finally:
        os.close(descriptor)


def _short(folder: int) -> str:
    # The address of such a socket has at most 107 bytes, and a cache folder may have more.
    return f"/proc/self/fd/{folder}/{_CONTROL}"
