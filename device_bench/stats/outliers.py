"""Runs that lie apart: flagged, and kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from device_bench.stats.latencies import latencies

THRESHOLD = 3.5
"""Of the modified z-score, as its authors recommend."""


def outliers(values_us: Sequence[float]) -> tuple[bool, ...]:
    """For each value, whether it lies apart from the rest, by the modified z-score of its logarithm.

    The score is the distance from the median in units of the median absolute deviation, or of the mean one where more
    than half of the values are equal (Iglewicz & Hoaglin 1993). Nobody should drop them: a spike that comes every
    second is part of the latency.

    Raises:
        ValueError: no value, or one that is no latency.
    """
    logs = np.log(latencies(values_us))
    distances = np.abs(logs - np.median(logs))
    scale = 1.4826 * float(np.median(distances)) or 1.2533 * float(np.mean(distances))
    return tuple(bool(apart) for apart in distances > THRESHOLD * scale) if scale else (False,) * len(logs)
