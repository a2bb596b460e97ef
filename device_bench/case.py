"""What is to be measured: one artifact on one runner with one delegate, number of threads and set of CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Delegate = Literal["cpu", "gpu"]
"""cpu: XNNPACK where the runner has it; what really ran is in the run's `Delegation`."""

Pass = Literal["latency", "twin", "memory", "profile", "sustained"]
"""Each kind of look perturbs the others, so each has processes of its own; sustained is latency over minutes, twin is
latency of the same case once more, to see what noise alone does."""

RunnerName = Literal["classic", "litert", "litert_python", "interpreter", "onnxruntime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One artifact, as the manifest describes it."""

    file: str
    format: Literal["tflite", "onnx"]
    precision: str
    sha256: str
    size_bytes: int
    input_name: str
    input_dtype: str
    input_shape: tuple[int, ...]
    output_dtype: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "input_shape": list(self.input_shape)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Model:
        """Value from `to_json`'s form."""
        return cls(**{**value, "input_shape": tuple(value["input_shape"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the matrix."""

    model: Model
    runner: RunnerName
    delegate: Delegate
    threads: int
    affinity: str
    """Name of the policy: none, all, big, prime, little, or a hexadecimal mask."""
    cpu_mask: int | None
    """What the policy means on this target."""

    @property
    def name(self) -> str:
        """Short, unique in a plan, and fit for a folder: `int8.tflite-classic-cpu-4t-big`."""
        return (
            f"{self.model.precision}.{self.model.format}-{self.runner}-{self.delegate}-{self.threads}t-{self.affinity}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "model": self.model.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Case:
        """Value from `to_json`'s form."""
        return cls(**{**value, "model": Model.from_json(value["model"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How long one process measures. All are passed on explicitly: no runner's default is relied on."""

    runs: int = 50
    """Least number of timed inferences."""
    min_s: float = 1.0
    """Least time of timed inferences; small networks run more often than `runs`."""
    max_s: float = 150.0
    """Longest time of warm-up, and again of timed inferences."""
    warmup_runs: int = 1
    warmup_min_s: float = 0.5
    strict: bool = False
    """Fail when a delegate does not take the whole graph."""

    @property
    def timeout_s(self) -> float:
        """After which a process hangs: warm-up and runs at their longest, a minute to load, and then some."""
        return 2 * self.max_s + 90
