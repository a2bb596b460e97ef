"""Confidence from ranks alone: exact whatever the distribution. Each function tells how many values to leave out."""

from __future__ import annotations

import math
from functools import lru_cache

LEVEL = 0.95
_EXACT_UP_TO = 2_500


def median_rank(count: int) -> tuple[int, float]:
    """The rank k for which the k-th smallest and the k-th largest of `count` values bracket the true median.

    Returns:
        The largest k whose coverage is at least 95 %, else 1, with its coverage (Thompson 1936): of five, 93.75 %.
    """
    rank, outside = 1, 2 * 0.5**count
    while rank + 1 <= (count + 1) // 2:
        wider = outside + 2 * math.comb(count, rank) * 0.5**count
        if 1 - wider < LEVEL:
            break
        rank, outside = rank + 1, wider
    return rank, max(0.0, 1 - outside)


@lru_cache(maxsize=256)
def shift_rank(first: int, second: int) -> tuple[int, float]:
    """The same among all `first * second` differences between two samples (Mann & Whitney 1947, Moses 1965).

    Returns:
        Rank and coverage; rank 0 if the samples are too small for 95 %.
    """
    pairs = first * second
    if pairs > _EXACT_UP_TO:
        return _normal_rank(pairs / 2, math.sqrt(pairs * (first + second + 1) / 12))
    # Ways to reach each value of U: coefficients of the Gaussian binomial, a product of (1 - q^a) / (1 - q^b).
    ways = [1] + [0] * pairs
    for step in range(1, second + 1):
        for power in range(pairs, first + step - 1, -1):
            ways[power] -= ways[power - first - step]
        for power in range(step, pairs + 1):
            ways[power] += ways[power - step]
    return _exact_rank(ways, math.comb(first + second, first))


@lru_cache(maxsize=256)
def signed_rank(count: int) -> tuple[int, float]:
    """The same among all means of two of `count` paired differences, each with itself too (Wilcoxon 1945, Tukey 1949).

    Returns:
        Rank and coverage; rank 0 if there are too few pairs for 95 %, which five are.
    """
    means = count * (count + 1) // 2
    if means > _EXACT_UP_TO:
        return _normal_rank(means / 2, math.sqrt(count * (count + 1) * (2 * count + 1) / 24))
    ways = [1] + [0] * means
    for step in range(1, count + 1):
        for total in range(means, step - 1, -1):
            ways[total] += ways[total - step]
    return _exact_rank(ways, 2**count)


def _exact_rank(ways: list[int], total: int) -> tuple[int, float]:
    rank, below = 0, 0
    while 2 * (below + ways[rank]) <= (1 - LEVEL) * total:
        below += ways[rank]
        rank += 1
    return rank, 1 - 2 * below / total


def _normal_rank(mean: float, deviation: float) -> tuple[int, float]:
    return math.floor(mean - 1.959964 * deviation), LEVEL
