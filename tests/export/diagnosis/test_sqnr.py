"""Signal to noise, and ranges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.diagnosis.sqnr import best_sqnr, rounded, sqnr, to_db


def test_a_tenth_of_the_amplitude_as_noise_is_20_db() -> None:
    values = np.ones(10)
    assert sqnr(values, values * 1.1) == pytest.approx(20)


def test_no_error_and_no_signal_have_no_ratio() -> None:
    assert sqnr(np.ones(3), np.ones(3)) is None
    assert to_db(0.0, 1.0) is None


def test_8_bits_of_evenly_spread_values_have_48_db() -> None:
    values = np.linspace(-1, 1, 100_001)
    # 6.02 dB per bit, for a range that they fill.
    assert sqnr(values, rounded(values, -1, 1, 256)) == pytest.approx(48.2, abs=0.2)


def test_a_lone_outlier_makes_a_narrower_range_the_better_one() -> None:
    values = np.concatenate([np.linspace(-1, 1, 100_001), [3.0]])
    found = best_sqnr(values, 256)
    own = sqnr(values, rounded(values, -1, 3, 256))
    assert found is not None
    assert own is not None
    assert found >= own


@given(st.lists(st.floats(-1e3, 1e3), min_size=1), st.floats(-10, -0.1), st.floats(0.1, 10))
def test_rounded_values_lie_in_the_range_and_half_a_step_off(values: list[float], low: float, high: float) -> None:
    given_values = np.array(values)
    found = rounded(given_values, low, high, 256)
    step = (high - low) / 255
    assert np.all((found >= low - 1e-9) & (found <= high + 1e-9))
    inside = (given_values >= low) & (given_values <= high)
    assert np.all(np.abs(found - given_values)[inside] <= step / 2 + 1e-9)
