"""What is to be measured on the desktop, and what one process found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Accelerator = Literal["gpu", "cpu"]
Precision = Literal["float32", "tf32", "float16"]
"""float32: true 32-bit products, TF32 is off. tf32: NVIDIA's 19-bit products of 32-bit numbers. float16: half."""

PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "float16")
Kind = Literal["sweep", "latency"]
"""sweep: one process per batch, to find the knee; latency: what counts."""

FailureKind = Literal[
    "not_installed", "no_device", "elsewhere", "unsupported", "memory", "wrong", "failed", "crashed", "timeout"
]
"""no_device: the runtime is there and finds no GPU that it can use. elsewhere: it computed on something else than asked
for. unsupported: the engine cannot do this precision or batch. memory: it ran out of it. wrong: it computes something
else than the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCase:
    """One row of the matrix."""

    engine: str
    precision: Precision
    batch: int
    """Images per inference."""
    threads: int
    """For what the CPU computes."""

    @property
    def name(self) -> str:
        """Short, unique in a plan: `onnxruntime-cuda-float32-b8`."""
        return f"{self.engine}-{self.precision}-b{self.batch}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "name": self.name}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BaselineCase:
        """Value from `to_json`'s form."""
        return cls(**{key: value[key] for key in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a process really computed, as its runtime proves it."""

    accelerator: Accelerator | None
    """None: the runtime does not tell, or the work was spread over both."""
    device: str
    """As the runtime names it: `/device:GPU:0`, `cuda:0`, `CUDAExecutionProvider`."""
    whole: bool
    """Whether all of the work was there."""
    nodes: Mapping[str, int] | None
    """Nodes of the graph by what computed them (ONNX Runtime's providers, LiteRT's delegate); None if not counted."""
    evidence: str
    """How it is known, and what is not."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "nodes": None if self.nodes is None else dict(self.nodes)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Placement:
        """Value from `to_json`'s form."""
        return cls(**{key: value[key] for key in cls.__slots__})


PHASES = ("compute", "copy_in", "copy_out", "end_to_end")
"""compute: input and output stay where the work is done. copy_in, copy_out: host to device and back. end_to_end: from
an input in the host's memory to the output there. Each sample ends when the device has finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one process measured. Times in microseconds per inference of the whole batch."""

    init_us: float
    """From the model's file to a network that is ready; imports are not counted."""
    first_us: float
    """The first inference, end to end: where a compiler runs, it is in here."""
    warmup_us: tuple[float, ...]
    """Every inference of the warm-up, end to end."""
    steady: bool
    """Whether the warm-up ended because latencies no longer fell, and not because its time was over."""
    samples_us: Mapping[str, tuple[float, ...] | None]
    """By phase, in the order they were taken; None for what the engine does not have or cannot separate."""
    peak_rss_bytes: int | None
    """Of the process, by Linux; imports included."""
    versions: Mapping[str, str]
    """Of the libraries that compute, CUDA and cuDNN where the library tells them."""
    parameters: Mapping[str, Any]
    """What was set, explicitly."""
    missing: Mapping[str, str]
    """Why a value is None, by its name."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {
            **{key: getattr(self, key) for key in ("init_us", "first_us", "steady", "peak_rss_bytes")},
            **{key: dict(getattr(self, key)) for key in ("versions", "parameters", "missing")},
            "warmup_us": list(self.warmup_us),
            "samples_us": {phase: None if row is None else list(row) for phase, row in self.samples_us.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measured:
        """Value from `to_json`'s form.

        Raises:
            ValueError: phases are missing, or a latency is not a positive number.
        """
        samples = {phase: _latencies(value["samples_us"][phase]) for phase in PHASES}
        warmup = _latencies(value["warmup_us"])
        for name in ("init_us", "first_us"):
            _latencies([value[name]])
        same = ("init_us", "first_us", "steady", "peak_rss_bytes", "versions", "parameters", "missing")
        return cls(**{key: value[key] for key in same}, warmup_us=warmup or (), samples_us=samples)


def _latencies(values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    row = tuple(float(value) for value in values)
    if not row or not all(0 < value < float("inf") for value in row):
        raise ValueError(f"no latencies: {str(row)[:80]}")
    return row
