"""The knee of a batch sweep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.baseline.sweep import LARGEST_BATCH, find_knee


def test_the_knee_is_the_last_batch_that_was_worth_doubling_to() -> None:
    knee = find_knee([(1, 100.0), (2, 180.0), (4, 185.0)])
    assert knee is not None
    assert (knee.batch, knee.images_per_s) == (2, 180.0)
    assert knee.reason == "batch 4 gives +2.8% images/s, less than +5%"


@pytest.mark.parametrize("rates", [[], [(1, 100.0)], [(1, 100.0), (2, 106.0)]])
def test_a_sweep_goes_on_while_doubling_pays(rates: list[tuple[int, float]]) -> None:
    assert find_knee(rates) is None


def test_a_batch_that_fails_ends_the_sweep_at_the_one_before() -> None:
    knee = find_knee([(1, 100.0), (2, 190.0)], "out of memory")
    assert knee is not None
    assert (knee.batch, knee.reason) == (2, "batch 4 failed: out of memory")
    assert find_knee([], "out of memory") is None


@given(base_us=st.floats(1, 1e6), per_image_us=st.floats(1e-3, 1e6))
def test_of_any_fixed_cost_and_cost_per_image_a_knee_is_found(base_us: float, per_image_us: float) -> None:
    rates: list[tuple[int, float]] = []
    batch = 1
    while (knee := find_knee(rates)) is None:
        rates.append((batch, batch / (base_us + batch * per_image_us)))
        batch *= 2
    assert 1 <= knee.batch <= LARGEST_BATCH
    assert knee.images_per_s == dict(rates)[knee.batch]
    if knee.batch < LARGEST_BATCH:
        # What it leaves on the table: less than a twentieth by the next doubling.
        assert dict(rates)[2 * knee.batch] < 1.05 * knee.images_per_s
