"""The file that `--result_file_path` writes: a `tflite.tools.benchmark.BenchmarkResult` message, decoded by hand.

`tflite/tools/benchmark/proto/benchmark_result.proto`, proto2. Latency is in float32 milliseconds there.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from device_bench.parse.classic import NO_WARMUP, mebibytes
from device_bench.parse.count_line import ONE_RUN, check_order
from device_bench.parse.litert import ONLY_MEAN
from device_bench.result import ONLY_SUMMARY, LatencySummary, Measured, MemoryUse
from models.errors import RunnerOutputError

_TOP = {2: "latency_metrics", 3: "memory_metrics", 4: "misc_metrics"}
_LATENCY = {
    1: "avg_ms",
    2: "min_ms",
    3: "max_ms",
    4: "stddev_ms",
    5: "median_ms",
    6: "p5_ms",
    7: "p95_ms",
    8: "init_ms",
}
_LATENCY |= {9: "first_inference_ms", 10: "average_warm_up_ms"}
_MEMORY = {1: "init_footprint_kb", 2: "overall_footprint_kb", 3: "peak_mem_mb"}
_MISC = {2: "num_runs", 3: "num_warmup_runs"}
_ABSENT = "the message has no such field"


def parse_result_proto(data: bytes) -> Measured:
    """All numbers of a result file.

    Raises:
        RunnerOutputError: no such message, or a field is missing, of another type, or contradicts another.
    """
    try:
        top = _message(data, _TOP)
        latency = {name: _float(value) for name, value in _message(_part(top, "latency_metrics"), _LATENCY).items()}
        misc = {name: _integer(value) for name, value in _message(_part(top, "misc_metrics"), _MISC).items()}
        memory = _message(top.get("memory_metrics", b""), _MEMORY)
        for name in ("avg_ms", "init_ms"):
            if name not in latency:
                raise ValueError(f"no {name}")
        if misc.get("num_runs", 0) < 1 or "num_warmup_runs" not in misc:
            raise ValueError(f"num_runs is {misc.get('num_runs')}, num_warmup_runs {misc.get('num_warmup_runs')}")
        summary = _summary(latency, misc["num_runs"])
        warmup = _warmup(latency, misc["num_warmup_runs"])
        first = latency.get("first_inference_ms") if warmup else None
        missing = {"samples_us": ONLY_SUMMARY}
        missing |= {"first_us": _ABSENT if warmup else NO_WARMUP} if first is None else {}
        check_order(summary, tolerance_us=1 + 1e-5 * summary.mean_us, where="the result file")
        return Measured(
            init_us=latency["init_ms"],
            first_us=first,
            warmup=warmup,
            latency=summary,
            samples_us=None,
            memory=_memory(memory),
            missing=missing | ({} if warmup else {"warmup": NO_WARMUP}),
        )
    except (ValueError, TypeError, IndexError, struct.error) as error:
        raise RunnerOutputError(f"the result file is no complete BenchmarkResult: {error}") from error


def _summary(latency: Mapping[str, float], runs: int) -> LatencySummary:
    names = {"min_us": "min_ms", "max_us": "max_ms", "p5_us": "p5_ms", "median_us": "median_ms", "p95_us": "p95_ms"}
    values = {name: latency.get(key) for name, key in names.items()}
    values["std_us"] = None if runs == 1 else latency.get("stddev_ms")
    missing = {name: _ABSENT for name, value in values.items() if value is None}
    missing |= {"std_us": ONE_RUN} if runs == 1 else {}
    return LatencySummary(runs=runs, mean_us=latency["avg_ms"], **values, missing=missing)


def _warmup(latency: Mapping[str, float], runs: int) -> LatencySummary | None:
    if runs == 0:
        return None
    if "average_warm_up_ms" not in latency:
        raise ValueError("no average_warm_up_ms")
    names = ("min_us", "max_us", "std_us", "p5_us", "median_us", "p95_us")
    unknown: dict[str, float | None] = dict.fromkeys(names)
    missing = dict.fromkeys(names, ONLY_MEAN)
    return LatencySummary(runs=runs, mean_us=latency["average_warm_up_ms"], **unknown, missing=missing)


def _memory(fields: Mapping[str, Any]) -> MemoryUse:
    values: dict[str, int | None] = dict.fromkeys(MemoryUse.__slots__[:4])
    for name, key in (("init_peak_rss_growth_bytes", "init"), ("peak_rss_growth_bytes", "overall")):
        if (kib := fields.get(f"{key}_footprint_kb")) is not None:
            values[name] = _integer(kib) * 1024
    # The classic runner writes a negative number when nobody asked for it.
    if "peak_mem_mb" in fields and (peak := struct.unpack("<f", fields["peak_mem_mb"])[0]) > 0:
        values["peak_rss_bytes"] = mebibytes(peak)
    return MemoryUse(**values, missing={name: _ABSENT for name, value in values.items() if value is None})


def _part(top: Mapping[str, Any], name: str) -> Any:
    if name not in top:
        raise ValueError(f"no {name}; it has {', '.join(top) or 'nothing known'}")
    return top[name]


def _message(data: Any, names: Mapping[int, str]) -> dict[str, Any]:
    """The known fields of a message; unknown ones are of a newer runner and are skipped."""
    if not isinstance(data, bytes):
        raise TypeError("a number where a message should be")
    return {names[field]: value for field, value in _fields(data) if field in names}


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire not in (1, 2, 5):
            raise ValueError(f"wire type {wire} at byte {at}")
        size, at = _varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
        if at + size > len(data):
            raise ValueError(f"a field of {size} bytes ends after the file's {len(data)}")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError(f"a number without end at byte {at}")


def _float(value: Any) -> float:
    """Microseconds of a float32 of milliseconds, in the seven digits it has."""
    milliseconds = struct.unpack("<f", value)[0]
    if not math.isfinite(milliseconds) or milliseconds < 0:
        raise ValueError(f"a latency of {milliseconds} ms")
    return float(f"{milliseconds * 1e3:.7g}")


def _integer(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError("bytes where a number should be")
    return value - (1 << 64) if value >> 63 else value
