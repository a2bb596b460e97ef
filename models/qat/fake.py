"""Rounding to 8 bits that lets gradients through. Imports TensorFlow.

Everything is counted in steps from zero, whole numbers in float32: products and sums of them are exact up to 2**24, in
any order, which is what makes the twin compute as int8 kernels do.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

STEPS = 255
"""From the least to the greatest value of an activation."""
KERNEL_STEPS = 127
"""From zero to the greatest value of a kernel, which is symmetric."""
LEAST_BOUND = 1e-9
"""Of a channel's greatest weight, so that a dead channel has a scale: litert-quantizer's."""


@tf.custom_gradient  # type: ignore[untyped-decorator]
def whole(values: Any) -> Any:
    """The nearest whole numbers, of two the even one; gradients pass as if nothing had been rounded."""
    return tf.round(values), lambda gradient: gradient


@tf.custom_gradient  # type: ignore[untyped-decorator]
def stored(values: Any, least: Any, greatest: Any) -> Any:
    """The nearest whole numbers within the range; gradients pass inside, and to its ends what is cut off there.

    Args:
        values: float32, any shape.
        least: A whole number.
        greatest: `STEPS` more.
    """

    def gradients(gradient: Any) -> Any:
        # Of a step of 1, so that it asks only what is inside.
        return tf.raw_ops.FakeQuantWithMinMaxVarsGradient(gradients=gradient, inputs=values, min=least, max=greatest)

    return tf.clip_by_value(tf.round(values), least, greatest), gradients


@tf.custom_gradient  # type: ignore[untyped-decorator]
def taking(rounded: Any, _exact: Any) -> Any:
    """The rounded values, with the gradients of the exact ones."""
    return tf.identity(rounded), lambda gradient: (None, gradient)


def kernel_scale(kernel: Any) -> Any:
    """Width of a step for each channel, the last axis, in litert-quantizer's float32 arithmetic; without gradients."""
    greatest = tf.reduce_max(tf.abs(kernel), list(range(len(kernel.shape) - 1)))
    return tf.stop_gradient(divided(tf.maximum(greatest, LEAST_BOUND), KERNEL_STEPS))


def divided(values: Any, by: float) -> Any:
    """The quotient, rounded once to float32.

    In float32, TensorFlow's graph optimizer would multiply by the reciprocal instead, which may be off by the last bit.
    """
    return tf.cast(tf.cast(values, tf.float64) / by, tf.float32)
