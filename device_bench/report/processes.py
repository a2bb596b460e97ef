"""The processes of a result as rows, and how warm the device was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from device_bench.measuring.attempt import Attempt
from device_bench.measuring.record import BenchRecord
from device_bench.measuring.summary import steady_latency, steady_samples_us
from device_bench.report.values import Process
from device_bench.result import RunnerOutput
from device_bench.state.telemetry import Telemetry

_SENSORS = ("cpu", "skin", "zone", "battery")
"""Kinds of sensors by how well they tell that a phone gets hot under load."""


def process_rows(record: BenchRecord, case: str, valid: Sequence[Attempt], sensor: str | None) -> tuple[Process, ...]:
    """One row per valid process of a case, in the order they began."""
    statistic = record.latencies(case)[0]
    values: dict[str, Mapping[int, float]] = {}
    for kind in ("latency", "sustained"):
        own, values[kind] = record.latencies(case, kind)
        if own != statistic:
            values[kind] = {}
    ordered = sorted(valid, key=lambda a: a.started)
    return tuple(
        _process(a, a.output, values[a.job.kind].get(a.job.round), sensor, ordered[0].started)
        for a in ordered
        if a.output is not None
    )


def _process(attempt: Attempt, output: RunnerOutput, value_us: float | None, sensor: str | None, first: str) -> Process:
    """Of the runs after warm-up, as everything that is said of the result.

    Args:
        attempt: The process.
        output: Of it.
        value_us: Its latency as the record counts it; None where its kind counts by another statistic than the rest.
        sensor: Kind of sensor that tells its temperature.
        first: When the first process began.
    """
    latency, steady = steady_latency(output.measured), steady_samples_us(output.measured)
    look = look_of(attempt, "after")
    # The upper one of an even number, as the record's median.
    quartiles = None if steady is None else [float(v) for v in np.percentile(steady, (25, 50, 75), method="higher")]
    return Process(
        kind=attempt.job.kind,
        round=attempt.job.round,
        elapsed_s=(datetime.fromisoformat(attempt.started) - datetime.fromisoformat(first)).total_seconds(),
        value_us=output.measured.latency.mean_us if value_us is None else value_us,
        quartiles_us=None if quartiles is None else (quartiles[0], quartiles[1], quartiles[2]),
        min_us=latency.min_us,
        p5_us=latency.p5_us,
        p95_us=latency.p95_us,
        max_us=latency.max_us,
        runs=latency.runs,
        temperature_c=None if sensor is None or look is None else _celsius(look, sensor),
    )


def temperatures(valid: Sequence[Attempt]) -> tuple[str | None, tuple[float, float] | None]:
    """The kind of sensor that all processes have, and its degrees: before the first, highest after any."""
    looks = [[look_of(a, when) for a in valid] for when in ("before", "after")]
    for kind in _SENSORS:
        before, after = ([None if look is None else _celsius(look, kind) for look in row] for row in looks)
        known = [value for value in after if value is not None]
        if valid and before[0] is not None and len(known) == len(valid):
            return kind, (before[0], max(known))
    return None, None


def look_of(attempt: Attempt, when: str) -> Telemetry | None:
    """At the device, `before` or `after` a process; None where there was none."""
    value = attempt.telemetry.get(when)
    return None if value is None else Telemetry.from_json(value)


def _celsius(look: Telemetry, kind: str) -> float | None:
    return look.battery_c if kind == "battery" else look.hottest_c(kind)
