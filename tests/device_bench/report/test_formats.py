"""Rounding and units, in the one place where they are chosen."""

from __future__ import annotations

import pytest

from device_bench.report import formats
from device_bench.report.values import Speedup
from device_bench.stats import spread


@pytest.mark.parametrize(
    ("size", "text"), [(300_240, "0.30"), (4_983_408, "4.98"), (17_261_120, "17.3"), (123_456_789, "123"), (None, "–")]
)
def test_sizes_are_in_millions_of_bytes(size: int | None, text: str) -> None:
    assert formats.megabytes(size) == text


def test_unknown_is_a_dash_and_zero_is_zero() -> None:
    assert (formats.ms(None), formats.percent(None), formats.celsius(None)) == ("–", "–", "–")
    assert (formats.percent(0.0), formats.percent(1.0)) == ("0.0", "100.0")


def test_an_interval_of_one_process_is_none() -> None:
    assert formats.interval_ms(spread([1000.0])) == "one process"
    assert formats.interval_ms(spread([1000.0, 1100.0, 1200.0, 1000.0, 1000.0])) == "1.00–1.20"
    assert formats.interval_ms(None) == "–"


@pytest.mark.parametrize(("processes", "promise"), [(2, "50 %"), (3, "75 %"), (4, "88 %")])
def test_an_interval_of_few_processes_says_how_often_it_holds(processes: int, promise: str) -> None:
    values = [1000.0 + 100 * turn for turn in range(processes)]
    assert formats.interval_ms(spread(values)) == f"1.00–{max(values) / 1000:.2f} ({promise})"


@pytest.mark.parametrize(("ratio", "text"), [(123.4, "×123"), (12.34, "×12.3"), (1.0, "×1.00"), (0.0513, "×0.051")])
def test_ratios_have_three_digits(ratio: float, text: str) -> None:
    assert formats.times(ratio) == text


def test_a_ratio_without_interval_says_so() -> None:
    row = Speedup(against="x", ratio=2.0, low=None, high=None, verdict=None, note="")
    assert formats.interval(row) == "no interval"
