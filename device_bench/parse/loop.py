"""Output of `runners/timed_loop.py`: two lines on standard output, and a JSON file with the latency of every run.

The last line carries the file's SHA-256, so that a cut file, or one of another run, is no result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from device_bench.parse.classic import NO_WARMUP
from device_bench.parse.count_line import ONE_RUN
from device_bench.parse.lines import Log, shown
from device_bench.result import Delegation, LatencySummary, Measured, MemoryUse
from models.errors import RunnerOutputError

BANNER = r"timed loop: (\w+) (\S+)"
RESULT_FILE = "result.json"
_END = r"timed loop result: ([0-9]+) runs, sha256 ([0-9a-f]{64})"
_SCHEMA = 1
_XNNPACK = r"Created TensorFlow Lite XNNPACK delegate for CPU\."
_NO_STATUS = "the system has no /proc/self/status"
_NO_NODES = "this version of the package does not list the nodes"
_NO_BACKEND = "only gpu and nnapi have backends"


def read_result(log: Log, text: str | None) -> Mapping[str, Any]:
    """The file's content, proven to be that of this log.

    Raises:
        RunnerOutputError: the log has no end, the file is not there, or it is another one.
    """
    end = log.one(_END, "end of the timed loop", "INFO: timed loop result: 50 runs, sha256 0123")
    if text is None:
        raise RunnerOutputError(f"the run wrote {RESULT_FILE}, which is not here; keep it beside its standard output")
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != end[2]:
        raise RunnerOutputError(
            f"the JSON file has sha256 {found}, the run wrote {end[2]}; it is cut or of another run"
        )
    try:
        value = json.loads(text)
        if not isinstance(value, dict) or value["schema"] != _SCHEMA:
            raise ValueError(f"schema is not {_SCHEMA}")
        if len(value["samples_us"]) != int(end[1]):
            raise ValueError(f"{len(value['samples_us'])} samples of {end[1]} runs")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _no_result(error) from error
    return value


def parse_measured(result: Mapping[str, Any]) -> Measured:
    """All numbers of the file.

    Raises:
        RunnerOutputError: a value is missing, of another type, or no latency.
    """
    try:
        samples, warmup = _latencies(result["samples_us"]), _latencies(result["warmup_us"])
        (init,) = _latencies([result["init_us"]])
        if not samples:
            raise ValueError("no runs")
        return Measured(
            init_us=init,
            first_us=warmup[0] if warmup else None,
            warmup=summarise(warmup) if warmup else None,
            latency=summarise(samples),
            samples_us=samples,
            memory=_memory(result["memory_bytes"]),
            missing={} if warmup else {"first_us": NO_WARMUP, "warmup": NO_WARMUP},
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _no_result(error) from error


def summarise(samples_us: Sequence[float]) -> LatencySummary:
    """Statistics by the native runners' definitions (stats_calculator.h), so that runners can be compared.

    Percentile p is the sample at place floor(n * p / 100) of the sorted n, the median of an even number the upper one;
    the standard deviation is the population's. Unlike the native runners nothing is rounded.
    """
    ordered, count = sorted(samples_us), len(samples_us)
    mean = math.fsum(ordered) / count
    return LatencySummary(
        runs=count,
        mean_us=mean,
        min_us=ordered[0],
        max_us=ordered[-1],
        std_us=None if count == 1 else math.sqrt(math.fsum((sample - mean) ** 2 for sample in ordered) / count),
        p5_us=ordered[count * 5 // 100],
        median_us=ordered[count // 2],
        p95_us=ordered[count * 95 // 100],
        missing={"std_us": ONE_RUN} if count == 1 else {},
    )


def parameters(result: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Settings and versions, as the file has them.

    Raises:
        RunnerOutputError: they are missing or of another type.
    """
    try:
        pairs = [*result["parameters"].items(), *result["versions"].items()]
    except (KeyError, AttributeError) as error:
        raise _no_result(error) from error
    if not all(isinstance(value, (str, int, float)) for _, value in pairs):
        raise _no_result(ValueError("parameters and versions are texts and numbers"))
    return tuple((name, str(value)) for name, value in pairs)


def delegations(log: Log, result: Mapping[str, Any]) -> tuple[Delegation, ...]:
    """Where the network ran, one row: counted nodes where the package lists them, else what the log says.

    Raises:
        RunnerOutputError: the file's statement cannot be read.
    """
    try:
        stated = result["delegation"]
        if stated is None:
            lines = [found[0] for found in log.matches(_XNNPACK)]
            verdict = "implicit_xnnpack" if lines else "unknown"
            return (_row("xnnpack" if lines else "cpu", verdict, tuple(lines), _NO_NODES),)
        if "providers" in stated:
            if stated["providers"] != ["CPUExecutionProvider"]:
                raise ValueError(f"providers are {shown(str(stated['providers']))}")
            return (_row("cpu", "builtin", ("CPUExecutionProvider",), "one provider has all nodes"),)
        nodes, total, kernels = (_count(stated[name]) for name in ("nodes", "nodes_total", "kernels"))
        if nodes > total or (nodes == 0) != (kernels == 0):
            raise ValueError(f"{nodes} of {total} nodes in {kernels} kernels")
    except (ValueError, TypeError, KeyError) as error:
        raise _no_result(error) from error
    if nodes == 0:
        return (_row("cpu", "builtin", (f"no delegate among {total} nodes",), _NO_NODES),)
    evidence = (f"{nodes} of {total} nodes are in {kernels} delegate kernels",)
    return (
        Delegation(
            delegate="xnnpack",
            verdict="full" if nodes == total else "partial",
            nodes=nodes,
            nodes_total=total,
            kernels=kernels,
            backend=None,
            evidence=evidence,
            missing={"backend": _NO_BACKEND},
        ),
    )


def _row(delegate: str, verdict: Any, evidence: tuple[str, ...], reason: str) -> Delegation:
    missing = dict.fromkeys(("nodes", "nodes_total", "kernels"), reason) | {"backend": _NO_BACKEND}
    unknown: dict[str, Any] = dict.fromkeys(missing)
    return Delegation(delegate=delegate, verdict=verdict, evidence=evidence, missing=missing, **unknown)


def _memory(stated: Mapping[str, Any] | None) -> MemoryUse:
    if stated is None:
        names = MemoryUse.__slots__[:4]
        unknown: dict[str, int | None] = dict.fromkeys(names)
        return MemoryUse(**unknown, missing=dict.fromkeys(names, _NO_STATUS))
    start, loaded, peak = (_count(stated[moment]["peak"]) for moment in ("start", "loaded", "end"))
    if not start <= loaded <= peak:
        raise ValueError(f"a peak of memory that falls: {start}, {loaded}, {peak}")
    return MemoryUse(
        init_peak_rss_growth_bytes=loaded - start,
        peak_rss_growth_bytes=peak - start,
        peak_rss_bytes=peak,
        end_rss_bytes=_count(stated["end"]["now"]),
        missing={},
    )


def _latencies(values: Sequence[Any]) -> tuple[float, ...]:
    for value in values:
        # Thirty years in microseconds, as for all other runners.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e15:
            raise ValueError(f"{shown(str(value))} is no latency")
    return tuple(float(value) for value in values)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{shown(str(value))} is no number of bytes or nodes")
    return value


def _no_result(error: Exception) -> RunnerOutputError:
    what = f"no {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
    return RunnerOutputError(f"the JSON file is no result of the timed loop: {what}")
