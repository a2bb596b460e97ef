"""Pure statistics of latencies: what several processes say together, and how far to trust it.

The process is the unit: runs of one process share its memory layout, clocks and neighbours, so a thousand of them say
little about the next process. `docs/measuring.md` tells the method with its sources.
"""

from device_bench.stats.drifts import Drift, drift
from device_bench.stats.outliers import outliers
from device_bench.stats.percentiles import Percentile, pooled_percentiles
from device_bench.stats.ratios import Ratio, Verdict, judge, noise_floor, paired_ratio, unpaired_ratio
from device_bench.stats.shares import wilson_interval
from device_bench.stats.spreads import Spread, spread
from device_bench.stats.steady import block_medians, steady_from

__all__ = [
    "Drift",
    "Percentile",
    "Ratio",
    "Spread",
    "Verdict",
    "block_medians",
    "drift",
    "judge",
    "noise_floor",
    "outliers",
    "paired_ratio",
    "pooled_percentiles",
    "spread",
    "steady_from",
    "unpaired_ratio",
    "wilson_interval",
]
