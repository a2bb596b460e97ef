"""Histograms on one fixed grid: whole numbers, which add up to the same in any order and any batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DROPPED_BITS = 17
"""Of a float32's 32: its sign, its exponent and six bits of its mantissa stay, so that a power of two has 64 bins."""

BINS = 1 << (32 - _DROPPED_BITS)

Bins = NDArray[np.uint16]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """The bins that hold something, in ascending order of their values."""

    values: NDArray[np.float64]
    """Middle of each bin, at most 0.8 % off what is in it."""
    counts: Counts


def bins_of(values: NDArray[np.float32]) -> Bins:
    """In which of the grid's bins each value lies, flat."""
    return (np.ascontiguousarray(values).reshape(-1).view(np.uint32) >> _DROPPED_BITS).astype(np.uint16)


def count_bins(bins: Bins) -> Counts:
    """How often each of the grid's bins is among these, int64 `[BINS]`."""
    return np.bincount(bins, minlength=BINS)


def histogram(counts: Counts) -> Histogram:
    """The histogram of what was counted; values that are not finite must not be among it."""
    used = np.flatnonzero(counts)
    low, high = (((used + end) << _DROPPED_BITS).astype(np.uint32) for end in (0, 1))
    values = (low.view(np.float32).astype(np.float64) + (high - 1).astype(np.uint32).view(np.float32)) / 2
    # The first bin of either sign holds zero and what no float32 arithmetic keeps apart from it.
    values[(used == 0) | (used == BINS // 2)] = 0.0
    order = np.argsort(values, kind="stable")
    return Histogram(values=values[order], counts=counts[used][order])
