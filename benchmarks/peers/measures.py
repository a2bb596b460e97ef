"""What a file loses against the float network, by the same pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.verify import paired_interval

EXACT_DB = 150.0
"""What float32 can tell, for a picture whose logits do not differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Shares are of the test pictures, 0..1."""

    top1: float
    drop: float
    drop_low: float
    drop_high: float
    """95 % interval, paired."""
    disagreement: float
    """Another class than the float network names."""
    sqnr_db: float
    """Of the logits, summed over all pictures: the surest ones, whose logits are the largest, are most of it."""
    picture_sqnr_db: float
    """The mean of each picture's own."""


def loss(wanted: NDArray[np.float32], found: NDArray[np.float32], classes: NDArray[np.int64]) -> Loss:
    """What answers lose against the float network's, both `[N, classes]`."""
    meant, named = wanted.argmax(axis=1), found.argmax(axis=1)
    low, high = paired_interval(meant == classes, named == classes)
    return Loss(
        top1=float(np.mean(named == classes)),
        drop=float(np.mean(meant == classes) - np.mean(named == classes)),
        drop_low=low,
        drop_high=high,
        disagreement=float(np.mean(meant != named)),
        sqnr_db=sqnr_db(wanted, found),
        picture_sqnr_db=float(np.mean([min(sqnr_db(*pair), EXACT_DB) for pair in zip(wanted, found, strict=True)])),
    )


def sqnr_db(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Signal to quantization noise; infinite where nothing differs."""
    exact = wanted.astype(np.float64)
    noise = float(np.sum((found.astype(np.float64) - exact) ** 2))
    return float(10 * np.log10(np.sum(exact**2) / noise)) if noise else float("inf")
