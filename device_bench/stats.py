"""Pure statistics of latencies: what several processes say together, and how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

_RESAMPLES = 10_000
_NOISY_HALF_WIDTH = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median over independent processes of what each of them measured, in microseconds."""

    processes: int
    median_us: float
    low_us: float
    """Lower end of the 95 % bootstrap interval of the median …"""
    high_us: float
    """… and upper end. Of five processes it is nearly their whole range: fewer can prove nothing narrower."""
    smallest_us: float
    largest_us: float
    noisy: bool
    """The interval reaches more than 5 % from the median: do not tell apart what differs by less."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


def spread(values_us: Sequence[float], *, seed: int = 0) -> Spread:
    """The median of some processes' results with its percentile bootstrap interval (Efron 1979).

    Raises:
        ValueError: no value, or one that is not positive and finite.
    """
    if not values_us or not all(math.isfinite(value) and value > 0 for value in values_us):
        raise ValueError(f"no latencies: {list(values_us)}")
    values = np.asarray(values_us, np.float64)
    median = float(np.median(values))
    drawn = np.random.default_rng(seed).choice(values, (_RESAMPLES, len(values)))
    low, high = (float(bound) for bound in np.percentile(np.median(drawn, axis=1), (2.5, 97.5)))
    return Spread(
        processes=len(values),
        median_us=median,
        low_us=low,
        high_us=high,
        smallest_us=float(values.min()),
        largest_us=float(values.max()),
        noisy=max(high - median, median - low) > _NOISY_HALF_WIDTH * median,
    )


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """95 % interval of a share, here of right answers (Wilson 1927); it keeps its coverage near 0 and 1.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= right <= total or total == 0:
        raise ValueError(f"{right} of {total}")
    z2 = 1.959964**2
    share = right / total
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = math.sqrt(z2 * (share * (1 - share) / total + z2 / (4 * total**2))) / (1 + z2 / total)
    return max(0.0, centre - half), min(1.0, centre + half)


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
