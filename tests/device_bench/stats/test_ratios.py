"""Ratios: what they are, what their intervals hold, and what may be said of them."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.stats import Ratio, judge, noise_floor, paired_ratio, unpaired_ratio
from device_bench.stats.student import student_quantile

values = st.floats(10.0, 1e7)
some = st.lists(values, min_size=4, max_size=12)


def make_ratio(ratio: float, low: float, high: float) -> Ratio:
    return Ratio(ratio=ratio, low=low, high=high, coverage=0.95, paired=False, freedom=8)


@given(some, some)
def test_the_other_way_round_is_one_over_it(old: list[float], new: list[float]) -> None:
    there, back = unpaired_ratio(old, new), unpaired_ratio(new, old)
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))


@given(some, some, st.floats(0.01, 100.0))
def test_units_do_not_matter(old: list[float], new: list[float], factor: float) -> None:
    one = unpaired_ratio(old, new)
    other = unpaired_ratio([value * factor for value in old], [value * factor for value in new])
    assert (other.ratio, other.low, other.high) == pytest.approx((one.ratio, one.low, one.high))


@given(some, st.floats(0.5, 2.0))
def test_a_common_factor_is_found_exactly_when_paired(old: list[float], factor: float) -> None:
    found = paired_ratio(old, [value * factor for value in old])
    assert (found.ratio, found.low, found.high) == pytest.approx((factor, factor, factor))


@given(some)
def test_a_case_against_itself_shows_no_difference(same: list[float]) -> None:
    for found in (paired_ratio(same, same), unpaired_ratio(same, same)):
        assert judge(found, 0.0) == "no difference shown"
        assert found.ratio == pytest.approx(1.0)


def test_five_pairs_are_done_by_student_and_six_by_ranks() -> None:
    logs = [0.01, 0.03, 0.02, 0.05, 0.04]
    old, new = [100.0] * 5, [100.0 * math.exp(log) for log in logs]
    five = paired_ratio(old, new)
    reach = 2.776445 * float(np.std(logs, ddof=1)) / math.sqrt(5)
    assert (five.ratio, five.low, five.high) == pytest.approx(
        (math.exp(0.03), math.exp(0.03 - reach), math.exp(0.03 + reach))
    )
    six = paired_ratio([*old, 100.0], [*new, 106.0])
    assert (six.low, six.high) == pytest.approx((math.exp(0.01), 1.06))
    assert (five.coverage, six.coverage) == (0.95, 0.96875)


def test_five_processes_each_have_the_interval_of_mann_and_whitney() -> None:
    old = [math.exp(value) for value in (1.00, 1.01, 1.02, 1.03, 1.04)]
    new = [value * math.exp(0.2) for value in old]
    found = unpaired_ratio(old, new)
    # Third smallest and third largest of the 25 differences -0.04, 2 x -0.03, …, 0.04, about 0.2.
    assert (math.log(found.ratio), math.log(found.low), math.log(found.high)) == pytest.approx((0.2, 0.17, 0.23))
    assert found.coverage == pytest.approx(1 - 2 * 4 / 252)


def test_what_slows_a_whole_round_does_not_blur_a_paired_ratio() -> None:
    rounds = np.array([1.0, 1.3, 0.9, 1.1, 1.5])
    old, new = 100 * rounds, 105 * rounds * np.array([1.0, 1.001, 0.999, 1.0, 1.0])
    assert judge(paired_ratio(old.tolist(), new.tolist()), 0.0) == "slower"
    assert judge(unpaired_ratio(old.tolist(), new.tolist()), 0.0) == "no difference shown"


@pytest.mark.parametrize(
    ("ratio", "floor", "verdict"),
    [
        (make_ratio(1.05, 1.01, 1.09), 0.0, "slower"),
        (make_ratio(1.05, 0.99, 1.11), 0.0, "no difference shown"),
        (make_ratio(1.05, 1.01, 1.09), 0.06, "no difference shown"),
        (make_ratio(0.95, 0.91, 0.99), 0.0, "faster"),
        (make_ratio(0.95, 0.91, 0.99), 0.06, "no difference shown"),
        # Below one percent nothing is called a difference, however sure it is.
        (make_ratio(1.005, 1.004, 1.006), 0.0, "no difference shown"),
        # The floor is as far below 1 as above: 1 / 1.05 = 0.952.
        (make_ratio(0.951, 0.95, 0.952), 0.05, "faster"),
        (make_ratio(0.953, 0.95, 0.954), 0.05, "no difference shown"),
    ],
)
def test_a_verdict_takes_an_interval_without_1_and_more_than_the_noise_floor(
    ratio: Ratio, floor: float, verdict: str
) -> None:
    assert judge(ratio, floor) == verdict


def test_the_noise_floor_is_the_distance_of_a_twin_either_way() -> None:
    assert noise_floor(make_ratio(1.02, 0.9, 1.1)) == pytest.approx(0.02)
    assert noise_floor(make_ratio(1 / 1.02, 0.9, 1.1)) == pytest.approx(0.02)


def test_what_can_be_detected_grows_with_the_noise_and_with_the_floor() -> None:
    quiet, loud = make_ratio(1.0, 0.99, 1 / 0.99), make_ratio(1.0, 0.95, 1 / 0.95)
    assert 0.01 < quiet.detectable(0.0) < loud.detectable(0.0)
    assert quiet.detectable(0.1) > 0.1
    half = math.log(1 / 0.99)
    reach = half * student_quantile(0.9, 8) / student_quantile(0.975, 8)
    assert quiet.detectable(0.0) == pytest.approx(math.exp(half + reach) - 1)


def test_a_ratio_is_plain_json() -> None:
    found = make_ratio(1.0, 0.9, 1.1)
    assert Ratio(**found.to_json()) == found
    assert set(found.to_json()) == {field.name for field in dataclasses.fields(Ratio)}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_unpaired_processes_have_no_interval(count: int) -> None:
    with pytest.raises(ValueError, match=rf"^{count} and {count} processes are too few .*; at least 4 each$"):
        unpaired_ratio([100.0] * count, [100.0] * count)


@pytest.mark.parametrize(("old", "new"), [([100.0], [100.0]), ([100.0] * 3, [100.0] * 4), ([100.0] * 4, [100.0] * 3)])
def test_what_makes_no_pairs_is_refused(old: list[float], new: list[float]) -> None:
    with pytest.raises(ValueError, match=rf"^{len(old)} and {len(new)} processes make no pairs"):
        paired_ratio(old, new)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_latency_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^no latencies: \[.*\]; they are positive and finite$"):
        unpaired_ratio([100.0] * 5, [100.0, bad, 100.0, 100.0])
