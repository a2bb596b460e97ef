"""Rounding that lets gradients through: what is stored, and what each end of a range is told."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from models.qat.fake import STEPS, divided, kernel_scale, stored, taking, whole


def test_halves_go_to_the_even_number_and_gradients_pass() -> None:
    values = tf.Variable([0.5, 1.5, -0.5, 2.4])
    with tf.GradientTape() as tape:
        result = whole(values)
    assert result.numpy().tolist() == [0, 2, 0, 2]
    assert tape.gradient(result, values).numpy().tolist() == [1, 1, 1, 1]


def test_what_is_cut_off_at_an_end_is_that_ends_gradient() -> None:
    values, least = tf.Variable([-20.0, -9.6, 3.2, 245.4, 300.0]), tf.Variable(-10.0)
    greatest = tf.Variable(-10.0 + STEPS)
    with tf.GradientTape() as tape:
        result = stored(values, least, greatest)
    assert result.numpy().tolist() == [-10, -10, 3, 245, 245]
    inside, below, above = tape.gradient(
        result, [values, least, greatest], output_gradients=tf.constant([1.0, 2.0, 3.0, 4.0, 5.0])
    )
    # 245.4 would be rounded into the range, but lies beyond its end.
    assert inside.numpy().tolist() == [0, 2, 3, 0, 0]
    assert (float(below), float(above)) == (1, 9)


def test_kernels_have_a_step_per_channel_and_dead_channels_one_too() -> None:
    kernel = tf.constant([[[[1.0, 0.0]], [[-2.54, 0.0]]]])
    assert kernel_scale(kernel).numpy() == pytest.approx([0.02, 1e-9 / 127])


@settings(deadline=None)
@given(st.floats(2**-20, 2**20, width=32), st.sampled_from([127, 255]))
def test_quotients_are_those_of_numpy_in_a_graph_too(value: float, by: int) -> None:
    assert _graph(tf.constant(value), by).numpy() == np.float32(value) / np.float32(by)


@tf.function  # type: ignore[untyped-decorator]
def _graph(value: tf.Tensor, by: int) -> tf.Tensor:
    return divided(value, by)


def test_rounded_values_have_the_gradients_of_the_exact_ones() -> None:
    values = tf.Variable([1.2, 3.4])
    with tf.GradientTape() as tape:
        result = taking(tf.round(values), 2 * values)
    assert result.numpy().tolist() == [1, 3]
    assert tape.gradient(result, values).numpy().tolist() == [2, 2]
