"""What all processes of a case, and all cases of a sweep, say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from device_bench.baseline.case import Accelerator, BaselineCase
from device_bench.stats import Spread


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
