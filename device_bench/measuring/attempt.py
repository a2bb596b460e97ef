"""`Attempt`: one process of a benchmark, whether it gave a result or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_bench.measuring.plan import Job
from device_bench.result import RunnerOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One process, whether it gave a result or not."""

    job: Job
    number: int
    """Of this job, from 1; above 1 the connection failed before."""
    started: str
    """UTC, ISO 8601."""
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    allowed_cpus: str | None
    """As the kernel saw the process."""
    exit_code: int | None
    """None if it is not known, because the connection failed."""
    wall_s: float
    harness_s: float
    """Of `wall_s` plus everything around it, what the runner itself did not take: pushes, looks at the phone, adb."""
    raw: str
    """Folder of the raw outputs, relative to the record's."""
    output: RunnerOutput | None
    failure: str | None
    """Why there is no output, or why it must not be believed."""
    transient: bool
    """Whether the connection is to blame, and not the program."""
    elsewhere: bool
    """Whether it ran on something else than the delegate asked for."""
    throttled: tuple[str, ...]
    """What says that the phone slowed itself down."""
    gate: str
    """How the wait for a cool phone ended: cool, gave_up, unknown."""
    telemetry: Mapping[str, Any]
    """Temperatures, clocks and power `before` and `after`."""

    @property
    def valid(self) -> bool:
        """Whether its numbers may be used."""
        return self.output is not None and self.failure is None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {
            "case": self.job.case,
            "kind": self.job.kind,
            "round": self.job.round,
            "number": self.number,
            "started": self.started,
            "argv": list(self.argv),
            "environment": dict(self.environment),
            "allowed_cpus": self.allowed_cpus,
            "exit_code": self.exit_code,
            "wall_s": self.wall_s,
            "harness_s": self.harness_s,
            "raw": self.raw,
            "valid": self.valid,
            "failure": self.failure,
            "transient": self.transient,
            "elsewhere": self.elsewhere,
            "throttled": list(self.throttled),
            "gate": self.gate,
            "telemetry": dict(self.telemetry),
            "output": None if self.output is None else self.output.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Attempt:
        """Value from `to_json`'s form."""
        same = ("number", "started", "environment", "allowed_cpus", "exit_code", "wall_s", "harness_s", "raw")
        return cls(
            **{key: value[key] for key in (*same, "failure", "transient", "elsewhere", "gate", "telemetry")},
            job=Job(case=value["case"], kind=value["kind"], round=value["round"]),
            argv=tuple(value["argv"]),
            throttled=tuple(value["throttled"]),
            output=None if value["output"] is None else RunnerOutput.from_json(value["output"]),
        )
