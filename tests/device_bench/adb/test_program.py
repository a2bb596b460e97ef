"""Which adb is taken, and which server it may speak to."""

import importlib.util
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device_bench.adb import program as adb_program
from device_bench.adb.program import (
    ServerAddress,
    check_versions,
    client_version,
    find_adb,
    is_network_serial,
    parse_address,
    server_from_environment,
    server_version,
)
from models.errors import DeviceError, UsageError
from tests.device_bench.adb_stub import free_port


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@contextmanager
def server(answer: bytes) -> Iterator[ServerAddress]:
    """A server that gives one answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                assert connection.recv(100) == b"000Chost:version"
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield ServerAddress(host="127.0.0.1", port=listening.getsockname()[1])
        thread.join()


def test_the_one_given_comes_before_the_environment_and_that_before_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, named, found = (program(tmp_path / name / "adb") for name in ("given", "named", "found"))
    monkeypatch.setenv("PATH", str(found.parent))
    monkeypatch.setenv("ADB", str(named))
    assert find_adb(given) == given
    assert find_adb() == named
    monkeypatch.setenv("ADB", "")
    assert find_adb() == found


def test_the_wheel_s_adb_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADB", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    program(tmp_path / "adbutils" / "binaries" / "adb")
    # Never imported: it would load Pillow and more.
    (tmp_path / "adbutils" / "__init__.py").write_text("raise AssertionError")
    importlib.invalidate_caches()
    assert find_adb() == tmp_path / "adbutils" / "binaries" / "adb"


def test_without_any_adb_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADB", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"no adb on PATH.*platform-tools.*ADB=PATH"):
        find_adb()


@pytest.mark.parametrize("name", ["/no/such/adb", "a folder", "not executable"])
def test_a_named_adb_that_cannot_run_is_not_replaced_by_another(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a folder").mkdir()
    (tmp_path / "not executable").write_text("")
    monkeypatch.setenv("ADB", str(tmp_path / name))
    with pytest.raises(UsageError, match="which ADB names as adb; give the path of an executable adb"):
        find_adb()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("rack7:5037", "rack7", 5037), ("10.0.0.7:1", "10.0.0.7", 1), ("[::1]:5037", "::1", 5037)],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    assert parse_address(text) == ServerAddress(host=host, port=port)
    assert str(parse_address(text)) == text


@pytest.mark.parametrize("text", ["", "rack7", "rack7:", ":5037", "rack7:0", "rack7:65536", "-P:1", "a b:1", "a:1\n"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no address of an adb server; give host:port"):
        parse_address(text)


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "127.0.0.1:5037"),
        ({"ANDROID_ADB_SERVER_PORT": "5038"}, "127.0.0.1:5038"),
        ({"ANDROID_ADB_SERVER_ADDRESS": "rack7", "ANDROID_ADB_SERVER_PORT": "5038"}, "rack7:5038"),
        ({"ADB_SERVER_SOCKET": "tcp:5039", "ANDROID_ADB_SERVER_PORT": "1"}, "127.0.0.1:5039"),
        ({"ADB_SERVER_SOCKET": "tcp:rack7:5039"}, "rack7:5039"),
        ({"ADB_SERVER_SOCKET": "localfilesystem:/run/adb"}, "None"),
    ],
)
def test_the_server_is_looked_for_where_adb_will(environment: dict[str, str], address: str) -> None:
    assert str(server_from_environment(environment)) == address


def test_a_running_server_tells_its_version() -> None:
    with server(b"OKAY00040029") as address:
        assert server_version(address) == 41


def test_where_nothing_listens_no_server_runs() -> None:
    assert server_version(ServerAddress(host="127.0.0.1", port=free_port())) is None


def test_another_service_on_the_port_is_an_error() -> None:
    with (
        server(b"HTTP/1.1 400 Bad") as address,
        pytest.raises(DeviceError, match=r"is no adb server: it answered b'HTTP"),
    ):
        server_version(address)


def test_a_server_that_does_not_answer_is_a_transient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb_program, "_PATIENCE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = ServerAddress(host="127.0.0.1", port=listening.getsockname()[1])
        with pytest.raises(DeviceError, match="no adb server answers") as caught:
            server_version(address)
    assert caught.value.transient


def test_the_client_tells_its_version() -> None:
    assert client_version("Android Debug Bridge version 1.0.41\nVersion 29.0.6-debian\n") == 41
    assert client_version("something else") is None


def test_a_client_that_would_end_a_server_of_another_version_is_refused() -> None:
    address = ServerAddress(host="127.0.0.1", port=5037)
    with pytest.raises(DeviceError, match=r"speaks version 39, /x/adb version 41, and would end it.*ADB=PATH"):
        check_versions(Path("/x/adb"), 41, 39, address)
    for client, running in ((41, 41), (41, None), (None, 39)):
        check_versions(Path("/x/adb"), client, running, address)


@pytest.mark.parametrize(
    ("serial", "network"),
    [
        ("127.0.0.1:5555", True),
        ("phone.local:5555", True),
        ("[fe80::1%eth0]:5555", True),
        ("emulator-5554", False),
        ("0A041FDD4003AL", False),
        ("-x:5555", False),
        ("a b:1", False),
        ("adb-X-y._adb-tls-connect._tcp", False),
    ],
)
def test_serials_of_network_devices_are_known(serial: str, network: bool) -> None:
    assert is_network_serial(serial) is network
