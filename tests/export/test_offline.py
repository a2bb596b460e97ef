"""A process that has given up connections has none, and one that cannot give them up says so."""

import platform
import socket
import sys
import threading

import pytest

from export.offline import forbid_connections
from models.errors import NotInstalledError
from models.worker import Report, run_in_worker


def refusals(_: Report) -> list[str]:
    """What opening sockets gives afterwards, here and in a thread."""
    here, there = socket.socketpair()
    forbid_connections()
    found = []

    def attempt(family: socket.AddressFamily) -> None:
        try:
            socket.socket(family).close()
            found.append("open")
        except OSError as error:
            found.append(type(error).__name__)

    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        attempt(family)
    thread = threading.Thread(target=attempt, args=(socket.AF_INET,))
    thread.start()
    thread.join()
    here.send(b"still")
    return [*found, there.recv(5).decode()]


def test_no_socket_can_be_opened_and_open_ones_go_on() -> None:
    try:
        found = run_in_worker(refusals)
    except NotInstalledError as error:
        pytest.skip(str(error))
    assert found == ["PermissionError"] * 4 + ["still"]


def test_other_systems_are_told_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NotInstalledError, match=r"only Linux on x86_64 or aarch64 can keep .* this is darwin on"):
        forbid_connections()
    monkeypatch.undo()
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(NotInstalledError, match=f"this is {sys.platform} on riscv64; run this command there"):
        forbid_connections()
