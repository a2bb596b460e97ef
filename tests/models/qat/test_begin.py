"""The ranges that a training begins with."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.qat.begin import FLOOR, begin_ranges, least_error
from models.qat.network import build_twin, stored_tensors
from models.spec import ModelSpec
from models.worker import Progress
from tests.models.qat.networks import SPECS, random_network


def rounded_error(values: NDArray[Any], low: float, high: float) -> float:
    step = (high - low) / 255
    stored = np.clip(np.rint(values / step) * step, low, high)
    return float(np.square(stored - values).mean())


def test_an_outlier_is_cut_off_where_that_costs_less_than_wide_steps() -> None:
    values = np.random.default_rng(0).normal(size=200_000)
    values[0] = 12.0
    low, high = least_error(values)
    assert 4 < high < 11
    assert rounded_error(values, low, high) < rounded_error(values, values.min(), values.max())


def test_without_outliers_nothing_is_cut_off() -> None:
    values = np.random.default_rng(0).uniform(-1, 3, 20000)
    assert least_error(values) == pytest.approx((values.min(), values.max()), rel=0.03)


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=50))
def test_a_range_holds_zero_and_lies_within_the_extremes(numbers: list[float]) -> None:
    values = np.array(numbers)
    low, high = least_error(values)
    assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_every_tensor_gets_a_range_by_its_bounds(spec: ModelSpec) -> None:
    side = spec.resolution_px
    pixels = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8)
    twin = build_twin(spec)
    chosen = begin_ranges(twin, random_network(spec), spec, pixels, silent)
    assert list(chosen) == list(stored_tensors(twin))
    for name, layer in stored_tensors(twin).items():
        low, high = (float(end) for end in layer.ends())
        assert high - low >= 0.99 * FLOOR, name
        assert layer.bound[0] <= low <= 0 < high <= layer.bound[1], name
        assert not layer.fixed or (low, high) == (0, 6), name
