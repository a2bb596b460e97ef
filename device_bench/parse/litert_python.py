"""Output of litert-benchmark, the Python package's runner: a block on standard output, and JSON if asked for."""

from __future__ import annotations

import json
from typing import Any

from device_bench.parse.classic import NO_WARMUP
from device_bench.parse.count_line import ONE_RUN, check_order
from device_bench.parse.lines import Log, shown
from device_bench.parse.litert import ONLY_MEAN, block_summary, milliseconds, warmup_mean
from device_bench.result import ONLY_SUMMARY, Delegation, LatencySummary, Measured, MemoryUse
from models.errors import RunnerOutputError

LOGGER = "benchmark_litert_model: "
_PARAMETER = r"(Model|Accelerators|Num threads|Warmup runs|Benchmark runs|Using signature): +(.*)"
_ACCELERATED = r"Fully accelerated: +(True|False)"
_XNNPACK = r"Created TensorFlow Lite XNNPACK delegate for CPU\."
_NO_NPU = r"NPU accelerator could not be loaded and registered: .*"
_NO_MEMORY = "litert-benchmark does not measure memory"


def parse_measured(log: Log) -> Measured:
    """All numbers of the block.

    Raises:
        RunnerOutputError: a line is missing, comes twice, or contradicts another.
    """
    log.one(" BENCHMARK RESULTS", "results", " BENCHMARK RESULTS")
    if not log.matches(_ACCELERATED):
        raise log.missing("end of the results", "Fully accelerated:     True")
    warmup = warmup_mean(log)
    first = milliseconds(log, r"Warmup \(first\):")
    return _measured(milliseconds(log, "Model initialization:"), first, warmup, block_summary(log, percentiles=True))


def parse_result_json(text: str) -> Measured:
    """All numbers of the file that `--result_json` writes.

    Raises:
        RunnerOutputError: no JSON, or a value is missing, of another type, or contradicts another.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=float)
        latency = value["latency"]
        time = {name: _us(latency, name) for name in latency if name.endswith("_ms")}
        runs, warmup_runs = _count(latency, "num_runs"), _count(latency, "num_warmup_runs")
        names = {f"{name}_us": f"{name}_ms" for name in ("min", "max", "p5", "median", "p95")}
        summary = LatencySummary(
            runs=runs,
            mean_us=time["avg_ms"],
            std_us=None if runs == 1 else time["std_ms"],
            **{name: time[key] for name, key in names.items()},
            missing={"std_us": ONE_RUN} if runs == 1 else {},
        )
        unknown: dict[str, float | None] = dict.fromkeys((*names, "std_us"))
        missing = dict.fromkeys(unknown, ONLY_MEAN)
        warmup = LatencySummary(runs=warmup_runs, mean_us=time["warmup_avg_ms"], **unknown, missing=missing)
        check_order(summary, tolerance_us=10.0, where="the result JSON")
        return _measured(time["init_ms"], time["warmup_first_ms"], warmup if warmup_runs else None, summary)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RunnerOutputError(f"the result JSON is no result of litert-benchmark: {error}") from error
    except KeyError as error:
        raise RunnerOutputError(
            f"the result JSON has no {error.args[0]!r}; the format is new or the file cut"
        ) from error


def delegations(log: Log, accelerators: tuple[str, ...]) -> tuple[Delegation, ...]:
    """What ran, one row per accelerator asked for.

    "Fully accelerated" counts XNNPACK, which is the CPU: it proves nothing for GPU or NPU while the CPU is allowed.
    """
    fully = [match[0] for match in log.matches(_ACCELERATED)]
    if len({text.split()[-1] for text in fully}) != 1:
        raise log.missing("single answer", "Fully accelerated:     True")
    full = fully[0].endswith("True")
    xnnpack = [match[0] for match in log.matches(_XNNPACK)]
    rows = []
    for name in accelerators:
        if name == "CPU":
            rows.append(
                _row("xnnpack", ("full" if full else "partial") if xnnpack else "unknown", (*xnnpack, fully[0]))
            )
        elif name == "NPU" and (refusals := log.matches(_NO_NPU)):
            rows.append(_row("npu", "none", (refusals[0][0],)))
        elif accelerators == (name,) and not xnnpack:
            rows.append(_row(name.lower(), "full" if full else "partial", (fully[0],)))
        else:
            rows.append(_row(name.lower(), "unknown", (*xnnpack, fully[0])))
    return tuple(rows)


def echoed(log: Log) -> tuple[tuple[str, str], ...]:
    """Settings that the runner logged before it ran."""
    return tuple((found[1], found[2]) for found in log.matches(_PARAMETER))


def accelerators(parameters: tuple[tuple[str, str], ...], log: Log) -> tuple[str, ...]:
    """The accelerators asked for.

    Raises:
        RunnerOutputError: the log does not say.
    """
    for name, text in parameters:
        if name == "Accelerators":
            return tuple(text.split(" | "))
    raise log.missing("line of accelerators", "INFO benchmark_litert_model: Accelerators:    CPU")


def _row(delegate: str, verdict: Any, evidence: tuple[str, ...]) -> Delegation:
    counts = dict.fromkeys(("nodes", "nodes_total", "kernels", "backend"), "litert-benchmark does not print it")
    unknown: dict[str, Any] = dict.fromkeys(counts)
    return Delegation(delegate=delegate, verdict=verdict, evidence=evidence, missing=counts, **unknown)


def _measured(init: float, first: float, warmup: LatencySummary | None, latency: LatencySummary) -> Measured:
    if latency.mean_us == 0:
        raise RunnerOutputError(
            "the average is 0.00 ms: litert-benchmark prints hundredths, and this network is faster; use the "
            "interpreter runner for it"
        )
    names = MemoryUse.__slots__[:4]
    unknown: dict[str, int | None] = dict.fromkeys(names)
    return Measured(
        init_us=init,
        first_us=first if warmup else None,
        warmup=warmup,
        latency=latency,
        samples_us=None,
        memory=MemoryUse(**unknown, missing=dict.fromkeys(names, _NO_MEMORY)),
        missing={"samples_us": ONLY_SUMMARY} | ({} if warmup else {"first_us": NO_WARMUP, "warmup": NO_WARMUP}),
    )


def _us(latency: dict[str, Any], name: str) -> float:
    value = latency[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f"{name} is {shown(str(value))}, which is no latency")
    return round(value * 1e3, 3)


def _count(latency: dict[str, Any], name: str) -> int:
    value = latency[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < (name == "num_runs"):
        raise ValueError(f"{name} is {shown(str(value))}, which is no number of runs")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no latency")
