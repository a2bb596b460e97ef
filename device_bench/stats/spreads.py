"""The median over processes, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from device_bench.stats.latencies import latencies
from device_bench.stats.ranks import median_rank

_NOISY_HALF_WIDTH = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median over independent processes of what each of them measured, in microseconds."""

    processes: int
    median_us: float
    low_us: float
    """Lower end of the interval for the median of all processes there could be …"""
    high_us: float
    """… and upper end. Of fewer than nine processes it is their whole range."""
    coverage: float
    """How often such an interval holds that median: 0.95 or a little more, 0.9375 of five processes, 0 of one."""
    smallest_us: float
    largest_us: float
    noisy: bool
    """The interval reaches more than 5 % from the median: do not tell apart what differs by less."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


def spread(values_us: Sequence[float]) -> Spread:
    """The median of some processes' results with its interval from order statistics, exact for any distribution.

    A bootstrap would give nearly the same, but call it 95 % however few there are: of three processes it is 75 %.

    Raises:
        ValueError: no value, or one that is not positive and finite.
    """
    values = np.sort(latencies(values_us))
    median = float(np.median(values))
    rank, coverage = median_rank(len(values))
    low, high = float(values[rank - 1]), float(values[-rank])
    return Spread(
        processes=len(values),
        median_us=median,
        low_us=low,
        high_us=high,
        coverage=coverage,
        smallest_us=float(values[0]),
        largest_us=float(values[-1]),
        noisy=max(high - median, median - low) > _NOISY_HALF_WIDTH * median,
    )
