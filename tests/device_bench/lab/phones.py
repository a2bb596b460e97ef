"""A device of the lab and a private adb server, as tests use them."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_bench.lab import lab
from device_bench.lab.devices import lookup
from device_bench.lab.state import LabDevice, RunningProcess, find_process

_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class AdbServer:
    """A private adb server."""

    program: str
    port: int

    def run(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """What adb said."""
        return subprocess.run(
            [self.program, "-P", str(self.port), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )


@dataclass(frozen=True, slots=True)
class LabPhone:
    """A device that is up and connected."""

    name: str
    serial: str
    server: AdbServer

    def adb(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """What adb said to a command for this device."""
        return self.server.run("-s", self.serial, *words, timeout_s=timeout_s)

    def shell(self, script: str, *, timeout_s: float = 60.0) -> str:
        """What a script printed that must succeed."""
        result = self.adb("shell", "-n", "-T", script, timeout_s=timeout_s)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def control(self, action: str, *arguments: str) -> Any:
        """Does one of the lab's actions."""
        return lab.control(self.name, action, *arguments)

    def connect(self) -> None:
        """Returns when the device answers again."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            self.server.run("disconnect", self.serial)
            said = self.server.run("connect", self.serial).stdout
            if self.server.run("-s", self.serial, "get-state").stdout.strip() == "device":
                return
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def heal(self) -> None:
        """Switches all faults off."""
        spec = lookup(self.name)
        for action in ("unstall", "accept"):
            self.control(action)
        self.control("rate", str(spec.rate_bytes_per_s or "none"))
        for action in ("memory", "max-frequency"):
            self.control(action, "none")
        self.control("disk", str(spec.data_bytes))
        if not spec.data_options:
            self.control("data", "rw")
        self.control("thermal-status", "0")
        self.control("temperature", "30")
        if self.control("status")["adbd"]:
            self.control("continue-adbd")
        else:
            self.control("start-adbd")
        self.connect()


def host_processes(device: LabDevice) -> set[RunningProcess]:
    """Every process of a device, as this machine sees it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1]
                )
    pids = {process.pid for process in device.processes}
    while more := {pid for pid, parent in parents.items() if parent in pids} - pids:
        pids |= more
    return {process for pid in pids if (process := find_process(pid))}
