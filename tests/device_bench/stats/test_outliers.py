"""Flags of runs that lie apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.stats import outliers


def test_a_spike_is_flagged_and_the_rest_is_not() -> None:
    assert outliers([100.0, 101.0, 99.0, 100.5, 150.0, 100.2]) == (False, False, False, False, True, False)


def test_a_spike_among_equal_values_is_flagged() -> None:
    # More than half are equal, so their median absolute deviation is 0.
    assert outliers([100.0] * 20 + [130.0]) == (False,) * 20 + (True,)


def test_equal_values_have_no_outlier() -> None:
    assert outliers([5.0] * 7) == (False,) * 7
    assert outliers([5.0]) == (False,)


def test_the_threshold_is_the_published_one() -> None:
    # Logs -2, -1, 0, 1, x: median 0, absolute deviations 0, 1, 1, 2, x; their median is 1.
    logs = 2.718281828459045
    for distance, flagged in ((3.5 * 1.4826 - 0.01, False), (3.5 * 1.4826 + 0.01, True)):
        assert outliers([logs**-2, logs**-1, 1.0, logs, logs**distance])[-1] is flagged


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=30))
def test_every_value_has_a_flag_and_at_most_half_are_flagged(values: list[float]) -> None:
    flags = outliers(values)
    assert len(flags) == len(values)
    assert sum(flags) <= len(values) / 2


def test_what_is_no_latency_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^no latencies: \[1, 0\]"):
        outliers([1.0, 0.0])
