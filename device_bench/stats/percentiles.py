"""Percentiles of all runs of several processes together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.stats.latencies import latencies
from device_bench.stats.student import student_quantile

_RESAMPLES = 500
_FEWEST_BEYOND = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """A latency that some share of all runs does not exceed, with its 95 % interval, in microseconds."""

    percent: float
    value_us: float
    low_us: float
    high_us: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


def pooled_percentiles(
    processes_us: Sequence[Sequence[float]],
    percents: Sequence[float] = (50.0, 90.0, 95.0),
    *,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> tuple[Percentile, ...]:
    """Percentiles of the runs of all processes, each process counting alike however many runs it made.

    The interval comes from a block bootstrap of two levels: processes are drawn, and within each of them blocks of
    consecutive runs as long as the square root of their number, for one run resembles the next (Künsch 1989; circular
    blocks by Politis & Romano 1992; levels by Davison & Hinkley 1997, 3.8). Of few processes its own quantiles are too
    narrow, so only its standard error of the logarithm is used, enlarged by sqrt(k / (k - 1)), with Student's quantile
    of k - 1 degrees of freedom. The middle is held as promised; far percentiles of four processes that differ more
    than their runs do, in five cases of six: the slowest process there could be was hardly among them.

    Args:
        processes_us: Latency of each run in order, per process.
        percents: Between 0 and 100.
        resamples: How many times is drawn.
        seed: Of the draws.

    Raises:
        ValueError: fewer than two processes, no latencies, or a percentile beyond which fewer than five runs lie.
    """
    if len(processes_us) < 2:
        raise ValueError(f"{len(processes_us)} processes tell nothing of the difference between processes; at least 2")
    processes = [latencies(samples) for samples in processes_us]
    total = sum(len(samples) for samples in processes)
    for percent in percents:
        if not 0 < percent < 100 or total * min(percent, 100 - percent) / 100 < _FEWEST_BEYOND:
            raise ValueError(f"percentile {percent:g} of {total} runs; at least {_FEWEST_BEYOND} must lie beyond it")
    pool = np.concatenate(processes)
    order = np.argsort(pool, kind="stable")
    shares = np.asarray(percents, np.float64) / 100
    equal = np.concatenate([np.full(len(samples), 1 / len(samples)) for samples in processes])
    values = _weighted(pool[order], equal[order], shares)
    rng = np.random.default_rng(seed)
    sizes = [len(samples) for samples in processes]
    drawn = np.array([_weighted(pool[order], _draw(sizes, rng)[order], shares) for _ in range(resamples)])
    count = len(processes)
    errors = np.std(np.log(drawn), axis=0, ddof=1) * math.sqrt(count / (count - 1))
    reach = np.exp(errors * student_quantile(0.975, count - 1))
    return tuple(
        Percentile(percent=float(percent), value_us=float(value), low_us=float(value / far), high_us=float(value * far))
        for percent, value, far in zip(percents, values, reach, strict=True)
    )


def _draw(sizes: Sequence[int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights of all runs in one resample: how often each was drawn, by the runs of its process."""
    starts = np.cumsum([0, *sizes[:-1]])
    weights = np.zeros(sum(sizes))
    for chosen in rng.integers(len(sizes), size=len(sizes)):
        size, start = sizes[chosen], starts[chosen]
        length = max(1, round(math.sqrt(size)))
        firsts = rng.integers(size, size=-(-size // length))
        runs = ((firsts[:, None] + np.arange(length)) % size).ravel()[:size]
        weights[start : start + size] += np.bincount(runs, minlength=size) / size
    return weights


def _weighted(ordered: NDArray[np.float64], weights: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[Any]:
    """The smallest values at which the weights add up to the shares of the whole."""
    reached = np.cumsum(weights)
    # A little less: sums of thirds must not miss what they add up to.
    places = np.searchsorted(reached, shares * reached[-1] * (1 - 1e-12))
    found: NDArray[np.float64] = ordered[np.minimum(places, len(ordered) - 1)]
    return found
