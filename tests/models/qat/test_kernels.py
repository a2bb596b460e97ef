"""Operators in fixed point, against the same in Python's whole numbers."""

import math

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from models.qat.kernels import REACH, hard_swish_steps, rounded_sum

RATIOS = st.floats(2**-8, 2**6, width=32)


@settings(deadline=None)
@given(RATIOS, RATIOS, st.lists(st.tuples(st.integers(-255, 255), st.integers(-255, 255)), min_size=1, max_size=20))
def test_sums_are_those_of_whole_multipliers_and_a_shift(
    first: float, second: float, values: list[tuple[int, int]]
) -> None:
    shift = 20 - (math.frexp(max(first, second))[1] - 1)
    multipliers = [round(ratio * 2.0**shift) for ratio in (first, second)]
    half = 1 << (shift - 1)
    wanted = [(a * multipliers[0] + b * multipliers[1] + half) >> shift for a, b in values]
    one, other = (tf.constant([pair[n] for pair in values], tf.float32) for n in range(2))
    found = rounded_sum(one, other, tf.constant(first), tf.constant(second))
    assert found.numpy().tolist() == wanted


@settings(deadline=None)
@given(st.floats(0.002, 0.2), st.floats(0.3, 1.0))
def test_hard_swish_is_within_a_step_of_the_exact_one(width: float, share: float) -> None:
    steps, stored_width = np.arange(-REACH, REACH + 1), width * share
    x = steps * width
    exact = x * np.clip(x + 3, 0, 6) / 6 / stored_width
    found = hard_swish_steps(tf.constant(width, tf.float32), tf.constant(stored_width, tf.float32)).numpy()
    # An activation has 255 steps, so that more are never asked for.
    used = np.abs(exact) <= REACH
    assert np.abs(found - exact)[used].max() <= 1
    assert (found == np.rint(found)).all()
