"""The line `count=50 first=… avg=… std=… p5=… median=… p95=…`, common to both native runners."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass

from device_bench.parse.lines import NUMBER, number, shown
from device_bench.result import LatencySummary
from models.errors import RunnerOutputError

_PERCENTILES = rf"(?: p5=(?P<p5>{NUMBER}) median=(?P<median>{NUMBER}) p95=(?P<p95>{NUMBER}))?"
_FULL = (
    rf"count=(?P<count>[0-9]+) first=(?P<first>{NUMBER}) curr=(?P<curr>{NUMBER}) min=(?P<min>{NUMBER})"
    rf" max=(?P<max>{NUMBER}) avg=(?P<avg>{NUMBER}) std=(?P<std>{NUMBER}){_PERCENTILES} ?"
)
_SAME = rf"count=(?P<count>[0-9]+) curr=(?P<same>{NUMBER})(?P<all>\(all same\))?{_PERCENTILES} ?"
_NONE = rf"count=0{_PERCENTILES} ?"

NO_PERCENTILES = "this build prints no percentiles"
ONE_RUN = "one run has no spread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The line's content: the summary and the first run's latency."""

    summary: LatencySummary
    first_us: float


def parse_count_line(line: str) -> Statistics | None:
    """The statistics in microseconds; None for `count=0`.

    Raises:
        RunnerOutputError: a layout that no known build prints, or numbers that contradict each other.
    """
    if found := re.fullmatch(_FULL, line):
        value = {name: number(text, line=line) for name, text in found.groupdict().items() if text is not None}
        statistics = _full(value)
    elif found := re.fullmatch(_SAME, line):
        if (found["count"] == "1") == (found["all"] is not None):
            raise RunnerOutputError(f"`(all same)` belongs to more than one run, in line {shown(line)}")
        value = {n: number(t, line=line) for n, t in found.groupdict().items() if t is not None and n != "all"}
        statistics = _same(value)
    elif re.fullmatch(_NONE, line):
        return None
    else:
        raise RunnerOutputError(f"statistics of an unknown layout: {shown(line)}")
    if not all(value.get("min", 0) <= value[n] <= value.get("max", math.inf) for n in ("first", "curr") if n in value):
        raise RunnerOutputError(f"a run outside minimum and maximum, in line {shown(line)}")
    # Microseconds are whole, the mean has 6 digits, the standard deviation is cut to whole microseconds.
    check_order(statistics.summary, tolerance_us=1 + 1e-5 * statistics.summary.mean_us, where=line)
    return statistics


def _full(value: dict[str, float]) -> Statistics:
    percentiles = {
        name: value.get(short) for name, short in (("p5_us", "p5"), ("median_us", "median"), ("p95_us", "p95"))
    }
    summary = LatencySummary(
        runs=int(value["count"]),
        mean_us=value["avg"],
        min_us=value["min"],
        max_us=value["max"],
        std_us=value["std"],
        **percentiles,
        missing={name: NO_PERCENTILES for name, known in percentiles.items() if known is None},
    )
    return Statistics(summary=summary, first_us=value["first"])


def _same(value: dict[str, float]) -> Statistics:
    """One run, or runs that all took as long: the one number settles every statistic."""
    same, runs = value["same"], int(value["count"])
    summary = LatencySummary(
        runs=runs,
        mean_us=same,
        min_us=same,
        max_us=same,
        std_us=None if runs == 1 else 0.0,
        p5_us=value.get("p5", same),
        median_us=value.get("median", same),
        p95_us=value.get("p95", same),
        missing={"std_us": ONE_RUN} if runs == 1 else {},
    )
    return Statistics(summary=summary, first_us=same)


def check_order(summary: LatencySummary, *, tolerance_us: float, where: str) -> None:
    """Refuses statistics that no sample can have.

    The standard deviation is at most half the range and at least what minimum and maximum alone make of it, which
    catches digits lost at the end of a line. The tolerance allows the runner's rounding.

    Raises:
        RunnerOutputError: they contradict each other.
    """
    low, high, mean, runs = summary.min_us, summary.max_us, summary.mean_us, summary.runs
    order = [value for value in (low, summary.p5_us, summary.median_us, summary.p95_us, high) if value is not None]
    fits = runs > 0 and min(order, default=mean) >= 0
    fits = fits and all(small <= large for small, large in itertools.pairwise(order))
    if low is not None and high is not None:
        fits = fits and low - tolerance_us <= mean <= high + tolerance_us
        if summary.std_us is not None and runs > 1:
            least = math.sqrt(((high - mean) ** 2 + (mean - low) ** 2) / runs)
            most = (high - low) / 2 * math.sqrt(runs / (runs - 1))
            fits = fits and least - 2 * tolerance_us <= summary.std_us <= most + 2 * tolerance_us
    if not fits:
        raise RunnerOutputError(f"numbers that contradict each other, in {shown(where)}")
