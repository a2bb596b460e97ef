"""All checks at once, within a deadline: a check that hangs is one that is not known, and holds up nothing."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from device_bench.doctor import machine, phones, programs
from device_bench.doctor.finding import Finding
from device_bench.lab.host import check_build_tools, check_host
from models.cli import one_line
from models.errors import LabError

DEADLINE_S = 1.5

Check = Callable[[Path], Finding]

MEDIAPIPE_LIBRARIES = {"libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2"}
"""That MediaPipe loads, and Debian's packages of them."""


def check_lab(_: Path) -> Finding:
    """Whether emulated phones can be built and run here."""
    needed_by = "make lab, make lab-test"
    try:
        check_host()
        check_build_tools()
    except LabError as error:
        words, _sep, remedy = str(error).rpartition("; ")
        return Finding(name="lab", state="missing", found=words, needed_by=needed_by, remedy=remedy)
    return Finding(name="lab", state="ok", found="emulated phones can run here", needed_by=needed_by)


def check_mediapipe(_: Path) -> Finding:
    """The libraries of the system that MediaPipe wants."""
    needed_by = ".venv/bin/python -m export parity"
    if sys.platform != "linux":
        return Finding(
            name="MediaPipe", state="missing", found="only Linux can keep it from reporting its use",
            needed_by=needed_by, remedy="use a Linux machine or container",
        )  # fmt: skip
    missing = [package for library, package in MEDIAPIPE_LIBRARIES.items() if not _can_load(library)]
    if missing:
        return Finding(
            name="MediaPipe", state="missing", found=f"lacks {', '.join(missing)}", needed_by=needed_by,
            remedy=f"apt install {' '.join(missing)}",
        )  # fmt: skip
    return Finding(name="MediaPipe", state="ok", found="its libraries are here", needed_by=needed_by)


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "Python": machine.check_python,
        ".venv": machine.check_environment,
        "disk": machine.check_disk,
        "memory": machine.check_memory,
        "GPU": machine.check_gpu,
        "adb": phones.check_adb,
        "phones": phones.check_phones,
        "lab": check_lab,
        "MediaPipe": check_mediapipe,
        **programs.CHECKS,
    }
)
"""By the name of what each finds. The order is that of the output."""


def examine(root: Path, checks: Mapping[str, Check] = CHECKS, *, deadline_s: float = DEADLINE_S) -> tuple[Finding, ...]:
    """What every check found, in their order, after `deadline_s` at the latest."""
    found: dict[str, Finding] = {}
    # Daemons: a program that hangs in the kernel must not hold up the end of this one.
    threads = [
        threading.Thread(target=_run, args=(name, check, root, found), daemon=True) for name, check in checks.items()
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + deadline_s
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    known = dict(found)
    return tuple(known.get(name) or _unanswered(name, deadline_s) for name in checks)


def _run(name: str, check: Check, root: Path, found: dict[str, Finding]) -> None:
    try:
        found[name] = check(root)
    except Exception as error:  # noqa: BLE001 - a doctor who falls ill on one finding still tells the others
        words = f"{type(error).__name__}: {one_line(str(error))[:200]}"
        found[name] = Finding(name=name, state="unknown", found=words, needed_by="-")


def _unanswered(name: str, deadline_s: float) -> Finding:
    return Finding(name=name, state="unknown", found=f"not known within {deadline_s:g} s", needed_by="-")
