"""adb, its server and phones, without starting a server: a doctor leaves nothing behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from device_bench.adb.devices import Device, parse_devices
from device_bench.adb.program import ServerAddress, find_adb, server_from_environment
from device_bench.doctor.finding import Finding
from device_bench.doctor.programs import PATIENCE_S
from models.errors import DeviceError, UsageError

BENCH = "make bench, make devices"
USB_FOLDER = Path("/sys/bus/usb/devices")
ADB_INTERFACE = {"bInterfaceClass": "ff", "bInterfaceSubClass": "42", "bInterfaceProtocol": "01"}
"""What a phone with USB debugging on shows on the bus (Android's adb.h)."""
LONGEST_LIST_BYTES = 2**16


def check_adb(_: Path) -> Finding:
    """The program."""
    try:
        return Finding(name="adb", state="ok", found=str(find_adb()), needed_by=BENCH)
    except UsageError as error:
        words, _sep, remedy = str(error).rpartition("; ")
        return Finding(name="adb", state="missing", found=words, needed_by=BENCH, remedy=remedy)


def check_phones(_: Path) -> Finding:
    """What a running adb server sees; where none runs, what the USB bus shows."""
    address = server_from_environment(os.environ)
    if address is None:
        return Finding(
            name="phones", state="unknown", found="ADB_SERVER_SOCKET names no TCP port", needed_by=BENCH,
            remedy="make devices",
        )  # fmt: skip
    try:
        devices = ask_server(address)
    except DeviceError as error:
        words, _sep, remedy = str(error).rpartition("; ")
        return Finding(name="phones", state="wrong", found=words, needed_by=BENCH, remedy=remedy)
    return _without_server(address) if devices is None else _describe(devices)


def ask_server(address: ServerAddress) -> tuple[Device, ...] | None:
    """The devices of a running adb server; None if none listens.

    Raises:
        DeviceError: something listens that does not answer as an adb server does.
    """
    question = b"host:devices-l"
    try:
        with socket.create_connection((address.host, address.port), timeout=PATIENCE_S) as connection:
            connection.settimeout(PATIENCE_S)
            connection.sendall(b"%04x%s" % (len(question), question))
            head = _receive(connection, 8)
            if head[:4] != b"OKAY":
                raise ValueError(head)
            size = int(head[4:], 16)
            text = _receive(connection, min(size, LONGEST_LIST_BYTES)).decode("utf-8", "replace")
        return parse_devices(f"List of devices attached\n{text}")
    except ConnectionRefusedError:
        return None
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"port {address.port} of {address.host} answers, but not as an adb server does ({type(error).__name__}); "
            "end what listens there, or choose another port with ANDROID_ADB_SERVER_PORT"
        ) from error


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        more = connection.recv(size - len(received))
        if not more:
            raise ValueError(received)
        received += more
    return received


def _describe(devices: tuple[Device, ...]) -> Finding:
    if not devices:
        return Finding(
            name="phones", state="missing", found="none on adb", needed_by=BENCH,
            remedy="plug one in and allow USB debugging on its screen, or make lab for an emulated one",
        )  # fmt: skip
    words = ", ".join(f"{device.serial} ({device.problem or device.model or 'ready'})" for device in devices)
    if all(device.problem for device in devices):
        return Finding(name="phones", state="wrong", found=words, needed_by=BENCH, remedy="do what it says")
    return Finding(name="phones", state="ok", found=words, needed_by=BENCH)


def _without_server(address: ServerAddress) -> Finding:
    count = count_on_usb(USB_FOLDER)
    if count:
        return Finding(
            name="phones", state="ok", found=f"{count} on USB; no adb server runs yet", needed_by=BENCH,
            remedy="make devices starts it and says more",
        )  # fmt: skip
    where = "none on USB" if count == 0 else "this system does not tell what is on USB"
    return Finding(
        name="phones", state="missing" if count == 0 else "unknown", needed_by=BENCH,
        found=f"{where}; no adb server at {address} to ask",
        remedy="plug one in with USB debugging on, or make lab for an emulated one; then make devices",
    )  # fmt: skip


def count_on_usb(folder: Path) -> int | None:
    """Interfaces with USB debugging on the bus; None where the system does not tell."""
    try:
        interfaces = list(folder.iterdir())
    except OSError:
        return None
    return sum(
        all(_read(interface / file) == value for file, value in ADB_INTERFACE.items()) for interface in interfaces
    )


def _read(file: Path) -> str | None:
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
