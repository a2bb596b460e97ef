"""Statistics of latencies, against definitions and known values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.stats import drift, spread, wilson_interval

latencies = st.lists(st.floats(1.0, 1e9), min_size=1, max_size=12)


@given(latencies)
def test_the_interval_holds_the_median_and_lies_within_the_range(values: list[float]) -> None:
    found = spread(values)
    assert found.median_us == pytest.approx(float(np.median(values)))
    assert found.smallest_us <= found.low_us <= found.median_us <= found.high_us <= found.largest_us
    assert found.processes == len(values)


@given(latencies, st.floats(0.001, 1000.0))
def test_units_do_not_matter(values: list[float], factor: float) -> None:
    one, other = spread(values), spread([value * factor for value in values])
    assert other.median_us == pytest.approx(one.median_us * factor)
    assert other.high_us == pytest.approx(one.high_us * factor)


def test_the_same_processes_give_the_same_interval() -> None:
    assert spread([3.0, 1.0, 2.0]) == spread([3.0, 1.0, 2.0])


def test_equal_processes_are_not_noisy_and_unequal_ones_are() -> None:
    assert not spread([100.0] * 5).noisy
    assert not spread([100.0, 101.0, 102.0, 103.0, 104.0]).noisy
    assert spread([100.0, 100.0, 120.0, 130.0, 130.0]).noisy


def test_one_outlier_moves_the_upper_bound_and_not_the_median() -> None:
    found = spread([100.0, 101.0, 99.0, 100.0, 500.0])
    assert found.median_us == 100.0
    assert found.largest_us == 500.0


def test_the_interval_covers_the_true_median_of_five_processes_nine_times_in_ten() -> None:
    rng = np.random.default_rng(7)
    trials, covered = 300, 0
    for _ in range(trials):
        found = spread(list(rng.lognormal(5.0, 0.1, 5)))
        covered += found.low_us <= np.exp(5.0) <= found.high_us
    # The range of five covers 94 %, a percentile interval a little less.
    assert 0.87 <= covered / trials <= 0.97


@pytest.mark.parametrize("values", [[], [0.0], [1.0, -1.0], [float("nan")], [float("inf"), 1.0]], ids=str)
def test_what_is_no_latency_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^no latencies"):
        spread(values)


def test_wilsons_interval_has_its_published_values() -> None:
    # Newcombe, Stat. Med. 17 (1998), table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@pytest.mark.parametrize(("right", "total"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_impossible_shares_are_refused(right: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"^{right} of {total}$"):
        wilson_interval(right, total)


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
