"""What benchmarks of the same files measured, read from their records as plain JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCH_FOLDER = "bench"
MAX_RECORD_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One file on one device."""

    precision: str
    device: str
    """As people call it, with its system."""
    emulated: bool
    how: str
    """Runner, delegate, threads, and the CPUs if they were chosen."""
    statistic: str
    median_us: float
    low_us: float
    high_us: float
    p95_us: float | None
    processes: int
    peak_rss_bytes: int | None
    measured: str
    """Day, UTC."""


def read_latencies(folder: Path, sha256s: Collection[str]) -> tuple[tuple[Latency, ...], tuple[str, ...]]:
    """Valid results of the newest record per device and case, by device and latency; and why records were left out.

    Args:
        folder: Of the export, in which `bench/` lies.
        sha256s: Of the files that are of interest; other files' results are not theirs.
    """
    newest: dict[tuple[str, str], Latency] = {}
    problems = []
    for path in sorted((folder / BENCH_FOLDER).glob("*.json")):
        try:
            if path.stat().st_size > MAX_RECORD_BYTES:
                raise ValueError(f"it has {path.stat().st_size} bytes, allowed are {MAX_RECORD_BYTES}")
            for identity, case, latency in _rows(json.loads(path.read_bytes()), sha256s):
                # Names begin with the time, so that the last one stays.
                newest[identity, case] = latency
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            problems.append(f"{path.name}: no benchmark record ({type(error).__name__}: {error})")
    rows = sorted(newest.values(), key=lambda row: (row.emulated, row.device, row.median_us, row.how, row.precision))
    return tuple(rows), tuple(problems)


def _rows(record: Any, sha256s: Collection[str]) -> Iterator[tuple[str, str, Latency]]:
    """Identity of the device, name of the case and result, for every valid case of a record."""
    target, facts = record["target"], record["target"]["facts"]
    if record["schema"] != 1:
        raise ValueError(f"schema {record['schema']}, known is 1")
    maker, model = str(facts.get("manufacturer") or ""), facts.get("model") or facts.get("cpu_name")
    device = str(model or facts.get("machine") or target["kind"])
    system = " ".join(str(facts[key]) for key in ("os_name", "os_release") if facts.get(key))
    name = device if device.lower().startswith(maker.lower()) else f"{maker} {device}"
    cases = {_case(case): case for case in record["plan"]["cases"]}
    for summary in record["summaries"]:
        case, latency = cases[summary["case"]], summary["latency"]
        if not summary["valid"] or latency is None or case["model"]["sha256"] not in sha256s:
            continue
        yield (
            str(target["identity"]),
            str(summary["case"]),
            Latency(
                precision=str(case["model"]["precision"]),
                device=f"{name} ({system})" if system else name,
                emulated=bool(facts.get("is_emulator")),
                how=_conditions(case),
                statistic=str(summary["statistic"]),
                median_us=_number(latency["median_us"]),
                low_us=_number(latency["low_us"]),
                high_us=_number(latency["high_us"]),
                p95_us=None if summary["p95_us"] is None else _number(summary["p95_us"]),
                processes=int(latency["processes"]),
                peak_rss_bytes=None if summary["peak_rss_bytes"] is None else int(summary["peak_rss_bytes"]),
                measured=_day(record["started"]),
            ),
        )


def _case(case: Any) -> str:
    # As device_bench names it; this package must not import that one.
    file = f"{case['model']['precision']}.{case['model']['format']}"
    return f"{file}-{case['runner']}-{case['delegate']}-{case['threads']}t-{case['affinity']}"


def _conditions(case: Any) -> str:
    threads = int(case["threads"])
    words = [case["runner"], case["delegate"], f"{threads} thread{'s' * (threads > 1)}"]
    return ", ".join(
        str(word) for word in (*words, *([f"on {case['affinity']}"] if case["affinity"] != "none" else []))
    )


def _number(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"a latency of {number} us")
    return number


def _day(moment: Any) -> str:
    day = str(moment)[:10]
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        raise ValueError(f"no time: {day!r}")
    return day
