"""What a file loses against the float network, by the same pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.verify import paired_interval


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
    """Of the logits."""


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
    )


def sqnr_db(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Signal to quantization noise; infinite where nothing differs."""
    exact = wanted.astype(np.float64)
    noise = float(np.sum((found.astype(np.float64) - exact) ** 2))
    return float(10 * np.log10(np.sum(exact**2) / noise)) if noise else float("inf")
