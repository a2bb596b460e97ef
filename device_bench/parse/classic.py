"""Text of TFLite's classic benchmark_model, and the parts of it that LiteRT's benchmark_model shares."""

from __future__ import annotations

import math
import re

from device_bench.parse.count_line import Statistics, parse_count_line
from device_bench.parse.lines import NUMBER, Log, number, shown
from device_bench.result import ONLY_SUMMARY, Measured, MemoryUse
from models.errors import RunnerOutputError

_N = f"({NUMBER})"
_START = r"Running benchmark for at least [0-9]+ iterations\b.*"
_COUNT = r"count=[0-9].*"
_SUMMARY = rf"Inference timings in us: Init: {_N}, First inference: {_N}, Warmup \(avg\): {_N}, Inference \(avg\): {_N}"
# 2019 and 2020.
_OLD_SUMMARY = rf"Average inference timings in us: Warmup: {_N}, Init: {_N}, (?:no stats|Inference): {_N}"
_SESSION = rf"Initialized session in {_N}ms\."
_NOTE = "Note: as the benchmark tool itself affects memory footprint, .*"
_GROWTH = rf"Memory footprint delta from the start of the tool \(MB\): init={_N} overall={_N}"
_OLD_GROWTH = rf"Peak memory footprint \(MB\): init={_N} overall={_N}"
_PEAK = rf"Overall peak memory footprint \(MB\) via periodic monitoring: {_N}"
_END = r"- VmRSS +: ([0-9]+) MB"
_PEAK_ASKED = r"Report the peak memory footprint: \[1\]"
PARAMETER = r"([^\[\]:]+): \[(.*)\]"

NO_WARMUP = "no warm-up run was made"


def parse_measured(log: Log) -> Measured:
    """All numbers of a classic log.

    Raises:
        RunnerOutputError: a line is missing, comes twice, or contradicts another.
    """
    warmup, regular = parse_statistics(log)
    if found := log.optional(_SUMMARY, "the line of inference timings"):
        init, first, warm, mean = (number(text, line=found[0]) for text in found.groups())
        agree(first, warmup.first_us if warmup else 0.0, "first inference", found[0])
    elif found := log.optional(_OLD_SUMMARY, "the line of average inference timings"):
        warm, init, mean = (number(text, line=found[0]) for text in found.groups())
    else:
        raise log.missing("summary", "INFO: Inference timings in us: Init: ")
    agree(warm, warmup.summary.mean_us if warmup else 0.0, "warm-up average", found[0])
    agree(mean, regular.summary.mean_us, "average", found[0])
    if session := log.optional(_SESSION, "the duration of the initialisation"):
        agree(init, number(session[1], line=session[0]) * 1e3, "initialisation", session[0])
    return Measured(
        init_us=init,
        first_us=warmup.first_us if warmup else None,
        warmup=warmup.summary if warmup else None,
        latency=regular.summary,
        samples_us=None,
        memory=_memory(log),
        missing={"samples_us": ONLY_SUMMARY} | ({} if warmup else {"first_us": NO_WARMUP, "warmup": NO_WARMUP}),
    )


def parse_statistics(log: Log) -> tuple[Statistics | None, Statistics]:
    """Statistics of warm-up (None without warm-up runs) and measured runs.

    Raises:
        RunnerOutputError: not exactly these two, or nothing was measured.
    """
    found = [(bool(re.fullmatch(_START, m[0])), m[0]) for m in log.matches(f"{_START}|{_COUNT}")]
    starts = [is_start for is_start, _ in found]
    lines = [text for is_start, text in found if not is_start]
    if not lines:
        raise log.missing("statistics", "INFO: count=50 first=")
    # The app's output seen through a filter has no start lines.
    if starts not in ([True, False, True, False], [False, False]):
        if len(lines) > 2 or starts.count(True) > 2:
            what = f"{starts.count(True)} starts and {len(lines)} statistics"
            raise RunnerOutputError(f"{what} where one run has two of each; keep one run per file")
        wanted = (
            "statistics of the measured runs" if starts[:3] == [True, False, True] else "two starts with statistics"
        )
        raise log.missing(wanted, "INFO: Running benchmark for at least 50 iterations")
    warmup, regular = (parse_count_line(line) for line in lines)
    if regular is None:
        raise RunnerOutputError(f"nothing was measured: {shown(lines[1])}; give --num_runs, and no --dry_run")
    return warmup, regular


def agree(one: float, other: float, what: str, line: str, *, tolerance_us: float = 0.0) -> None:
    """Refuses a number that the log states twice and differently.

    Native runners print 6 digits, so 1e-5 allows their rounding and catches any digit lost or changed.

    Raises:
        RunnerOutputError: they differ.
    """
    if not math.isclose(one, other, rel_tol=1e-5, abs_tol=tolerance_us):
        raise RunnerOutputError(f"the {what} is {one:g} in {shown(line)}, but {other:g} elsewhere in the same output")


def parameters(log: Log) -> tuple[tuple[str, str], ...]:
    """Settings that the runner echoed as `name: [value]`, those before the model is loaded."""
    return tuple((found[1], found[2]) for found in log.matches(PARAMETER))


def _memory(log: Log) -> MemoryUse:
    growth = log.optional(f"{_GROWTH}|{_OLD_GROWTH}", "the growth of memory")
    if growth is None and log.matches(_NOTE):
        raise log.missing("growth of memory", "INFO: Memory footprint delta from the start of the tool (MB): init=")
    peak = log.optional(_PEAK, "the peak of memory")
    if peak is None and log.matches(_PEAK_ASKED) and growth is not None:
        raise log.missing("peak of memory", "INFO: Overall peak memory footprint (MB) via periodic monitoring: ")
    end = log.optional(_END, "the memory at the end")
    values = {
        "init_peak_rss_growth_bytes": _bytes(growth and (growth[1] or growth[3]), growth),
        "peak_rss_growth_bytes": _bytes(growth and (growth[2] or growth[4]), growth),
        "peak_rss_bytes": _bytes(peak and peak[1], peak),
        "end_rss_bytes": _bytes(end and end[1], end),
    }
    unasked = "not asked for: --report_peak_memory_footprint"
    reasons = dict.fromkeys(values, "the runner did not print it") | {
        "peak_rss_bytes": unasked,
        "end_rss_bytes": unasked,
    }
    return MemoryUse(**values, missing={name: reasons[name] for name, value in values.items() if value is None})


def _bytes(text: str | None, found: re.Match[str] | None) -> int | None:
    return None if text is None or found is None else mebibytes(number(text, line=found[0]))


def mebibytes(value: float) -> int:
    """Bytes of what all runners call MB and is MiB, in the whole KiB they count in."""
    return round(value * 1024) * 1024
