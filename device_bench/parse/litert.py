"""Text of LiteRT's benchmark_model (CompiledModel API): a block in milliseconds on standard error."""

from __future__ import annotations

from device_bench.parse.classic import NO_WARMUP, agree, mebibytes, parse_statistics
from device_bench.parse.count_line import NO_PERCENTILES, ONE_RUN, check_order
from device_bench.parse.lines import NUMBER, Log, number, whole
from device_bench.result import ONLY_SUMMARY, LatencySummary, Measured, MemoryUse
from models.errors import RunnerOutputError

BANNER = "=+ BENCHMARK RESULTS =+"
_ROUNDING_US = 5.0  # two decimals of a millisecond
_MEMORY = "Memory Usage:"
_NO_PEAK = r"Peak memory usage not available\..*"
ONLY_MEAN = "the runner prints only the average of the warm-up"


def parse_measured(log: Log) -> Measured:
    """All numbers of the block, from the finer `count=` lines where these were captured too.

    Raises:
        RunnerOutputError: a line is missing, comes twice, or contradicts another.
    """
    log.one(BANNER, "results", "========== BENCHMARK RESULTS ==========")
    init = milliseconds(log, "Model initialization:")
    block = block_summary(log)
    # The tool's README shows the older name.
    first = milliseconds(log, "(?:Warmup \\(first\\)|First inference):", example="Warmup (first):")
    warmup = warmup_mean(log)
    if log.matches("count=[0-9].*"):
        fine_warmup, fine = parse_statistics(log)
        for name in ("mean_us", "min_us", "max_us"):
            coarse, sharp = getattr(block, name), getattr(fine.summary, name)
            agree(coarse, sharp, name, "BENCHMARK RESULTS", tolerance_us=2 * _ROUNDING_US)
        agree(block.runs, fine.summary.runs, "number of runs", "BENCHMARK RESULTS")
        block = fine.summary
        if fine_warmup and warmup:
            agree(
                warmup.mean_us, fine_warmup.summary.mean_us, "warm-up average", "BENCHMARK RESULTS", tolerance_us=10.0
            )
            first, warmup = fine_warmup.first_us, fine_warmup.summary
    return Measured(
        init_us=init,
        first_us=first if warmup else None,
        warmup=warmup,
        latency=block,
        samples_us=None,
        memory=_memory(log),
        missing={"samples_us": ONLY_SUMMARY} | ({} if warmup else {"first_us": NO_WARMUP, "warmup": NO_WARMUP}),
    )


def milliseconds(log: Log, label: str, *, example: str | None = None, unit: str = " ms") -> float:
    """Microseconds of a line `label 12.34 ms`.

    Raises:
        RunnerOutputError: the line is missing or comes twice.
    """
    what = (example or label.replace("\\", "")).removesuffix(":")
    found = log.one(rf"{label} +({NUMBER}){unit}", f"line {what!r}", f"{what}: 1.23{unit}")
    return round(number(found[1], line=found[0]) * 1e3, 3)


def counted(log: Log, label: str) -> tuple[float, int]:
    """Microseconds and runs of a line `Inference (avg): 12.34 ms (20 runs)`.

    Raises:
        RunnerOutputError: the line is missing or comes twice.
    """
    pattern = rf"{label.replace('(', '[(]').replace(')', '[)]')}: +({NUMBER}) ms \(([0-9]+) runs\)"
    found = log.one(pattern, f"line {label!r}", f"{label}: 1.23 ms (50 runs)")
    return round(number(found[1], line=found[0]) * 1e3, 3), whole(found[2])


def warmup_mean(log: Log) -> LatencySummary | None:
    """The warm-up, of which only average and number are printed; None without runs."""
    mean, runs = counted(log, "Warmup (avg)")
    names = ("min_us", "max_us", "std_us", "p5_us", "median_us", "p95_us")
    unknown: dict[str, float | None] = dict.fromkeys(names)
    missing = dict.fromkeys(names, ONLY_MEAN)
    return LatencySummary(runs=runs, mean_us=mean, **unknown, missing=missing) if runs else None


def block_summary(log: Log, *, percentiles: bool = False) -> LatencySummary:
    """The measured runs, in the block's precision of 10 us.

    Raises:
        RunnerOutputError: a line is missing, comes twice, or contradicts another.
    """
    mean, runs = counted(log, "Inference (avg)")
    if runs == 0:
        raise RunnerOutputError("nothing was measured: 'Inference (avg)' of 0 runs; give --num_runs")
    # LiteRT's native runner prints this one without its unit.
    std = milliseconds(log, r"Inference \(std\):", unit="(?: ms)?", example="Inference (std):")
    names = {"p5_us": "p5", "median_us": "median", "p95_us": "p95"}
    known = {
        name: milliseconds(log, rf"Inference \({word}\):") if percentiles else None for name, word in names.items()
    }
    missing = {name: NO_PERCENTILES for name, value in known.items() if value is None}
    summary = LatencySummary(
        runs=runs,
        mean_us=mean,
        min_us=milliseconds(log, r"Inference \(min\):"),
        max_us=milliseconds(log, r"Inference \(max\):"),
        std_us=None if runs == 1 else std,
        **known,
        missing=missing | ({"std_us": ONE_RUN} if runs == 1 else {}),
    )
    check_order(summary, tolerance_us=2 * _ROUNDING_US, where="BENCHMARK RESULTS")
    return summary


def _memory(log: Log) -> MemoryUse:
    values: dict[str, int | None] = dict.fromkeys(MemoryUse.__slots__[:4])
    missing = dict.fromkeys(values, "the runner did not print it")
    if log.matches(_MEMORY):
        for name, label in (("init_peak_rss_growth_bytes", "Init"), ("peak_rss_growth_bytes", "Overall")):
            found = log.one(
                rf"{label} footprint: +({NUMBER}) MB", f"line '{label} footprint'", f"{label} footprint: 1.2 MB"
            )
            values[name] = mebibytes(number(found[1], line=found[0]))
        peak = log.one(rf"Peak memory: +({NUMBER}) MB|{_NO_PEAK}", "line 'Peak memory'", "Peak memory: 1.23 MB")
        if peak[1] is None:
            missing["peak_rss_bytes"] = "not asked for: --report_peak_memory_footprint"
        else:
            values["peak_rss_bytes"] = mebibytes(number(peak[1], line=peak[0]))
    return MemoryUse(**values, missing={name: missing[name] for name, value in values.items() if value is None})
