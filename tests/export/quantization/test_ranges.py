"""Ranges by each method, from distributions whose best range is known."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from export.quantization.histogram import Counts, bins_of, count_bins, histogram, loudness
from export.quantization.observe import Observed
from export.quantization.ranges import RANGE_FLOOR, choose_ranges, exact_bounds
from export.quantization.settings import NAIVE, RANGE_METHODS, RangeMethod
from tests.export.quantization.graphs import tiny_network


def observed(*pictures: NDArray[np.floating]) -> Observed:
    counts: dict[int, Counts] = {}
    for values in pictures:
        single = values.astype(np.float32)
        counts[loudness(single)] = counts.get(loudness(single), 0) + count_bins(bins_of(single))
    everything = np.concatenate(pictures)
    return Observed(least=float(everything.min()), greatest=float(everything.max()), histogram=histogram(counts))


def chosen(values: NDArray[np.floating], method: RangeMethod) -> tuple[float, float]:
    return chosen_of([values], method)


def chosen_of(pictures: Sequence[NDArray[np.floating]], method: RangeMethod) -> tuple[float, float]:
    return choose_ranges({"x": observed(*pictures)}, {}, replace(NAIVE, ranges=method))["x"]


def rounding_error(values: NDArray[np.floating], low: float, high: float) -> float:
    """Mean squared error of 256 levels, computed value by value."""
    scale = (high - low) / 255
    zero = round(-low / scale)
    stored = np.clip(np.round(values / scale) + zero, 0, 255)
    return float(np.mean(((stored - zero) * scale - values) ** 2))


def normal_with_outliers() -> NDArray[np.float64]:
    values = np.random.default_rng(0).normal(0, 1, 200_000)
    values[:2] = (40, -25)
    return values


@pytest.mark.parametrize("method", RANGE_METHODS)
def test_every_method_keeps_zero_and_stays_within_the_extremes(method: RangeMethod) -> None:
    rng = np.random.default_rng(0)
    for values in (rng.normal(0, 1, 4000), rng.exponential(1, 4000), -rng.exponential(1, 4000), rng.uniform(2, 3, 99)):
        low, high = chosen(values, method)
        assert min(values.min(), 0) * (1 + 1e-6) <= low <= 0 <= high <= max(values.max(), 0) * (1 + 1e-6)
        assert high - low >= RANGE_FLOOR


@pytest.mark.parametrize("method", ["percentile", "mse", "entropy"])
def test_outliers_are_cut_off(method: RangeMethod) -> None:
    low, high = chosen(normal_with_outliers(), method)
    assert -25 * 0.75 < low < -2.5
    assert 2.5 < high < 40 * 0.75
    assert chosen(normal_with_outliers(), "min-max") == (-25, 40)


def test_mse_finds_a_range_that_no_other_beats_by_a_twentieth() -> None:
    for values in (normal_with_outliers(), np.random.default_rng(1).laplace(0, 1, 100_000)):
        low, high = values.min(), values.max()
        tried = [
            rounding_error(values, low * a, high * b) for a in np.linspace(0.1, 1, 19) for b in np.linspace(0.1, 1, 19)
        ]
        assert rounding_error(values, *chosen(values, "mse")) <= 1.05 * min(tried)
        assert rounding_error(values, *chosen(values, "mse")) < rounding_error(values, low, high)


def test_mse_lets_no_single_picture_decide_for_all_others() -> None:
    rng = np.random.default_rng(4)
    pictures = [rng.normal(0, 1, 2000) for _ in range(99)]
    alone = chosen_of(pictures, "mse")
    low, high = chosen_of([*pictures, rng.normal(0, 200, 2000)], "mse")
    # By their squares alone the 2000 values of that one would widen the range to some 500.
    assert 1 <= low / alone[0] < 2
    assert 1 <= high / alone[1] < 2


def test_mse_serves_all_where_half_of_the_pictures_are_loud() -> None:
    rng = np.random.default_rng(4)
    low, high = chosen_of([rng.normal(0, size, 2000) for size in (1, 20) for _ in range(9)], "mse")
    assert low < -40
    assert high > 40


def test_zeros_behind_a_relu_do_not_decide_where_to_cut() -> None:
    positive = np.abs(np.random.default_rng(1).laplace(0, 1, 50_000))
    assert chosen(np.concatenate([positive, np.zeros(500_000)]), "mse") == chosen(positive, "mse")


def test_percentile_keeps_its_share() -> None:
    values = np.random.default_rng(2).normal(0, 1, 1_000_000)
    low, high = chosen(values, "percentile")
    assert np.mean((values >= low) & (values <= high)) == pytest.approx(0.9999, abs=3e-5)


@pytest.mark.parametrize("value", [0.0, 1e-9])
def test_what_is_constant_has_the_floor(value: float) -> None:
    for method in RANGE_METHODS:
        low, high = chosen(np.full(9, value), method)
        assert high - low == pytest.approx(RANGE_FLOOR, rel=1e-3)


def test_a_bound_counts_where_the_observed_maximum_is_near_it() -> None:
    bounds, exact = {"x": (0.0, 6.0)}, replace(NAIVE, exact=True)
    for greatest, wanted in ((5.5, 6.0), (6.0, 6.0), (3.0, 3.0)):
        seen = {"x": observed(np.array([0.0, greatest]))}
        assert choose_ranges(seen, bounds, exact)["x"] == (0.0, wanted)
        assert choose_ranges(seen, bounds, NAIVE)["x"] == (0.0, greatest)
        assert choose_ranges(seen, {}, exact)["x"] == (0.0, greatest)


def test_a_fused_relu6_is_bounded() -> None:
    file = tiny_network(np.zeros((2, 1, 1, 3), np.float32), np.zeros(2, np.float32))
    assert exact_bounds(file) == {"layer": (0.0, 6.0)}
