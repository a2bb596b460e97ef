"""Histograms on one fixed grid: whole numbers, which add up to the same in any order and any batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DROPPED_BITS = 17
"""Of a float32's 32: its sign, its exponent and six bits of its mantissa stay, so that a power of two has 64 bins."""

BINS = 1 << (32 - _DROPPED_BITS)

Bins = NDArray[np.uint16]
Counts = NDArray[np.int64]

LOUDNESS_STEP = 4.0
"""By how much the mean square of one class of pictures is above that of the class below."""
SILENT = -1000
"""The class of pictures that hold nothing but zeros: below that of every other power of float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """The bins that hold something, in ascending order of their values."""

    values: NDArray[np.float64]
    """Middle of each bin, at most 0.8 % off what is in it."""
    counts: Counts
    weights: NDArray[np.float64]
    """The counts, but those of pictures louder than the median one are worth less, as much as their power is greater.

    The median is that of pictures that hold more than zeros.
    One picture in a hundred can hold values a hundred times as large as all others (squeeze-and-excite does that). What
    is cut off of it is then judged by its own power, and not by that of the others.
    """


def bins_of(values: NDArray[np.float32]) -> Bins:
    """In which of the grid's bins each value lies, flat."""
    return (np.ascontiguousarray(values).reshape(-1).view(np.uint32) >> _DROPPED_BITS).astype(np.uint16)


def count_bins(bins: Bins) -> Counts:
    """How often each of the grid's bins is among these, int64 `[BINS]`."""
    return np.bincount(bins, minlength=BINS)


def loudness(values: NDArray[np.float32]) -> int:
    """The class of a picture by the power of its values in a tensor: the exponent of their mean square, halved."""
    # Not a scalar product: BLAS shares one among threads, which wait for each other longer than they compute.
    exact = values.reshape(-1).astype(np.float64)
    power = np.sum(exact * exact) / max(exact.size, 1)
    return int(np.frexp(power)[1]) // 2 if power else SILENT


def histogram(counts: Mapping[int, Counts]) -> Histogram:
    """The histogram of what was counted, by `loudness`; values that are not finite must not be among it."""
    classes = sorted(counts)
    total = np.add.reduce([counts[loud] for loud in classes])
    heard = [loud for loud in classes if loud != SILENT] or classes
    reached = np.cumsum([counts[loud].sum() for loud in heard])
    usual = heard[int(np.searchsorted(reached, reached[-1] / 2))]
    used = np.flatnonzero(total)
    weights = np.add.reduce([counts[loud][used] / LOUDNESS_STEP ** max(0, loud - usual) for loud in classes])
    low, high = (((used + end) << _DROPPED_BITS).astype(np.uint32) for end in (0, 1))
    values = (low.view(np.float32).astype(np.float64) + (high - 1).astype(np.uint32).view(np.float32)) / 2
    # The first bin of either sign holds zero and what no float32 arithmetic keeps apart from it.
    values[(used == 0) | (used == BINS // 2)] = 0.0
    order = np.argsort(values, kind="stable")
    return Histogram(values=values[order], counts=total[used][order], weights=weights[order])
