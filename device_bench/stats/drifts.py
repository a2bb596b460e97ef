"""How latency changes over minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a phone keeps up its speed under load."""

    minutes: float
    processes: int
    start_us: float
    """Median of the processes of the first tenth of the time, at least three."""
    steady_us: float
    """Median of the processes of the last third."""

    @property
    def ratio(self) -> float:
        """Steady latency over that at the start: 1.25 is a quarter slower."""
        return self.steady_us / self.start_us

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "ratio": self.ratio}


def drift(moments_s: Sequence[float], values_us: Sequence[float]) -> Drift:
    """Latency at the start against that at the end of a sustained run.

    Args:
        moments_s: When each process began, from the first one on, ascending.
        values_us: What it measured.

    Raises:
        ValueError: fewer than six processes, which tell nothing of a trend.
    """
    if len(values_us) < 6 or len(values_us) != len(moments_s):
        raise ValueError(f"{len(values_us)} processes are too few to tell a trend; at least 6")
    length = moments_s[-1] - moments_s[0]
    early = [value for moment, value in zip(moments_s, values_us, strict=True) if moment <= moments_s[0] + length / 10]
    late = [value for moment, value in zip(moments_s, values_us, strict=True) if moment >= moments_s[-1] - length / 3]
    start = early if len(early) >= 3 else list(values_us[:3])
    return Drift(
        minutes=length / 60,
        processes=len(values_us),
        start_us=float(np.median(start)),
        steady_us=float(np.median(late)),
    )
