"""`BenchRecord`: everything one benchmark on one target found out, and its form on disk.

build/<model>-<weights>/bench/
├── 20261121T120000Z-pixel_8-1f0c….json      the record, written anew after every process, so that nothing gets lost
└── 20261121T120000Z-pixel_8-1f0c…/          raw outputs: one recording per process, as `parse` reads them
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_bench.case import Pass
from device_bench.measuring.attempt import Attempt
from device_bench.measuring.correctness import Accuracy, OutputCheck
from device_bench.measuring.plan import Job, Plan
from device_bench.measuring.summary import (
    Statistic,
    Summary,
    low_median,
    outlying_share,
    steady_latency,
    steady_samples_us,
)
from device_bench.record_file import read_record
from device_bench.result import Measured
from device_bench.stats import Drift, Ratio, drift, paired_ratio, spread

SCHEMA = 1
BENCH_FOLDER = "bench"


@dataclass(slots=True, kw_only=True)
class BenchRecord:
    """Grows while a benchmark runs; everything else in it is fixed when it starts."""

    started: str
    finished: str | None = None
    model: Mapping[str, Any]
    """Name, weights and manifest of the artifacts."""
    target: Mapping[str, Any]
    """Kind (adb or local), hashed identity, facts, CPUs."""
    tool: Mapping[str, Any]
    """This program: version, git commit, versions of what it uses."""
    runners: tuple[Mapping[str, Any], ...]
    plan: Plan
    settings_changed: tuple[Mapping[str, Any], ...] = ()
    attempts: list[Attempt] = field(default_factory=list)
    checks: dict[str, OutputCheck | str] = field(default_factory=dict)
    """By `check_name`; a text says why it could not be done."""
    accuracy: dict[str, Accuracy | str] = field(default_factory=dict)
    failure: str | None = None
    """What ended the benchmark before its time."""

    def attempts_of(self, case: str, kind: str) -> list[Attempt]:
        """In the order they ran."""
        return [attempt for attempt in self.attempts if attempt.job.case == case and attempt.job.kind == kind]

    def is_done(self, job: Job) -> bool:
        """Whether the job needs no further process: it gave a result, or a failure that would come again."""
        return any(a.job == job and (a.valid or not a.transient) for a in self.attempts)

    def check_of(self, case: str) -> OutputCheck | str | None:
        """The comparison of outputs that vouches for a case."""
        chosen = next(c for c in self.plan.cases if c.name == case)
        return self.checks.get(check_name(chosen.runner, chosen.model.file, chosen.delegate))

    def case_failure(self, case: str) -> str | None:
        """Why a case's numbers are not valid; None if they are."""
        check = self.check_of(case)
        if isinstance(check, OutputCheck) and not check.passed:
            return f"wrong numbers: {check.failure}"
        runs = self.attempts_of(case, "latency")
        stable = [a.failure for a in runs if a.failure and not a.transient]
        if stable:
            return stable[0]
        valid = [a for a in runs if a.valid]
        if len(valid) < self.plan.repeats:
            lost = [a.failure for a in runs if a.failure]
            reason = f": {lost[-1]}" if lost else ""
            return f"{len(valid)} of {self.plan.repeats} processes gave a result{reason}"
        return None

    def latencies(self, case: str, kind: Pass = "latency") -> tuple[Statistic, dict[int, float]]:
        """What each valid process of a case measured, in microseconds by round.

        It is the median of its runs, of those after warm-up where each is known; or its mean, for all processes alike,
        where the runner prints no median.
        """
        runs = [a for a in self.attempts_of(case, kind) if a.valid]
        medians = {a.job.round: steady_latency(a.output.measured).median_us for a in runs if a.output}
        known = {turn: value for turn, value in medians.items() if value is not None}
        if len(known) == len(medians):
            return "median", known
        return "mean", {a.job.round: a.output.measured.latency.mean_us for a in runs if a.output}

    def samples(self, case: str) -> tuple[tuple[float, ...], ...] | None:
        """Latency of each timed run of each valid process, in microseconds; None unless all are known."""
        found = tuple(m.samples_us for m in self._measured(case, "latency") if m.samples_us is not None)
        return found if found and len(found) == len(self._measured(case, "latency")) else None

    def twins(self) -> Ratio | None:
        """The A/A comparison: a case against itself; None if it was not asked for or is not complete."""
        if self.plan.twin is None:
            return None
        case, twin = (self.latencies(self.plan.twin, kind)[1] for kind in ("latency", "twin"))
        rounds = sorted(case.keys() & twin.keys())
        if len(rounds) < max(2, self.plan.repeats):
            return None
        return paired_ratio([case[turn] for turn in rounds], [twin[turn] for turn in rounds])

    def _measured(self, case: str, kind: Pass) -> list[Measured]:
        return [a.output.measured for a in self.attempts_of(case, kind) if a.valid and a.output]

    def summaries(self) -> tuple[Summary, ...]:
        """One per case of the plan, in its order."""
        return tuple(self._summary(case.name) for case in self.plan.cases)

    def _summary(self, case: str) -> Summary:
        measured = self._measured(case, "latency")
        statistic, latencies = self.latencies(case)
        steady = [steady_latency(m) for m in measured]
        samples = [m.samples_us for m in measured if m.samples_us is not None]
        memory = [
            a.output.measured.memory.peak_rss_bytes for a in self.attempts_of(case, "memory") if a.valid and a.output
        ]
        attempts = [*self.attempts_of(case, "latency"), *self.attempts_of(case, "sustained")]
        return Summary(
            case=case,
            statistic=statistic,
            latency=spread(tuple(latencies.values())) if latencies else None,
            init_us=low_median([m.init_us for m in measured]),
            first_us=low_median([m.first_us for m in measured]),
            p5_us=low_median([latency.p5_us for latency in steady]),
            p95_us=low_median([latency.p95_us for latency in steady]),
            peak_rss_bytes=next((peak for peak in memory if peak is not None), None),
            sustained=self._drift(case, whole=statistic == "median"),
            throttled=any(a.throttled for a in attempts),
            warming=sum(steady_samples_us(m) != m.samples_us for m in measured),
            outlying=outlying_share(samples),
            failure=self.case_failure(case),
        )

    def _drift(self, case: str, *, whole: bool) -> Drift | None:
        runs = [a for a in self.attempts_of(case, "sustained") if a.valid and a.output]
        values = [
            (a.output.measured.latency.median_us if whole else a.output.measured.latency.mean_us)
            for a in runs
            if a.output
        ]
        if len(values) < 6 or any(value is None for value in values):
            return None
        return drift([float(a.telemetry["elapsed_s"]) for a in runs], [float(value) for value in values if value])

    @property
    def passed(self) -> bool:
        """Whether every case of the plan has valid numbers."""
        return self.failure is None and all(self.case_failure(case.name) is None for case in self.plan.cases)

    @property
    def disagrees(self) -> bool:
        """Whether the target computes something else than the desktop, or elsewhere than asked for."""
        wrong = any(isinstance(check, OutputCheck) and not check.passed for check in self.checks.values())
        return wrong or any(attempt.elsewhere for attempt in self.attempts)

    def forget_failures(self) -> None:
        """Makes room for another try at what gave no result."""
        self.attempts = [attempt for attempt in self.attempts if attempt.valid]
        self.checks = {name: check for name, check in self.checks.items() if isinstance(check, OutputCheck)}
        self.failure = None
        if not self.passed:
            self.finished = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {
            "schema": SCHEMA,
            "started": self.started,
            "finished": self.finished,
            "failure": self.failure,
            "passed": self.passed,
            "model": dict(self.model),
            "target": dict(self.target),
            "tool": dict(self.tool),
            "runners": [dict(runner) for runner in self.runners],
            "settings_changed": [dict(setting) for setting in self.settings_changed],
            "summaries": [summary.to_json() for summary in self.summaries()],
            "checks": {name: _outcome(check) for name, check in self.checks.items()},
            "accuracy": {name: _outcome(value) for name, value in self.accuracy.items()},
            "plan": self.plan.to_json(),
            "attempts": [attempt.to_json() for attempt in self.attempts],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BenchRecord:
        """Value from `to_json`'s form.

        Raises:
            KeyError, TypeError, ValueError: it is no record of this schema.
        """
        if value["schema"] != SCHEMA:
            raise ValueError(f"benchmark schema {value['schema']}, known is {SCHEMA}")
        same = ("started", "finished", "failure", "model", "target", "tool")
        return cls(
            **{key: value[key] for key in same},
            runners=tuple(value["runners"]),
            settings_changed=tuple(value["settings_changed"]),
            plan=Plan.from_json(value["plan"]),
            attempts=[Attempt.from_json(attempt) for attempt in value["attempts"]],
            checks={
                name: check["not_done"] if "not_done" in check else OutputCheck.from_json(check)
                for name, check in value["checks"].items()
            },
            accuracy={
                name: row["not_done"] if "not_done" in row else Accuracy.from_json(row)
                for name, row in value["accuracy"].items()
            },
        )


def check_name(runner: str, file: str, delegate: str) -> str:
    """What one comparison of outputs stands for: threads and CPUs do not change what is computed."""
    return f"{runner} {delegate} {file}"


def load_record(path: Path) -> BenchRecord:
    """The record in a file.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    return read_record(path, BenchRecord.from_json, "benchmark record", BENCH_FOLDER)


def _outcome(value: OutputCheck | Accuracy | str) -> dict[str, Any]:
    return {"not_done": value} if isinstance(value, str) else value.to_json()
