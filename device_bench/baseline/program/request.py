"""What the measuring program is told, as a file of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from device_bench.baseline.case import Accelerator, FailureKind, Precision
from device_bench.baseline.engines import Engine

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long one process measures."""

    runs: int = 30
    """Least number of samples of each phase."""
    min_s: float = 1.0
    """Least time of each phase."""
    max_s: float = 20.0
    """Longest time of each phase, however few samples that gives."""
    warmup_min_s: float = 0.5
    warmup_max_s: float = 10.0
    """Longest time to become steady."""

    @property
    def timeout_s(self) -> float:
        """After which a process hangs: all phases at their longest, and ten minutes to compile for a GPU."""
        return 4 * self.max_s + self.warmup_max_s + 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One process. Paths are absolute."""

    mode: Literal["prove", "measure"]
    """prove: outputs and where each node is computed, no times. measure: times, and outputs once more."""
    engine: Engine
    device: Accelerator
    """Where it must compute; the GPU engines' code is tested on CPUs."""
    precision: Precision
    batch: int
    threads: int
    model: str
    """The exported file, or the checkpoint."""
    zoo_name: str
    classes: int
    """Of a checkpoint: the network's name and number of classes."""
    softmax: bool
    """Of a checkpoint: whether the exported files end with it."""
    inputs: str
    """`.npy`, float32 `[N, H, W, 3]`, normalised."""
    outputs: str
    """Where the outputs go, `.npy`, float32 `[N, classes]`; when measuring, of one batch."""
    folder: str
    """Private, for whatever the runtime writes."""
    settings: Settings

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "schema": SCHEMA}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Request:
        """Value from `to_json`'s form."""
        if value["schema"] != SCHEMA:
            raise ValueError(f"request schema {value['schema']}, known is {SCHEMA}")
        rest = {key: value[key] for key in cls.__slots__}
        return cls(**{**rest, "engine": Engine.from_json(value["engine"]), "settings": Settings(**value["settings"])})


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """The engine cannot do what was asked for."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
