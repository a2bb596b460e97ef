"""What is known on the host about devices that are up: a folder per device, checked against the running processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from device_bench.lab.archive import cache_folder
from models.errors import LabError
from models.files import format_json, output_errors, write_file

_END_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningProcess:
    """A process that cannot be mistaken for a later one of the same number."""

    pid: int
    start_ticks: int
    """Since boot, as the kernel counts."""
    boot: str
    """Which boot."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return find_process(self.pid) == self


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDevice:
    """A device that is up."""

    name: str
    address: str
    """For `adb connect`; its serial."""
    architecture: str
    archive: str
    """Key of the archive that its root is from."""
    processes: tuple[RunningProcess, ...]
    """The one to kill, and process 1 of the device, which dies with it."""

    @property
    def alive(self) -> bool:
        """Whether any of its processes still runs."""
        return any(process.alive for process in self.processes)


def find_process(pid: int) -> RunningProcess | None:
    """The process of that number, if there is one that has not ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return RunningProcess(pid=pid, start_ticks=int(fields[19]), boot=boot)


def run_folder(name: str) -> Path:
    """Where a device keeps its state, its control socket, its log, and the place it is mounted at in its namespace."""
    return cache_folder() / "run" / name


def make_run_folder(name: str) -> Path:
    """An empty folder, for the owner alone.

    Raises:
        OutputError: it cannot be made.
    """
    folder = run_folder(name)
    remove_run_folder(name)
    with output_errors(folder):
        folder.mkdir(mode=0o700, parents=True)
        (folder / "device").mkdir()
    return folder


def remove_run_folder(name: str) -> None:
    """Removes what a device left. Its mounts were in its own namespace: nothing of them is here."""
    shutil.rmtree(run_folder(name), ignore_errors=True)


def save_device(device: LabDevice) -> None:
    """Writes the state."""
    write_file(run_folder(device.name) / "state.json", format_json(asdict(device)).encode())


def load_device(name: str) -> LabDevice | None:
    """The device of that name if it is up; None if it is not, or died."""
    try:
        value = json.loads((run_folder(name) / "state.json").read_bytes())
        processes = tuple(RunningProcess(**process) for process in value["processes"])
        device = LabDevice(**{**value, "processes": processes})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return device if device.alive else None


def end_device(device: LabDevice) -> None:
    """Kills the device and returns when it is gone, with every program on it.

    Raises:
        LabError: something of it still runs after 10 s.
    """
    deadline = time.monotonic() + _END_S
    while device.alive:
        for process in device.processes:
            if process.alive:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in device.processes if process.alive)
            raise LabError(f"the lab device {device.name} does not end: process {pids} survives SIGKILL; reboot")
        time.sleep(0.01)
