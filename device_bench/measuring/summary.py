"""`Summary`: what the processes of a case say, each of them once it is warm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from device_bench.parse.loop import summarise
from device_bench.result import LatencySummary, Measured
from device_bench.stats import Drift, Spread, outliers, steady_from

Statistic = Literal["median", "mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What all processes of a case say together."""

    case: str
    statistic: Statistic
    """Of each process: its median, or its mean where the runner prints no median."""
    latency: Spread | None
    """None without a valid process."""
    init_us: float | None
    first_us: float | None
    p5_us: float | None
    p95_us: float | None
    """These four: medians over the processes."""
    peak_rss_bytes: int | None
    """From the memory pass."""
    sustained: Drift | None
    throttled: bool
    warming: int
    """Processes whose first timed runs were still warm-up; these are left out of `latency`, p5 and p95."""
    outlying: float | None
    """Share of timed runs that lie apart; they count. None where the runner prints only statistics."""
    failure: str | None
    """Why the numbers are not valid; None if they are."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        names = (
            "case",
            "statistic",
            "init_us",
            "first_us",
            "p5_us",
            "p95_us",
            "peak_rss_bytes",
            "throttled",
            "warming",
            "outlying",
            "failure",
        )
        return {
            **{name: getattr(self, name) for name in names},
            "latency": self.latency.to_json() if self.latency else None,
            "sustained": self.sustained.to_json() if self.sustained else None,
            "valid": self.failure is None,
        }


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


def outlying_share(samples_us: Sequence[Sequence[float]]) -> float | None:
    """Share of all runs that lie apart from the others of their process; None without runs."""
    flags = [flag for runs in samples_us for flag in outliers(runs)]
    return sum(flags) / len(flags) if flags else None


def low_median(values: Sequence[float | None]) -> float | None:
    """The median, the lower one of an even number; None unless all are known."""
    known = sorted(value for value in values if value is not None)
    return known[(len(known) - 1) // 2] if known and len(known) == len(values) else None
