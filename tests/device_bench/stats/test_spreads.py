"""The median over processes and its interval, against definitions and known values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.stats import spread

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


@pytest.mark.parametrize("count", [4, 5, 9, 15])
def test_the_interval_covers_the_true_median_as_often_as_it_says(count: int) -> None:
    rng = np.random.default_rng(7)
    trials = [spread(values) for values in rng.lognormal(5.0, 0.1, (2000, count)).tolist()]
    covered = sum(found.low_us <= np.exp(5.0) <= found.high_us for found in trials) / len(trials)
    # Four standard errors of 2000 trials are at most 3 %.
    assert covered == pytest.approx(trials[0].coverage, abs=0.03)


def test_of_few_processes_the_interval_is_their_range_and_says_what_that_is_worth() -> None:
    found = spread([105.0, 101.0, 103.0, 102.0, 104.0])
    assert (found.low_us, found.high_us, found.coverage) == (101.0, 105.0, 0.9375)
    assert spread([7.0]).coverage == 0.0


def test_of_many_processes_the_interval_is_narrower_than_their_range() -> None:
    found = spread([float(value) for value in range(1, 16)])
    # Tables of the sign test: ranks 4 and 12 of 15 hold the median with 96.5 %.
    assert (found.low_us, found.high_us) == (4.0, 12.0)
    assert found.coverage == pytest.approx(0.9648, abs=5e-5)


@pytest.mark.parametrize("values", [[], [0.0], [1.0, -1.0], [float("nan")], [float("inf"), 1.0]], ids=str)
def test_what_is_no_latency_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^no latencies"):
        spread(values)
