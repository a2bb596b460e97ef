"""Which adb program and which adb server: found and checked before anything is started."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import DeviceError, UsageError

_PORT = 5037  # adb's own default
_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where an adb server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def find_adb(program: str | Path | None = None) -> Path:
    """The adb to use: the one given, else `ADB` of the environment, else on PATH, else the adbutils wheel's.

    Raises:
        UsageError: there is none, or the one named cannot be run.
    """
    named = program or os.environ.get("ADB")
    if named:
        found = shutil.which(Path(named).expanduser())
        if not found:
            raise UsageError(
                f"no program {str(named)!r}, which {'was given' if program else 'ADB names'} as adb; "
                "give the path of an executable adb"
            )
        return Path(found).absolute()
    if found := shutil.which("adb"):
        return Path(found).absolute()
    package = importlib.util.find_spec("adbutils")
    for folder in (package.submodule_search_locations or ()) if package else ():
        bundled = Path(folder) / "binaries" / "adb"
        if os.access(bundled, os.X_OK):
            return bundled
    raise UsageError(
        "no adb on PATH and none in the adbutils package; install Android's platform-tools (Debian: `adb`), "
        "or name the program with ADB=PATH"
    )


def parse_address(text: str) -> ServerAddress:
    """The address in `host:port` or `[IPv6]:port`.

    Raises:
        UsageError: it is something else.
    """
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([A-Za-z0-9][\w.-]*)):([0-9]{1,5})", text)
    if not found or not 0 < int(found[3]) < 2**16:
        raise UsageError(f"{text!r} is no address of an adb server; give host:port, such as rack7:5037")
    return ServerAddress(host=found[1] or found[2], port=int(found[3]))


def is_network_serial(serial: str) -> bool:
    """Whether a serial is the `host:port` of a device on the network, which `adb connect` can reach."""
    return re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9][\w.-]*):[0-9]{1,5}", serial) is not None


def server_from_environment(environment: Mapping[str, str]) -> ServerAddress | None:
    """Where adb itself will look for its server; None for a kind of socket that is not TCP."""
    port = environment.get("ANDROID_ADB_SERVER_PORT", "")
    address = environment.get("ADB_SERVER_SOCKET", "")
    if not address:
        host = environment.get("ANDROID_ADB_SERVER_ADDRESS") or "127.0.0.1"
        return ServerAddress(host=host, port=int(port) if port.isdecimal() else _PORT)
    found = re.fullmatch(r"tcp:(?:(.+):)?([0-9]{1,5})", address)
    return ServerAddress(host=found[1] or "127.0.0.1", port=int(found[2])) if found else None


def server_version(address: ServerAddress) -> int | None:
    """The version that a running server speaks; None if none listens.

    Raises:
        DeviceError: something listens that does not answer as an adb server does.
    """
    try:
        with socket.create_connection((address.host, address.port), timeout=_PATIENCE_S) as connection:
            connection.sendall(b"000Chost:version")
            answer = _receive(connection, 12)
    except ConnectionRefusedError:
        return None
    except OSError as error:
        raise DeviceError(
            f"no adb server answers at {address}: {error.strerror or error}; "
            "check the address, or start a server there with `adb start-server`",
            transient=True,
        ) from error
    found = re.fullmatch(rb"OKAY0004([0-9A-Fa-f]{4})", answer)
    if not found:
        raise DeviceError(
            f"what listens at {address} is no adb server: it answered {answer[:20]!r}; "
            "choose another port with ANDROID_ADB_SERVER_PORT"
        )
    return int(found[1], 16)


def client_version(text: str) -> int | None:
    """The version that a client speaks, from `adb --version`: 41 for `Android Debug Bridge version 1.0.41`."""
    found = re.search(r"Android Debug Bridge version \d+\.\d+\.(\d+)", text)
    return int(found[1]) if found else None


def check_versions(program: Path, client: int | None, server: int | None, address: ServerAddress) -> None:
    """Refuses a client that would end the running server, and so the sessions of everybody who uses it.

    Raises:
        DeviceError: the two speak different versions.
    """
    if client is not None and server is not None and client != server:
        raise DeviceError(
            f"the adb server at {address} speaks version {server}, {program} version {client}, and would end it with "
            "all its connections; name the adb that started it with ADB=PATH, or use a server of your own with "
            "ANDROID_ADB_SERVER_PORT=5038"
        )


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size and (more := connection.recv(size - len(received))):
        received += more
    return received
