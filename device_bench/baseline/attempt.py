"""What one process of a baseline, and one engine, came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_bench.baseline.case import FailureKind, Kind, Measured, Placement
from device_bench.measuring.correctness import OutputCheck


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
