"""Latency over minutes."""

import pytest

from device_bench.stats import drift


def test_a_phone_that_slows_down_shows_it() -> None:
    moments = [float(second) for second in range(0, 600, 10)]
    values = [100.0 if moment < 120 else 150.0 for moment in moments]
    found = drift(moments, values)
    assert (found.start_us, found.steady_us, found.ratio) == (100.0, 150.0, 1.5)
    assert found.minutes == pytest.approx(590 / 60)


def test_a_phone_that_keeps_its_speed_has_ratio_one() -> None:
    assert drift([float(n) for n in range(20)], [80.0] * 20).ratio == 1.0


def test_few_processes_tell_no_trend() -> None:
    with pytest.raises(ValueError, match=r"^5 processes are too few"):
        drift([0.0, 1.0, 2.0, 3.0, 4.0], [1.0] * 5)
