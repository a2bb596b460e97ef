"""Signal to quantization noise ratios."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

SHRINK = np.linspace(1.0, 0.2, 17)
"""Shares of the observed range that are tried for a better one: narrower clips the tail and has finer steps."""


def to_db(signal: float, noise: float) -> float | None:
    """The ratio of two powers in decibels; None where one of them is nothing."""
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else None


def sqnr(exact: Values, other: Values) -> float | None:
    """Of one array against the exact one."""
    return to_db(float(np.square(exact).sum()), float(np.square(exact - other).sum()))


def rounded(values: Values, low: float, high: float, levels: int) -> Values:
    """The values with steps of an integer type that expresses `low` to `high`."""
    step = (high - low) / (levels - 1)
    if step <= 0:
        return np.zeros_like(values)
    return np.asarray(low + np.clip(np.round((values - low) / step), 0, levels - 1) * step)


def best_sqnr(values: Values, levels: int) -> float | None:
    """The best that a range with zero in it gives, among the observed one and narrower ones."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    found = (sqnr(values, rounded(values, low * share, high * share, levels)) for share in SHRINK)
    return max((value for value in found if value is not None), default=None)
