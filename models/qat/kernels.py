"""Two int8 operators whose kernels round on the way, and how: in fixed point. Imports TensorFlow.

Sums are XNNPACK's (`qs8-vadd`, with multipliers of 21 bits), hard-swishes those of TensorFlow Lite itself
(`reference/hard_swish.h`, 16 bits), to which XNNPACK leaves them. All is computed in float64, which is exact here.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from models.qat.fake import divided

MANTISSA_BITS = 23
_EXPONENT_BIAS = 127
SUM_BITS = 20
"""A sum's greater multiplier lies between 2**20 and 2**21."""
REACH = 255
"""Of an activation from its zero, in steps, at most."""


def rounded_sum(first: Any, second: Any, first_ratio: Any, second_ratio: Any) -> Any:
    """Steps of the sum of two tensors, whole numbers.

    Args:
        first: Steps of one tensor.
        second: Steps of the other.
        first_ratio: Width of the first's steps over that of the sum's, float32.
        second_ratio: The same of the second.
    """
    _, exponent = _mantissa_and_exponent(tf.maximum(first_ratio, second_ratio))
    unit = _power_of_two(SUM_BITS - exponent)
    fixed = tf.zeros((), tf.float64)
    for values, ratio in ((first, first_ratio), (second, second_ratio)):
        fixed += tf.cast(values, tf.float64) * tf.round(tf.cast(ratio, tf.float64) * unit)
    return tf.cast(tf.floor(fixed / unit + 0.5), tf.float32)


def hard_swish_steps(width: Any, stored_width: Any) -> Any:
    """What hard-swish gives for -255 to 255 steps, in steps of its own, `[511]`, whole numbers.

    Args:
        width: Of the input's steps, float32.
        stored_width: Of the output's steps, float32.
    """
    # Seven bits finer, as the kernel begins.
    fine = width / 128
    scale, scale_exponent = _multiplier(fine / stored_width)
    gate_scale, gate_exponent = _multiplier(divided(fine, 3 / 32768))
    values = tf.cast(tf.range(-REACH, REACH + 1), tf.float64) * 128
    gate = _limited(values * _power_of_two(tf.maximum(gate_exponent - 1, 0)))
    gate = _rounded(gate * gate_scale, 15)
    gate = tf.where(gate_exponent > 0, _limited(gate * 2), _rounded(gate, tf.maximum(-gate_exponent, 0)))
    gate = tf.floor((gate + 2**15) / 2)
    product = gate * _rounded(values * scale, 15) / 2**15
    # The one product that is cut off and not rounded.
    whole = tf.sign(product) * tf.floor(tf.abs(product))
    return tf.cast(_rounded(whole, -scale_exponent), tf.float32)


def _mantissa_and_exponent(positive: Any) -> tuple[Any, Any]:
    """The 24 bits of float32 numbers, the first of them set, as float64; and the exponent of that bit, as int32."""
    bits = tf.bitcast(tf.stop_gradient(positive), tf.int32)
    mantissa = tf.bitwise.bitwise_or(tf.bitwise.bitwise_and(bits, 2**MANTISSA_BITS - 1), 2**MANTISSA_BITS)
    return tf.cast(mantissa, tf.float64), tf.bitwise.right_shift(bits, MANTISSA_BITS) - _EXPONENT_BIAS


def _multiplier(ratio: Any) -> tuple[Any, Any]:
    """A ratio as 15 bits from 2**14 to 2**15 - 1, and by which power of two they have to be multiplied over 2**15."""
    mantissa, exponent = _mantissa_and_exponent(ratio)
    return tf.minimum(tf.floor(mantissa / 2**9 + 0.5), 2.0**15 - 1), exponent + 1


def _rounded(values: Any, bits: Any) -> Any:
    """A division by a power of two, rounded to the nearest whole number, of two to the one farther from zero."""
    return tf.sign(values) * tf.floor(tf.abs(values) / _power_of_two(bits) + 0.5)


def _limited(values: Any) -> Any:
    """What 16 bits can hold of them."""
    return tf.clip_by_value(values, -(2.0**15), 2.0**15 - 1)


def _power_of_two(exponent: Any) -> Any:
    return tf.pow(tf.constant(2.0, tf.float64), tf.cast(exponent, tf.float64))
