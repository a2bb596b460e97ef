"""What `make export` itself stands on: Python, its packages, room on disk and in memory; and a GPU."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from device_bench.doctor.finding import Finding
from device_bench.doctor.programs import ask
from device_bench.state.linux_text import parse_meminfo

EXPORT = "every command"
PYTHONS = ((3, 11), (3, 13))
"""Oldest and newest, as `pyproject.toml` says."""

ENVIRONMENT_BYTES = 3_500_000_000
"""Of `.venv`: 3 GB, and what an installer unpacks meanwhile."""
BUILD_BYTES = 1_500_000_000
"""An export of mobilenet_v2_1.4 leaves 86 MB; the largest network 8 times that, and as much again while it works."""
MEMORY_BYTES = 5_000_000_000
"""All processes of an export together had 4.8 GB at their peak (mobilenet_v2_1.4 on digits, Linux, two CPUs)."""

MODULES = (
    "numpy",
    "PIL",
    "tensorflow",
    "keras",
    "ai_edge_litert",
    "litert_quantizer",
    "onnx",
    "onnxruntime",
    "tf2onnx",
)
"""That an export imports. Looked for, never imported."""


def check_python(_: Path) -> Finding:
    """The interpreter that runs this: the one of `.venv`, or the one that would make it."""
    version, oldest, newest = sys.version_info[:2], *PYTHONS
    words = f"{platform.python_version()} ({sys.executable})"
    if oldest <= version <= newest:
        return Finding(name="Python", state="ok", found=words, needed_by=EXPORT, required=True)
    return Finding(
        name="Python", state="wrong", found=words, needed_by=EXPORT, required=True,
        remedy="install Python 3.11, 3.12 or 3.13 and name it once: make setup PYTHON=/path/to/python3",
    )  # fmt: skip


def check_environment(root: Path) -> Finding:
    """`.venv`, or what is needed to make it."""
    stamp = root / ".venv/made-from"
    if stamp.is_file() and os.access(root / ".venv/bin/python", os.X_OK):
        fault = _find_fault(root)
        if fault:
            return Finding(
                name=".venv", state="wrong", found=fault, needed_by=EXPORT, required=True, remedy="make clean setup"
            )
        return Finding(name=".venv", state="ok", found="made", needed_by=EXPORT, required=True)
    if shutil.which("uv") or all(importlib.util.find_spec(name) for name in ("ensurepip", "venv")):
        return Finding(
            name=".venv", state="ok", found="not made yet: the first make does it", needed_by=EXPORT, required=True
        )
    return Finding(
        name=".venv", state="missing", found="not made, and this Python cannot", needed_by=EXPORT, required=True,
        remedy="apt install python3-venv, or install uv",
    )  # fmt: skip


def _find_fault(root: Path) -> str | None:
    """What keeps a `.venv` that was made from working."""
    if not _is_here(root):
        answer = ask(str(root / ".venv/bin/python"), "-c", "")
        return f"its Python {answer.failure}" if answer.failure and not answer.timed_out else None
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    return f"lacks {', '.join(missing)}" if missing else None


def _is_here(root: Path) -> bool:
    """Whether this very interpreter is the one of `.venv`."""
    return Path(sys.prefix).resolve() == (root / ".venv").resolve()


def check_disk(root: Path) -> Finding:
    """Room where the project lies, and whether it can be written there."""
    needed = BUILD_BYTES + (0 if (root / ".venv/made-from").is_file() else ENVIRONMENT_BYTES)
    free = shutil.disk_usage(root).free
    words = f"{_gigabytes(free)} free, {_gigabytes(needed)} wanted"
    if not os.access(root, os.W_OK):
        return Finding(
            name="disk", state="wrong", found=f"{root} cannot be written", needed_by=EXPORT, required=True,
            remedy="clone it into a folder of your own",
        )  # fmt: skip
    if free < needed:
        return Finding(
            name="disk", state="missing", found=words, needed_by=EXPORT, required=True,
            remedy="free some, or clone the project onto another disk",
        )  # fmt: skip
    return Finding(name="disk", state="ok", found=words, needed_by=EXPORT, required=True)


def check_memory(_: Path) -> Finding:
    """Memory that is free, where the system tells it, else all there is."""
    try:
        free = parse_meminfo(Path("/proc/meminfo").read_text("ascii"), "MemAvailable")
        which = "free"
    except OSError:
        free, which = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "in all"
    if free is None:
        return Finding(name="memory", state="unknown", found="/proc/meminfo does not tell", needed_by=EXPORT)
    words = f"{_gigabytes(free)} {which}, {_gigabytes(MEMORY_BYTES)} wanted"
    if free < MEMORY_BYTES:
        # Swap may help, and so may patience: it is said, but nothing is forbidden.
        return Finding(name="memory", state="wrong", found=words, needed_by=EXPORT, remedy="close other programs")
    return Finding(name="memory", state="ok", found=words, needed_by=EXPORT)


def check_gpu(_: Path) -> Finding:
    """NVIDIA's GPUs, by their driver's own program."""
    needed_by = "faster make train; make baseline"
    answer = ask("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    if answer.missing:
        return Finding(
            name="GPU", state="missing", found="no nvidia-smi", needed_by=needed_by,
            remedy="none is needed: the CPU does it all; for an NVIDIA GPU install its driver",
        )  # fmt: skip
    if answer.failure:
        return Finding(
            name="GPU", state="unknown" if answer.timed_out else "wrong", found=f"nvidia-smi {answer.failure}",
            needed_by=needed_by, remedy="run nvidia-smi by hand; a driver that was just updated wants a restart",
        )  # fmt: skip
    found = "; ".join(answer.lines)
    if _is_gpu_extra_here():
        return Finding(name="GPU", state="ok", found=found, needed_by=needed_by)
    return Finding(
        name="GPU", state="wrong", found=f"{found}, unused: .venv computes on the CPU", needed_by=needed_by,
        remedy="uv pip install -e '.[gpu]' (pyproject.toml says how)",
    )  # fmt: skip


def _is_gpu_extra_here() -> bool:
    # TensorFlow's CUDA libraries, without importing TensorFlow.
    return importlib.util.find_spec("nvidia") is not None


def _gigabytes(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
