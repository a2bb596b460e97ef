"""What a process says once it is warm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device_bench.measuring.summary import steady_latency, steady_samples_us
from device_bench.parse.loop import summarise
from device_bench.result import Measured
from tests.device_bench.cases import make_output


def measured(*samples_us: float) -> Measured:
    given = make_output(2000.0).measured
    return replace(given, samples_us=samples_us or None, missing={} if samples_us else given.missing)


def test_statistics_of_a_process_that_warmed_up_are_those_of_the_rest() -> None:
    rest = tuple(2000.0 + at % 5 for at in range(80))
    found = measured(*[3000.0] * 20, *rest)
    assert steady_samples_us(found) == rest
    assert steady_latency(found) == summarise(rest)
    assert (steady_latency(found).runs, steady_latency(found).median_us, steady_latency(found).max_us) == (
        80,
        2002,
        2004,
    )


def test_what_the_runner_printed_stands_where_nothing_is_cut_or_runs_are_unknown() -> None:
    for found in (measured(), measured(*[2000.0] * 50)):
        assert steady_latency(found) is found.latency
        assert steady_samples_us(found) == found.samples_us


def test_what_is_no_latency_has_no_statistics() -> None:
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"^no latencies: \[2000, "):
            steady_latency(measured(2000.0, bad))
