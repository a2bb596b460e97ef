"""Frozen rows of the report: times in microseconds, sizes in bytes, shares 0..1. Unknown is None, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from device_bench.stats import Spread, Verdict

SCHEMA = 1

NOTHING = "latencies mean nothing"
"""Of an emulated device; said wherever one of its numbers is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What was measured on."""

    identity: str
    """Hex digest that stands for the serial number."""
    name: str
    kind: Literal["phone", "desktop"]
    system: str
    """Operating system with its version."""
    chip: str
    cpu: str
    memory_bytes: int | None
    emulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRow:
    """One exported file, as its manifest tells it."""

    model: str
    weights: str
    file: str
    format: str
    precision: str
    size_bytes: int
    sha256: str
    images: int | None
    """Of the test split that `top1` comes from."""
    top1: float | None
    """On the desktop, in the file's own runtime."""
    top1_ci95: tuple[float, float] | None
    """Wilson interval."""
    top1_drop: float | None
    """Against the Keras float model; below 0 the file is better."""
    top1_drop_ci95: tuple[float, float] | None
    operators: Mapping[str, int]
    failure: str | None
    """Why the file should not be shipped: it failed its checks, is missing, or has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One network with one set of weights."""

    model: str
    weights: str
    folder: str
    """Relative to the build folder."""
    resolution_px: int
    parameters: int
    mult_adds: int
    weights_sha256: str
    artifacts: tuple[ArtifactRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speedup:
    """How many times as fast as something else: 2 is twice as fast, 0.5 half as fast."""

    against: str
    """What it is compared with, so that it can stand beside the number."""
    ratio: float
    low: float | None
    """95 % interval; None where there are too few processes for one, …"""
    high: float | None
    verdict: Verdict | None
    note: str
    """… with the reason here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One measuring process of a result, in the order they ran."""

    kind: str
    """latency or sustained."""
    round: int
    elapsed_s: float
    """From the first process of the record's case."""
    value_us: float
    """Its median or mean, as the result's `statistic` says."""
    quartiles_us: tuple[float, float, float] | None
    """None where the runner prints statistics only."""
    p5_us: float | None
    p95_us: float | None
    min_us: float | None
    max_us: float | None
    runs: int
    temperature_c: float | None
    """After it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """All nodes of one type in the operator profile."""

    name: str
    nodes: int
    mean_us: float
    share: float
    fallback: bool
    """It ran on the CPU's builtin kernels although a delegate was there to take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One artifact on one device with one delegate, number of threads and set of CPUs."""

    id: str
    device: str
    """Identity of its `Device`."""
    model: str
    weights: str
    file: str
    format: str
    precision: str
    sha256: str
    size_bytes: int
    known_file: bool
    """Whether the manifest knows this very file; else it is of another export, and has no accuracy."""
    case: str
    """Its name in the record."""
    runner: str
    runner_version: str
    delegate: str
    """As asked for."""
    ran_on: str
    """As the log proves it."""
    threads: int
    affinity: str
    started: str
    """UTC, ISO 8601."""
    system: str
    """The device's operating system then."""
    record: str
    """File, relative to the build folder."""
    statistic: str
    """Of each process: median or mean."""
    latency: Spread | None
    p95_us: float | None
    first_us: float | None
    init_us: float | None
    peak_rss_bytes: int | None
    temperature_c: tuple[float, float] | None
    """Before the first process and the highest after any, of the sensor that `temperature_of` names."""
    temperature_of: str | None
    top1_device: float | None
    """Measured on the device itself."""
    throttled: bool
    failure: str | None
    """Why the numbers must not be used."""
    missing: Mapping[str, str]
    against_desktop: Speedup | None
    against_float32: Speedup | None
    processes: tuple[Process, ...]
    operators: tuple[Operator, ...] | None
    front: bool
    """No valid result of the same device is at least as accurate, fast and small, and better in one of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRow:
    """One engine at one precision and batch on the desktop."""

    model: str
    weights: str
    label: str
    """`GPU NAME, engine, precision, batch 1`."""
    accelerator: str | None
    device: str
    engine: str
    precision: str
    batch: int
    threads: int
    system: str
    versions: str
    started: str
    record: str
    headline: str
    """compute (copies left out) or end_to_end."""
    latency: Spread | None
    end_to_end: Spread | None
    p95_us: float | None
    first_us: float | None
    init_us: float | None
    images_per_s: float | None
    reference: bool
    """Whether it is what phones are compared with."""
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that failed, was not measured, or must not be believed."""

    what: str
    where: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """An older measurement of a result, kept for its history."""

    id: str
    """Of the result that replaced it."""
    started: str
    record: str
    statistic: str
    latency: Spread | None
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that is known. Every writer shows these values; only they round."""

    made: str
    """UTC, ISO 8601."""
    version: str
    focus: str | None
    """The model that was asked for; None for all."""
    devices: tuple[Device, ...]
    exports: tuple[Export, ...]
    results: tuple[Result, ...]
    baselines: tuple[BaselineRow, ...]
    problems: tuple[Problem, ...]
    history: tuple[Older, ...]

    def device(self, identity: str) -> Device:
        """The device of a result."""
        return next(device for device in self.devices if device.identity == identity)

    def artifact(self, result: Result) -> ArtifactRow | None:
        """What the manifest says of a result's file; None for a file it does not know."""
        if not result.known_file:
            return None
        return next(
            row
            for export in self.exports
            for row in export.artifacts
            if (row.model, row.weights, row.file, row.sha256)
            == (result.model, result.weights, result.file, result.sha256)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {"schema": SCHEMA, "kind": "report", **asdict(self)}
