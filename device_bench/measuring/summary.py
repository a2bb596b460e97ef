"""What the timed runs of a process say once it is warm."""

from __future__ import annotations

from device_bench.parse.loop import summarise
from device_bench.result import LatencySummary, Measured
from device_bench.stats import steady_from


def steady_samples_us(measured: Measured) -> tuple[float, ...] | None:
    """Latency of each timed run after warm-up, in order; None where the runner prints only statistics.

    Raises:
        ValueError: a sample is no latency.
    """
    samples = measured.samples_us
    return None if samples is None else samples[steady_from(samples) :]


def steady_latency(measured: Measured) -> LatencySummary:
    """Statistics of the runs after warm-up: as the runner printed them where it was warm from the first timed run.

    Raises:
        ValueError: a sample is no latency.
    """
    steady = steady_samples_us(measured)
    return measured.latency if steady is None or steady == measured.samples_us else summarise(steady)
