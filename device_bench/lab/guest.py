"""Process 1 of a device: mounts its root, runs adbd in it, forwards the port, obeys the controls.

It gets its order as JSON on standard input and answers once on the descriptor `ready`. It never ends by itself: killing
its parent on the host kills it, and with it everything on the device.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from device_bench.lab.devices import DeviceSpec
from device_bench.lab.phone_files import (
    limit_frequency,
    read_state,
    set_property,
    set_temperature,
    set_thermal_status,
)
from device_bench.lab.processes import kill_larger, list_processes
from device_bench.lab.relay import Relay
from device_bench.lab.rootfs import TOOL_PATH, MountError, mount_device, raise_loopback, remount_data
from device_bench.lab.vsock import deny_vsock

_ADBD = "/usr/lib/android-sdk/platform-tools/adbd"
_ADBD_ADDRESS = ("127.0.0.1", 5555)
_START_S = 20.0
_LOOK_S = 0.05
_LONGEST_REQUEST_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the host tells its guest; descriptors are inherited ones."""

    spec: DeviceSpec
    lower: str
    place: str
    emulator: str | None
    listener: int
    control: int
    ready: int

    def to_json(self) -> str:
        """Text for the guest's standard input."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Value from `to_json`'s form."""
        value = json.loads(text)
        spec = value["spec"]
        options = tuple(spec["data_options"])
        return cls(**{**value, "spec": DeviceSpec(**{**spec, "data_options": options})})


class Guest:
    """A device, seen from inside."""

    def __init__(self, root: Path, spec: DeviceSpec, relay: Relay) -> None:
        self._root = root
        self._relay = relay
        system = "/system/bin:" if spec.android else ""
        self._environment = {"PATH": f"{system}{TOOL_PATH}", "HOME": "/data", "ADBD_PORT": str(_ADBD_ADDRESS[1])}
        if spec.cpu:
            self._environment["QEMU_CPU"] = spec.cpu
        self._adbd: subprocess.Popen[bytes] | None = None
        self._killer: asyncio.Task[None] | None = None
        self._killed: list[dict[str, Any]] = []

    async def start_adbd(self) -> None:
        """Returns when adbd listens.

        Raises:
            RuntimeError: it runs already, ended at once, or did not listen in time.
        """
        if self._adbd is not None:
            raise RuntimeError("adbd runs already")
        self._adbd = self._spawn_adbd()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_S
        while loop.time() < deadline:
            if self._adbd is None:
                raise RuntimeError("adbd ended at once")
            with suppress(OSError):
                _, writer = await asyncio.open_connection(*_ADBD_ADDRESS)
                writer.close()
                return
            await asyncio.sleep(0.01)
        raise RuntimeError(f"adbd did not listen after {_START_S:g} s")

    def _spawn_adbd(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - words of our own, never a shell
            ["chroot", str(self._root), _ADBD],  # noqa: S607 - PATH is ours
            env=self._environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def reap(self) -> None:
        """Buries the dead: every orphan of the device is a child of process 1."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._adbd and pid == self._adbd.pid:
                # Its end is known from now on, and must not be waited for again.
                self._adbd.returncode = -1
                self._adbd = None

    @property
    def actions(self) -> frozenset[str]:
        """Names of all that `obey` knows."""
        with_value, without = self._table()
        return frozenset({*with_value, *without, "start-adbd"})

    async def obey(self, action: str, value: Any) -> Any:
        """Does one of `ACTIONS`; the answer is plain JSON.

        Raises:
            KeyError: it is none.
            RuntimeError, OSError, MountError: it could not be done.
        """
        if action == "start-adbd":
            return await self.start_adbd()
        with_value, without = self._table()
        return with_value[action](value) if action in with_value else without[action]()

    def _table(self) -> tuple[Mapping[str, Callable[[Any], Any]], Mapping[str, Callable[[], Any]]]:
        root, relay = self._root, self._relay
        with_value: dict[str, Callable[[Any], Any]] = {
            "rate": relay.limit,
            "disk": lambda size: remount_data(root, f"size={size}"),
            "data": lambda option: remount_data(root, option),
            "memory": self._limit_memory,
            "temperature": lambda celsius: set_temperature(root, celsius),
            "thermal-status": lambda status: set_thermal_status(root, status),
            "max-frequency": lambda khz: limit_frequency(root, khz),
            "property": lambda pair: set_property(root, *pair),
        }
        without: dict[str, Callable[[], Any]] = {
            "drop": relay.drop,
            "stall": relay.stall,
            "unstall": relay.unstall,
            "refuse": relay.refuse,
            "accept": relay.accept,
            "kill-adbd": lambda: self._signal(signal.SIGKILL),
            "stop-adbd": lambda: self._signal(signal.SIGSTOP),
            "continue-adbd": lambda: self._signal(signal.SIGCONT),
            "phone": lambda: dict(read_state(root)),
            "ps": lambda: [asdict(process) for process in list_processes(root / "proc")],
            "status": self._status,
        }
        return with_value, without

    def _signal(self, number: signal.Signals) -> None:
        if self._adbd is None:
            raise RuntimeError("adbd does not run")
        self._adbd.send_signal(number)
        if number == signal.SIGKILL:
            self._adbd.wait()
            self._adbd = None

    def _status(self) -> dict[str, Any]:
        return {
            "adbd": self._adbd.pid if self._adbd else None,
            "connections": self._relay.connections,
            "accepting": self._relay.accepting,
            "stalled": self._relay.stalled,
            "rate_bytes_per_s": self._relay.rate_bytes_per_s,
            "killed_for_memory": self._killed,
        }

    def _limit_memory(self, limit_bytes: int | None) -> None:
        if self._killer:
            self._killer.cancel()
            self._killer = None
        if limit_bytes is not None:
            self._killer = asyncio.get_running_loop().create_task(self._kill_larger(limit_bytes))

    async def _kill_larger(self, limit_bytes: int) -> None:
        while True:
            spared = self._adbd.pid if self._adbd else None
            victims = kill_larger(self._root / "proc", limit_bytes, spared)
            self._killed += [asdict(victim) for victim in victims]
            await asyncio.sleep(_LOOK_S)


async def serve(guest: Guest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request: a line of JSON, `[action, value]`."""
    answer: dict[str, Any]
    try:
        action, value = json.loads(await reader.readline())
        answer = {"value": await guest.obey(action, value)}
    except (RuntimeError, OSError, MountError, ValueError, KeyError, TypeError) as error:
        answer = {"error": str(error) or type(error).__name__}
    with suppress(OSError):
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()


async def run(order: Order) -> None:
    """Brings the device up and keeps it up."""
    raise_loopback()
    deny_vsock()
    emulator = Path(order.emulator) if order.emulator else None
    root = mount_device(Path(order.lower), Path(order.place), order.spec, emulator)
    relay = Relay(socket.socket(fileno=order.listener), _ADBD_ADDRESS)
    guest = Guest(root, order.spec, relay)
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, guest.reap)
    await guest.start_adbd()
    relay.limit(order.spec.rate_bytes_per_s)
    relay.accept()
    control = await asyncio.start_unix_server(
        lambda reader, writer: serve(guest, reader, writer),
        sock=socket.socket(fileno=order.control),
        limit=_LONGEST_REQUEST_BYTES,
    )
    _answer(order, {"adbd": "ready"})
    await control.serve_forever()


def main() -> None:
    """Runs the device ordered on standard input."""
    order = Order.from_json(sys.stdin.read())
    os.environ.clear()
    os.environ["PATH"] = TOOL_PATH
    for inherited in (order.listener, order.control, order.ready):
        os.set_inheritable(inherited, False)
    try:
        asyncio.run(run(order))
    except (MountError, OSError, RuntimeError) as error:
        _answer(order, {"error": str(error)})
        sys.exit(1)


def _answer(order: Order, answer: Mapping[str, str]) -> None:
    with suppress(OSError):
        os.write(order.ready, json.dumps(answer).encode() + b"\n")
        os.close(order.ready)
