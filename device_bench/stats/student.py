"""Student's t distribution for whole degrees of freedom, which is all that is needed here."""

from __future__ import annotations

import math
from functools import lru_cache


@lru_cache(maxsize=256)
def student_quantile(probability: float, freedom: int) -> float:
    """The value below which a t variable lies with that probability (above one half).

    Raises:
        ValueError: the probability is outside 0.5 to 1 (both excluded), or there is no degree of freedom.
    """
    if not 0.5 < probability < 1 or freedom < 1:
        raise ValueError(f"probability {probability} with {freedom} degrees of freedom")
    low, high = 0.0, 1.0
    while _within(high, freedom) < 2 * probability - 1:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 2 * probability - 1 else (low, middle)
    return high


def _within(bound: float, freedom: int) -> float:
    """Probability that a t variable lies within ±`bound`: Abramowitz & Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(bound / math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    if freedom == 1:
        return 2 * angle / math.pi
    term = total = math.cos(angle) if odd else 1.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= square * (step - 1) / step
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
