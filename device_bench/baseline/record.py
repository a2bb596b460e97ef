"""`BaselineRecord`: everything one baseline found out, and its form on disk.

build/<model>-<weights>/baseline/<time>-<machine>-<identity>.json, written anew after every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from device_bench.baseline.attempt import Attempt, EngineOutcome
from device_bench.baseline.case import PHASES, Accelerator, BaselineCase, Kind
from device_bench.baseline.summary import Knee, Summary
from device_bench.record_file import read_record
from device_bench.stats import Spread, spread

SCHEMA = 1
BASELINE_FOLDER = "baseline"


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
