"""How far a runtime elsewhere may be from the golden outputs, per precision, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What is allowed between a golden output and the same model's output elsewhere."""

    max_abs_error: float
    """Of any probability."""
    reason: str
    """What it allows, and what it still catches."""


_ROUNDING = "Kernels of other processors and versions round a step of 1/256 the other way here and there; "

TOLERANCES: Mapping[str, Tolerance] = MappingProxyType(
    {
        "float32": Tolerance(
            max_abs_error=1e-3,
            reason="Only the order of float additions differs between processors, which moves a probability by "
            "1e-6 to 1e-5; another model or other numbers move it by 1e-2 and more.",
        ),
        "float16": Tolerance(
            max_abs_error=5e-2,
            reason="A runtime may compute in 16 bits, where weights and sums keep 11 significant bits: 0.020 was "
            "measured in LiteRT.js. A model with other weights is further off.",
        ),
        "dynamic_range": Tolerance(
            max_abs_error=0.25,
            reason="Every runtime rounds the activations of each picture anew, with its own kernels: 0.17 was measured "
            "between two of them. Another best class on a clear picture is still caught.",
        ),
        "int8": Tolerance(
            max_abs_error=0.1,
            reason=f"{_ROUNDING}one that misreads a scale is off by far more.",
        ),
        "int8_npu": Tolerance(
            max_abs_error=0.1,
            reason=f"{_ROUNDING}one that misreads a scale is off by far more.",
        ),
        "int8_mixed": Tolerance(
            max_abs_error=0.1,
            reason=f"{_ROUNDING}what its float blocks compute may fall to the other side of a step as well.",
        ),
        "int16x8": Tolerance(
            max_abs_error=1e-2,
            reason="All runtimes leave 16-bit activations to the same integer kernels; only the softmax may differ.",
        ),
    }
)
"""By the name of a TFLite precision."""
