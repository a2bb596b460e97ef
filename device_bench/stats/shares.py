"""Shares of a number of trials."""

from __future__ import annotations

import math


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
