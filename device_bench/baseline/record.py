"""`BaselineRecord`: everything one baseline found out, and its form on disk.

build/<model>-<weights>/baseline/<time>-<machine>-<identity>.json, written anew after every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from device_bench.baseline.case import PHASES, Accelerator, BaselineCase, FailureKind, Kind, Measured, Placement
from device_bench.measuring.correctness import OutputCheck
from device_bench.record_file import read_record
from device_bench.stats import Spread, spread

SCHEMA = 1
BASELINE_FOLDER = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutcome:
    """What came of an engine that was asked for, or tried by `auto`, at one precision."""

    engine: str
    precision: str
    taken: bool
    """Whether it is measured."""
    reason: str | None
    """Why not; None if it is."""
    failure_kind: FailureKind | None
    placement: Placement | None
    """As its first process proved it; None if it did not come so far."""
    versions: Mapping[str, str]
    check: OutputCheck | None
    """Its outputs against another runtime's; None if it did not come so far."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {
            **{key: getattr(self, key) for key in ("engine", "precision", "taken", "reason", "failure_kind")},
            "placement": None if self.placement is None else self.placement.to_json(),
            "versions": dict(self.versions),
            "check": None if self.check is None else self.check.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EngineOutcome:
        """Value from `to_json`'s form."""
        same = ("engine", "precision", "taken", "reason", "failure_kind", "versions")
        return cls(
            **{key: value[key] for key in same},
            placement=None if value["placement"] is None else Placement.from_json(value["placement"]),
            check=None if value["check"] is None else OutputCheck.from_json(value["check"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One measuring process, whether it gave a result or not."""

    case: str
    kind: Kind
    round: int
    """From 0."""
    started: str
    """UTC, ISO 8601."""
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    """Added to the caller's."""
    exit_code: int | None
    """None if it was ended from outside."""
    wall_s: float
    placement: Placement | None
    measured: Measured | None
    failure: str | None
    """Why there are no numbers, or why they must not be believed."""
    failure_kind: FailureKind | None
    telemetry: Mapping[str, Any]
    """The GPU's state and the machine's load `before` and `after`."""

    @property
    def valid(self) -> bool:
        """Whether its numbers may be used."""
        return self.measured is not None and self.failure is None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        same = ("case", "kind", "round", "started", "exit_code", "wall_s", "failure", "failure_kind", "valid")
        return {
            **{key: getattr(self, key) for key in same},
            "argv": list(self.argv),
            "environment": dict(self.environment),
            "placement": None if self.placement is None else self.placement.to_json(),
            "telemetry": dict(self.telemetry),
            "measured": None if self.measured is None else self.measured.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Attempt:
        """Value from `to_json`'s form."""
        same = ("case", "kind", "round", "started", "environment", "exit_code", "wall_s", "failure", "failure_kind")
        return cls(
            **{key: value[key] for key in (*same, "telemetry")},
            argv=tuple(value["argv"]),
            placement=None if value["placement"] is None else Placement.from_json(value["placement"]),
            measured=None if value["measured"] is None else Measured.from_json(value["measured"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """Where larger batches no longer pay, for one engine and precision."""

    engine: str
    precision: str
    batch: int
    """The last one that was worth doubling to."""
    images_per_s: float
    reason: str
    """What ended the sweep there."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What all processes of a case say together: medians of the processes' medians, per inference of the batch."""

    case: BaselineCase
    accelerator: Accelerator | None
    """Where every valid process proved to compute; None if unknown."""
    device: str
    """The GPU's or CPU's name."""
    phases: Mapping[str, Spread | None]
    """By phase of `PHASES`."""
    p5_us: float | None
    p95_us: float | None
    """Of `headline`, pooled over the processes."""
    init_us: float | None
    first_us: float | None
    images_per_s: float | None
    """Batch over the median of `headline`."""
    headline: str
    """The phase that stands for the case: compute, or end_to_end where compute cannot be separated."""
    failure: str | None
    """Why the numbers are not valid; None if they are."""

    @property
    def label(self) -> str:
        """`GPU NVIDIA H100, onnxruntime-cuda, float32, batch 1`: to stand beside every number."""
        where = {"gpu": "GPU", "cpu": "CPU", None: "unproven device"}[self.accelerator]
        return f"{where} {self.device}, {self.case.engine}, {self.case.precision}, batch {self.case.batch}"

    @property
    def latency(self) -> Spread | None:
        """The headline."""
        return self.phases.get(self.headline)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        same = ("accelerator", "device", "label", "headline", "p5_us", "p95_us", "init_us", "first_us", "images_per_s")
        return {
            "case": self.case.to_json(),
            **{key: getattr(self, key) for key in same},
            "phases": {phase: None if row is None else row.to_json() for phase, row in self.phases.items()},
            "failure": self.failure,
            "valid": self.failure is None,
        }


@dataclass(slots=True, kw_only=True)
class BaselineRecord:
    """Grows while a baseline runs."""

    started: str
    finished: str | None = None
    model: Mapping[str, Any]
    """As in a benchmark's record: name, weights and their hash, tools; and `files`, name and hash by precision."""
    target: Mapping[str, Any]
    """As in a benchmark's record: kind `local`, hashed identity, facts, CPUs; and `gpu`: the one chosen as nvidia-smi
    tells it, or None with the reason in `gpu_missing`."""
    tool: Mapping[str, Any]
    """This program: version, git commit."""
    request: Mapping[str, Any]
    """Engines, precisions, batches, repeats, threads, GPU, seed, settings, as asked for."""
    repeats: int
    cases: list[BaselineCase] = field(default_factory=list)
    """That are measured; grows until the sweeps are done."""
    engines: list[EngineOutcome] = field(default_factory=list)
    knees: list[Knee] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    failure: str | None = None
    """What ended the baseline before its time."""

    @property
    def wrong(self) -> bool:
        """Whether an engine computed something else than the network."""
        return "wrong" in {*(row.failure_kind for row in self.engines), *(row.failure_kind for row in self.attempts)}

    @property
    def passed(self) -> bool:
        """Whether there are cases, and all of them have valid numbers."""
        return self.failure is None and bool(self.cases) and all(self.case_failure(c.name) is None for c in self.cases)

    def attempts_of(self, case: str, kind: Kind) -> list[Attempt]:
        """In the order they ran."""
        return [attempt for attempt in self.attempts if attempt.case == case and attempt.kind == kind]

    def case_failure(self, case: str) -> str | None:
        """Why a case's numbers are not valid; None if they are."""
        runs = self.attempts_of(case, "latency")
        failures = [a.failure for a in runs if a.failure]
        if failures:
            return failures[0]
        valid = sum(a.valid for a in runs)
        return None if valid >= self.repeats else f"{valid} of {self.repeats} processes gave a result"

    def summaries(self) -> tuple[Summary, ...]:
        """One per case, in order of engine, precision and batch."""
        order: dict[tuple[str, str], int] = {}
        for case in self.cases:
            order.setdefault((case.engine, case.precision), len(order))
        ordered = sorted(self.cases, key=lambda case: (order[case.engine, case.precision], case.batch))
        return tuple(self._summary(case) for case in ordered)

    def _summary(self, case: BaselineCase) -> Summary:
        runs = [a for a in self.attempts_of(case.name, "latency") if a.valid]
        measured = [a.measured for a in runs if a.measured]
        phases = {phase: _phase([m.samples_us[phase] for m in measured]) for phase in PHASES}
        headline = "end_to_end" if phases["compute"] is None and measured else "compute"
        latency = phases[headline]
        pooled = [value for m in measured for value in m.samples_us[headline] or ()]
        places = {a.placement.accelerator for a in runs if a.placement}
        accelerator = places.pop() if len(places) == 1 else None
        return Summary(
            case=case,
            accelerator=accelerator,
            device=self.device_name(accelerator),
            phases=phases,
            p5_us=float(np.percentile(pooled, 5)) if pooled else None,
            p95_us=float(np.percentile(pooled, 95)) if pooled else None,
            init_us=float(np.median([m.init_us for m in measured])) if measured else None,
            first_us=float(np.median([m.first_us for m in measured])) if measured else None,
            images_per_s=None if latency is None else case.batch / latency.median_us * 1e6,
            headline=headline,
            failure=self.case_failure(case.name),
        )

    def device_name(self, accelerator: Accelerator | None) -> str:
        """What the machine calls its GPU or CPU."""
        if accelerator == "gpu":
            gpu = self.target.get("gpu")
            return str(gpu["name"]) if gpu else "of unknown name"
        facts = self.target["facts"]
        return str(facts.get("cpu_name") or facts.get("machine") or "of unknown name")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        same = ("started", "finished", "failure", "passed", "wrong", "repeats")
        return {
            "schema": SCHEMA,
            "kind": "baseline",
            **{key: getattr(self, key) for key in same},
            **{key: dict(getattr(self, key)) for key in ("model", "target", "tool", "request")},
            "summaries": [summary.to_json() for summary in self.summaries()],
            "knees": [knee.to_json() for knee in self.knees],
            "engines": [outcome.to_json() for outcome in self.engines],
            "cases": [case.to_json() for case in self.cases],
            "attempts": [attempt.to_json() for attempt in self.attempts],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BaselineRecord:
        """Value from `to_json`'s form.

        Raises:
            KeyError, TypeError, ValueError: it is no record of this schema.
        """
        if value["kind"] != "baseline" or value["schema"] != SCHEMA:
            raise ValueError(f"{value['kind']} schema {value['schema']}, known is baseline {SCHEMA}")
        same = ("started", "finished", "failure", "model", "target", "tool", "request", "repeats")
        return cls(
            **{key: value[key] for key in same},
            cases=[BaselineCase.from_json(case) for case in value["cases"]],
            engines=[EngineOutcome.from_json(row) for row in value["engines"]],
            knees=[Knee(**row) for row in value["knees"]],
            attempts=[Attempt.from_json(row) for row in value["attempts"]],
        )


def _phase(rows: Sequence[tuple[float, ...] | None]) -> Spread | None:
    known = [row for row in rows if row]
    return spread([float(np.median(row)) for row in known]) if known and len(known) == len(rows) else None


def load_baseline(path: Path) -> BaselineRecord:
    """The record in a file.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    return read_record(path, BaselineRecord.from_json, "baseline", BASELINE_FOLDER)
