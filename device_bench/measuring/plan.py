"""What will be measured in which order: known and printable before anything runs."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import asdict, dataclass
from typing import Any

from device_bench.case import Case, Pass, RunSettings

REPEATS = 5
"""Processes per case. The range of five contains the median of all with 94 % (1 - 2 * 0.5^5); fewer prove nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One process."""

    case: str
    kind: Pass
    round: int
    """From 0."""

    @property
    def name(self) -> str:
        """Unique in a plan, fit for a folder."""
        return f"{self.case}/{self.kind}-{self.round}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Cases and settings; from them follows everything that runs."""

    cases: tuple[Case, ...]
    skipped: tuple[tuple[str, str], ...]
    """Cases that were asked for and cannot be, by name, with the reason."""
    settings: RunSettings
    repeats: int
    memory: bool
    profile: bool
    check_images: int
    """For the comparison of the outputs with the desktop's; 0 for none."""
    accuracy_images: int
    sustained_min: float
    seed: int
    lacking: tuple[tuple[str, Pass, str], ...] = ()
    """Passes that a case's runner does not have: case, pass, reason."""
    aa: bool = False
    """Whether the first case is measured twice in each round, for the noise floor."""
    fixed_performance: bool = False
    stay_awake: bool = False
    """These two: settings of the phone that were asked for meanwhile."""

    @property
    def digest(self) -> str:
        """Of all that decides what is measured: a run resumes only one of the same digest."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    @property
    def twin(self) -> str | None:
        """The case that is measured against itself."""
        return self.cases[0].name if self.aa else None

    def jobs(self) -> tuple[Job, ...]:
        """All processes, latency first and in rounds of random order, so that drift meets every case alike."""
        order = random.Random(self.seed)  # noqa: S311 - an order, no secret
        jobs: list[Job] = []
        for turn in range(self.repeats):
            block = [Job(case=case.name, kind="latency", round=turn) for case in self.cases]
            block += [Job(case=self.twin, kind="twin", round=turn)] if self.twin else []
            order.shuffle(block)
            jobs += block
        lacking = {(case, kind) for case, kind, _ in self.lacking}
        passes: tuple[tuple[Pass, bool], ...] = (("memory", self.memory), ("profile", self.profile))
        for kind in (kind for kind, wanted in passes if wanted):
            names = [case.name for case in self.cases if (case.name, kind) not in lacking]
            jobs += (Job(case=name, kind=kind, round=0) for name in names)
        return tuple(jobs)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        value = asdict(self)
        return value | {
            "cases": [case.to_json() for case in self.cases],
            "skipped": [list(pair) for pair in self.skipped],
            "lacking": [list(row) for row in self.lacking],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """Value from `to_json`'s form."""
        return cls(
            **{
                **value,
                "cases": tuple(Case.from_json(case) for case in value["cases"]),
                "skipped": tuple((name, reason) for name, reason in value["skipped"]),
                "lacking": tuple((case, kind, reason) for case, kind, reason in value.get("lacking", ())),
                "settings": RunSettings(**value["settings"]),
            }
        )
