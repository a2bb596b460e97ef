"""Histograms on one fixed grid."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from export.quantization.histogram import LOUDNESS_STEP, Counts, bins_of, count_bins, histogram, loudness

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = arrays(np.float32, st.integers(1, 60), elements=FINITE)


def counted(values: NDArray[np.float32]) -> Counts:
    return count_bins(bins_of(values))


@given(values=VALUES, seed=st.integers(0, 99), cut=st.integers(0, 60))
def test_counts_are_the_same_in_any_order_and_any_batches(values: NDArray[np.float32], seed: int, cut: int) -> None:
    mixed = np.random.default_rng(seed).permutation(values)
    parts = counted(mixed[:cut]) + counted(mixed[cut:])
    assert np.array_equal(parts, counted(values))
    assert parts.sum() == len(values)


@given(values=VALUES)
def test_every_value_is_within_one_percent_of_the_middle_of_its_bin(values: NDArray[np.float32]) -> None:
    seen = histogram({0: counted(values)})
    assert np.all(np.diff(seen.values) >= 0)
    told = np.sort(np.repeat(seen.values, seen.counts))
    # What is smaller than any float32 with full precision is told as zero.
    np.testing.assert_allclose(told, np.sort(values).astype(np.float64), rtol=0.008, atol=2e-38)


def test_zeros_of_either_sign_are_zero() -> None:
    seen = histogram({0: counted(np.array([0.0, -0.0, 1.0], np.float32))})
    assert dict(zip(seen.values[:2], seen.counts[:2], strict=True)) == {0.0: 1}
    assert seen.counts.sum() == 3


@given(values=VALUES, power=st.integers(-8, 8))
def test_twice_as_large_values_are_of_the_next_class(values: NDArray[np.float32], power: int) -> None:
    small = np.clip(values, -1e3, 1e3) + np.float32(0.5)
    assert loudness(small * np.float32(2.0**power)) == loudness(small) + power


def test_nothing_but_zeros_is_of_a_class_too() -> None:
    zeros = np.zeros(10, np.float32)
    seen = histogram({loudness(zeros): counted(zeros)})
    assert (seen.values.tolist(), seen.counts.tolist(), seen.weights.tolist()) == ([0.0], [10], [10.0])


def test_pictures_louder_than_the_median_one_are_worth_less_and_quieter_ones_as_much() -> None:
    one = {loud: counted(np.full(10, 2.0**loud, np.float32)) for loud in range(-2, 4)}
    seen = histogram({**one, 0: 5 * one[0]})
    assert seen.counts.tolist() == [10, 10, 50, 10, 10, 10]
    assert seen.weights.tolist() == [10, 10, 50, 10 / LOUDNESS_STEP, 10 / LOUDNESS_STEP**2, 10 / LOUDNESS_STEP**3]


@given(power=st.integers(-12, 12), silent=st.integers(0, 9))
def test_pictures_of_zeros_are_no_measure_of_the_others(power: int, silent: int) -> None:
    pictures = [np.full(10, 2.0**power * size, np.float32) for size in (1, 1, 1, 64)] + [
        np.zeros(10, np.float32)
    ] * silent
    counts: dict[int, Counts] = {}
    for picture in pictures:
        counts[loudness(picture)] = counts.get(loudness(picture), 0) + counted(picture)
    seen = histogram(counts)
    assert seen.weights[-2:].tolist() == [30, 10 / LOUDNESS_STEP**6]
