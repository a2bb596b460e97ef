"""Ratios of latencies with intervals, and what may be said of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_bench.stats.latencies import latencies
from device_bench.stats.ranks import LEVEL, shift_rank, signed_rank
from device_bench.stats.student import student_quantile

Verdict = Literal["faster", "slower", "no difference shown"]

SMALLEST_EFFECT = 0.01
"""Below one percent no difference is called one, whatever the interval: the order in which files were linked or the
size of the environment move a program that much and more (Mytkowicz et al., ASPLOS 2009)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """New latency over old: 1.05 is 5 % slower. The interval is for the ratio of typical processes."""

    ratio: float
    low: float
    high: float
    coverage: float
    """How often such an interval holds the true ratio: 0.95, or a little more where ranks allow no less."""
    paired: bool
    """Whether processes of the same round were set against each other."""
    freedom: int
    """Degrees of freedom that the processes leave."""

    def detectable(self, floor: float) -> float:
        """The smallest slowdown that a measurement as noisy as this one shows nine times in ten: 0.03 is 3 %.

        Args:
            floor: Noise floor, as for `judge`.
        """
        half = math.log(self.high / self.low) / 2
        error = half / student_quantile(0.975, self.freedom)
        return math.exp(max(half, math.log1p(floor)) + error * student_quantile(0.9, self.freedom)) - 1

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


def paired_ratio(old_us: Sequence[float], new_us: Sequence[float]) -> Ratio:
    """Ratio of two cases that were measured in the same rounds, so that what slows a round slows both.

    From six rounds on by Wilcoxon's signed ranks of the log ratios with the Hodges-Lehmann estimate (1963), exact for
    any symmetric noise; five allow no such interval of 95 %, so below that it is Student's, of the mean log ratio.

    Args:
        old_us: One latency per round.
        new_us: Those of the same rounds.

    Raises:
        ValueError: unequal numbers, fewer than two rounds, or no latencies.
    """
    old, new = latencies(old_us), latencies(new_us)
    count = len(old)
    if count != len(new) or count < 2:
        raise ValueError(f"{count} and {len(new)} processes make no pairs; at least 2 each, of the same rounds")
    logs: NDArray[np.float64] = np.log(new) - np.log(old)
    rank, coverage = signed_rank(count)
    if rank:
        first, second = np.triu_indices(count)
        return _ratio(np.sort((logs[first] + logs[second]) / 2), rank, coverage, paired=True, freedom=count - 1)
    centre = float(np.mean(logs))
    reach = float(np.std(logs, ddof=1)) / math.sqrt(count) * student_quantile(0.975, count - 1)
    low, high = math.exp(centre - reach), math.exp(centre + reach)
    return Ratio(ratio=math.exp(centre), low=low, high=high, coverage=LEVEL, paired=True, freedom=count - 1)


def unpaired_ratio(old_us: Sequence[float], new_us: Sequence[float]) -> Ratio:
    """Ratio of two cases that were measured at different times.

    Hodges-Lehmann estimate of the shift between logarithms, with the exact interval that inverts the Mann-Whitney test:
    no distribution is assumed, only that the two have the same shape.

    Args:
        old_us: One latency per process.
        new_us: The same of the other measurement.

    Raises:
        ValueError: too few processes for a 95 % interval (four each are enough), or no latencies.
    """
    old, new = latencies(old_us), latencies(new_us)
    rank, coverage = shift_rank(len(old), len(new))
    if not rank:
        raise ValueError(f"{len(old)} and {len(new)} processes are too few for a 95 % interval; at least 4 each")
    shifts = np.sort((np.log(new)[:, None] - np.log(old)[None, :]).ravel())
    return _ratio(shifts, rank, coverage, paired=False, freedom=len(old) + len(new) - 2)


def judge(ratio: Ratio, floor: float) -> Verdict:
    """What may be said: a difference only if the interval excludes 1 and the effect exceeds the noise floor.

    Args:
        ratio: New over old.
        floor: Noise floor; taken as `SMALLEST_EFFECT` where it is less.
    """
    least = math.log1p(max(floor, SMALLEST_EFFECT))
    effect = math.log(ratio.ratio)
    if ratio.low > 1 and effect > least:
        return "slower"
    return "faster" if ratio.high < 1 and effect < -least else "no difference shown"


def noise_floor(twins: Ratio) -> float:
    """How far a case that was measured twice in the same rounds differed from itself: 0.02 is 2 %.

    It catches what intervals cannot see, because all processes share it: such as an order of processes that favours
    one. Chance alone makes it as large as the error of any other ratio of the run.

    Args:
        twins: Ratio of the case to itself.
    """
    return max(twins.ratio, 1 / twins.ratio) - 1


def _ratio(ordered: NDArray[np.float64], rank: int, coverage: float, *, paired: bool, freedom: int) -> Ratio:
    """From the sorted differences of logarithms."""
    centre, low, high = float(np.median(ordered)), float(ordered[rank - 1]), float(ordered[-rank])
    return Ratio(
        ratio=math.exp(centre),
        low=math.exp(low),
        high=math.exp(high),
        coverage=coverage,
        paired=paired,
        freedom=freedom,
    )
