"""Speed-ups with intervals: against float32 on the same device, and against the desktop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from device_bench.report.values import Speedup
from device_bench.stats import Ratio, judge, paired_ratio, unpaired_ratio


def paired_speedup(base_us: Mapping[int, float], own_us: Mapping[int, float], against: str, floor: float) -> Speedup:
    """Of processes of the same rounds of one benchmark.

    Args:
        base_us: Latencies of what is compared with, by round.
        own_us: Those of the result.
        against: Name of what is compared with.
        floor: Noise floor of the benchmark, as a share; 0 if it was not measured.
    """
    rounds = sorted(base_us.keys() & own_us.keys())
    if len(rounds) < 2:
        return _bare(list(base_us.values()), list(own_us.values()), against, "one process each shows no spread")
    ratio = paired_ratio([base_us[turn] for turn in rounds], [own_us[turn] for turn in rounds])
    return _speedup(ratio, against, floor)


def unpaired_speedup(base_us: Sequence[float], own_us: Sequence[float], against: str, floor: float = 0.0) -> Speedup:
    """Of processes that ran at different times; without interval where there are too few of them."""
    try:
        return _speedup(unpaired_ratio(base_us, own_us), against, floor)
    except ValueError as error:
        return _bare(base_us, own_us, against, str(error))


def _speedup(ratio: Ratio, against: str, floor: float) -> Speedup:
    return Speedup(
        against=against,
        ratio=1 / ratio.ratio,
        low=1 / ratio.high,
        high=1 / ratio.low,
        verdict=judge(ratio, floor),
        note="paired by rounds" if ratio.paired else "measured at different times",
    )


def _bare(base_us: Sequence[float], own_us: Sequence[float], against: str, why: str) -> Speedup:
    ratio = float(np.median(base_us) / np.median(own_us))
    return Speedup(against=against, ratio=ratio, low=None, high=None, verdict=None, note=f"no interval: {why}")
