"""The programs that run on a device, read from its own /proc."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from device_bench.lab.recipe import QEMU

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A program."""

    pid: int
    parent: int
    state: str
    """As the kernel writes it: R running, S sleeping, T stopped, Z ended and not yet reaped, …"""
    argv: tuple[str, ...]
    """Without the emulator's own words."""
    rss_bytes: int


def list_processes(proc: Path) -> list[Process]:
    """All but process 1, which is the lab's own."""
    pids = sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal())
    found = []
    for pid in pids:
        # It may end while it is looked at.
        with suppress(OSError):
            found.append(_read(proc / str(pid), pid))
    return [process for process in found if process.pid != 1]


def kill_larger(proc: Path, limit_bytes: int, spared: int | None) -> list[Process]:
    """Kills every program that has more than `limit_bytes` in memory, and tells which."""
    victims = [process for process in list_processes(proc) if process.rss_bytes > limit_bytes and process.pid != spared]
    for victim in victims:
        with suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGKILL)
    return victims


def _read(folder: Path, pid: int) -> Process:
    # The name stands in parentheses and may hold anything, parentheses and spaces included.
    state, parent = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
    words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
    if words[0].endswith(QEMU):
        words = words[1:]
    rss_pages = int((folder / "statm").read_text("ascii").split()[1])
    return Process(pid=pid, parent=int(parent), state=state, argv=tuple(words), rss_bytes=rss_pages * _PAGE_BYTES)
