"""NVIDIA GPUs as `nvidia-smi` tells them: which there are, and their state before and after a process."""

from __future__ import annotations

import csv
import logging
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from device_bench.process import Answer, UnfinishedError, run_process
from device_bench.result import check_reasons
from models.cli import one_line
from models.errors import DeviceError, UsageError

PROGRAM = "nvidia-smi"
_TIMEOUT_S = 20.0
_LARGEST_BYTES = 2**20

_MIB = 2**20
_log = logging.getLogger(__name__)
_TEXTS = ("uuid", "name", "driver_version", "pstate")
_NUMBERS: Mapping[str, tuple[str, float]] = {
    "memory_total_bytes": ("memory.total", _MIB),
    "memory_used_bytes": ("memory.used", _MIB),
    "utilization": ("utilization.gpu", 0.01),
    "temperature_c": ("temperature.gpu", 1),
    "power_w": ("power.draw", 1),
    "power_limit_w": ("power.limit", 1),
    "sm_mhz": ("clocks.sm", 1),
    "memory_mhz": ("clocks.mem", 1),
    "sm_max_mhz": ("clocks.max.sm", 1),
    "memory_max_mhz": ("clocks.max.mem", 1),
}
"""Field of `GpuState`: nvidia-smi's name, and what its unit is worth in ours."""

_REASONS = {
    0x1: "idle",
    0x2: "applications clocks setting",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clocks setting",
}
"""Bits of `clocks_event_reasons.active` (nvmlClocksEventReasons in NVIDIA's nvml.h)."""

_SLOWED = 0x4 | 0x8 | 0x20 | 0x40 | 0x80
"""Those by which a GPU is slower than its clocks allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """One GPU at one moment; what it does not tell is None, with the reason in `missing`."""

    index: int
    """As nvidia-smi counts: in the order of the PCI bus."""
    uuid: str | None
    name: str | None
    driver_version: str | None
    pstate: str | None
    """P0 (fastest) to P15."""
    memory_total_bytes: float | None
    memory_used_bytes: float | None
    utilization: float | None
    """0..1, over the last second; before a process it is the work of others."""
    temperature_c: float | None
    power_w: float | None
    power_limit_w: float | None
    sm_mhz: float | None
    memory_mhz: float | None
    sm_max_mhz: float | None
    memory_max_mhz: float | None
    clock_reasons: tuple[str, ...] | None
    """Why its clocks are not the highest."""
    slowed: bool | None
    """Whether heat or power is among these reasons."""
    other_processes: int | None
    """That compute on it."""
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "clock_reasons": None if self.clock_reasons is None else list(self.clock_reasons)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenGpu:
    """The GPU to measure on."""

    state: GpuState | None
    missing: str | None
    """Why its state is unknown."""
    environment: Mapping[str, str]
    """That shows a process this GPU alone."""


def choose_gpu(index: int | None) -> ChosenGpu:
    """The GPU of an index of nvidia-smi's, by its UUID; the first if none is named.

    Raises:
        UsageError: there is no such GPU.
        DeviceError: one was asked for by index, and its driver fails.
    """
    try:
        gpus = read_gpus()
    except DeviceError as error:
        # Other makers' GPUs: their runtimes count them by themselves.
        if index is None:
            return ChosenGpu(state=None, missing=str(error), environment={})
        if shutil.which(PROGRAM):
            raise
        _log.warning("nothing here can tell whether there is a GPU %d: %s", index, error)
        variables = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
        return ChosenGpu(state=None, missing=str(error), environment=dict.fromkeys(variables, str(index)))
    by_index = {gpu.index: gpu for gpu in gpus}
    wanted = min(by_index) if index is None else index
    if wanted not in by_index:
        known = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in gpus)
        raise UsageError(f"there is no GPU {wanted}; give one of {known} with --gpu-index")
    gpu = by_index[wanted]
    environment = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": gpu.uuid or str(gpu.index)}
    return ChosenGpu(state=gpu, missing=None, environment=environment)


def read_gpus() -> tuple[GpuState, ...]:
    """All GPUs now.

    Raises:
        DeviceError: there is no nvidia-smi, it fails, finds none, or answers something else than asked for.
    """
    fields = ["index", *_TEXTS, *(name for name, _ in _NUMBERS.values())]
    rows = parse_rows(_ask(f"--query-gpu={','.join(fields)}"), len(fields))
    if not rows:
        raise DeviceError("nvidia-smi lists no GPU; look at `nvidia-smi -L`")
    # Newer drivers have another name for it, and nvidia-smi refuses a query with a name it does not know.
    reasons = _ask_or_none("--query-gpu=index,clocks_event_reasons.active") or _ask_or_none(
        "--query-gpu=index,clocks_throttle_reasons.active"
    )
    clocks = {row[0]: row[1] for row in parse_rows(reasons, 2)} if reasons else {}
    apps = _ask_or_none("--query-compute-apps=gpu_uuid,pid")
    users = None if apps is None else [row[0] for row in parse_rows(apps, 2)]
    return tuple(_state(dict(zip(fields, row, strict=True)), clocks, users) for row in rows)


def parse_rows(text: str, columns: int) -> list[list[str]]:
    """Rows of `--format=csv,noheader,nounits`.

    Raises:
        DeviceError: a row has another number of columns.
    """
    try:
        rows = [[one_line(cell.strip()) for cell in row] for row in csv.reader(text.splitlines()) if row]
    except csv.Error as error:
        raise DeviceError(f"nvidia-smi answered no table ({error}); run `nvidia-smi` and look") from error
    for row in rows:
        if len(row) != columns:
            raise DeviceError(
                f"nvidia-smi answered {','.join(row)[:120]!r} where {columns} columns were asked for; run "
                "`nvidia-smi` and look"
            )
    return rows


def _state(cells: Mapping[str, str], clocks: Mapping[str, str], users: list[str] | None) -> GpuState:
    values: dict[str, Any] = {}
    missing: dict[str, str] = {}

    def keep(name: str, said: str | None, read: Callable[[str], Any]) -> None:
        try:
            values[name] = None if said is None or said.startswith("[") or not said else read(said)
        except (ValueError, OverflowError):
            values[name] = None
        if values[name] is None:
            missing[name] = "nvidia-smi does not tell" if said is None else f"nvidia-smi says {said[:40]!r}"

    index = cells["index"]
    if not index.isdecimal():
        raise DeviceError(f"nvidia-smi calls a GPU {index[:40]!r}, an index was expected; run `nvidia-smi` and look")
    for name in _TEXTS:
        keep(name, cells[name], lambda said: said[:100])
    for name, (asked, unit) in _NUMBERS.items():
        keep(name, cells[asked], partial(_number, unit))
    mask = clocks.get(index)
    keep("clock_reasons", mask, lambda said: _reasons(int(said, 16)))
    keep("slowed", mask, lambda said: bool(int(said, 16) & _SLOWED))
    values["other_processes"] = None if users is None else users.count(cells["uuid"])
    if users is None:
        missing["other_processes"] = "nvidia-smi does not tell"
    return GpuState(index=int(index[:9]), **values, missing=missing)


def _number(unit: float, said: str) -> float:
    value = float(said) * unit
    if not math.isfinite(value):
        raise ValueError(said)
    return value


def _reasons(mask: int) -> tuple[str, ...]:
    known = tuple(text for bit, text in _REASONS.items() if mask & bit)
    rest = mask & ~sum(_REASONS)
    return (*known, f"unknown 0x{rest:x}") if rest else known


def _ask(query: str) -> str:
    program = shutil.which(PROGRAM)
    if program is None:
        raise DeviceError(
            "there is no nvidia-smi on this machine's PATH: no NVIDIA driver; install it if there is a GPU"
        )
    try:
        answer: Answer = run_process(
            [program, query, "--format=csv,noheader,nounits"], timeout_s=_TIMEOUT_S, largest_bytes=_LARGEST_BYTES
        )
    except (UnfinishedError, OSError) as error:
        raise DeviceError(f"nvidia-smi did not answer: {error}; look at the driver with `nvidia-smi`") from error
    text = answer.stdout.decode("utf-8", "replace")
    if answer.exit_code:
        said = one_line(" ".join((text + answer.stderr.decode("utf-8", "replace")).split()))[:200]
        raise DeviceError(f"nvidia-smi failed (exit code {answer.exit_code}): {said}; mend the driver")
    return text


def _ask_or_none(query: str) -> str | None:
    try:
        return _ask(query)
    except DeviceError:
        return None
