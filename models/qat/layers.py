"""The layers of a network that computes as its int8 TFLite file does under XNNPACK. Imports Keras and TensorFlow.

What goes from layer to layer is whole numbers, the steps from zero; each layer knows the width of its steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.blocks import Layer
from models.qat.fake import STEPS, divided, kernel_scale, stored, taking, whole
from models.qat.kernels import REACH, hard_swish_steps, rounded_sum
from models.spec import Preprocessing

Range = tuple[float, float]
Scale = Callable[[], Any]
"""Gives the width of a step of some layer, a float32 scalar."""
UNBOUNDED = (-np.inf, np.inf)


class Bytes(keras.layers.Layer):  # type: ignore[misc]
    """Normalised pictures as an integer input holds them: grey levels, counted from a whole zero point."""

    def __init__(self, preprocessing: Preprocessing, **settings: Any) -> None:
        super().__init__(**settings)
        self.mean, self.std = preprocessing.mean[0], preprocessing.std[0]
        self.zero_point = round(self.mean)

    def scale(self) -> Any:
        """Width of a step."""
        return tf.constant(1 / self.std, tf.float32)

    def call(self, images: Any) -> Any:
        """Whole numbers for normalised pictures."""
        return tf.clip_by_value(tf.round(images * self.std + self.mean), 0, STEPS) - self.zero_point


class Stored(keras.layers.Layer):  # type: ignore[misc]
    """A tensor in 8 bits. Its range is learned: the ends are those it started with, times what was learned.

    Their signs stay, so that what begins at zero does for ever. So a fused ReLU needs nothing more, and a ReLU6
    neither, whose range ends at 6 at most.
    """

    def __init__(self, *sources: Scale, bound: Range = UNBOUNDED, fixed: bool = False, **settings: Any) -> None:
        """Makes a range of no width, until `start` gives it one.

        Args:
            sources: The widths of the steps of its inputs.
            bound: Beyond it the range never goes.
            fixed: The range is the bound, and is not learned.
            settings: Keras' own.
        """
        super().__init__(**settings)
        self.sources, self.bound, self.fixed = sources, bound, fixed
        self.base = self.add_weight(name="base", shape=(2,), initializer="zeros", trainable=False)
        self.growth = self.add_weight(name="growth", shape=(2,), initializer="zeros", trainable=not fixed)

    def start(self, chosen: Range) -> None:
        """Gives the range to begin with."""
        self.base.assign(self.bound if self.fixed else chosen)
        self.growth.assign((0.0, 0.0))

    def ends(self) -> tuple[Any, Any]:
        """Least and greatest value, float32 scalars."""
        low, high = tf.unstack(tf.convert_to_tensor(self.base) * tf.exp(tf.convert_to_tensor(self.growth)))
        return tf.maximum(low, self.bound[0]), tf.minimum(high, self.bound[1])

    def scale(self) -> Any:
        """Width of a step, in the float32 arithmetic of export."""
        low, high = self.ends()
        return divided(high - low, STEPS)

    def store(self, values: Any) -> Any:
        """What is kept of values that are given in steps of this layer."""
        least = whole(self.ends()[0] / self.scale())
        return stored(values, least, least + STEPS)


class Kernel(Stored):
    """A convolution or fully connected layer: int8 kernel, int32 bias, and what is fused into it."""

    def __init__(self, layer: Layer, *sources: Scale, use_bias: bool, **settings: Any) -> None:
        super().__init__(*sources, **settings)
        self.layer, self.bias = layer, None
        side = (layer.kernel, layer.kernel)
        match layer.kind:
            case "dense":
                shape: tuple[int, ...] = (layer.in_channels, layer.channels)
            case "depthwise":
                shape = (*side, layer.channels, 1)
            case _:
                shape = (*side, layer.in_channels, layer.channels)
        self.kernel = self.add_weight(name="kernel", shape=shape)
        if use_bias:
            self.bias = self.add_weight(name="bias", shape=(layer.channels,), initializer="zeros")

    def call(self, values: Any) -> Any:
        """Steps of the result."""
        layer, kernel = self.layer, tf.convert_to_tensor(self.kernel)
        strides = (1, layer.stride, layer.stride, 1)
        if layer.kind == "depthwise":
            kernel = tf.squeeze(kernel, -1)
        width = kernel_scale(kernel)
        kernel = whole(kernel / width)
        if layer.kind == "dense":
            sums = tf.matmul(values, kernel)
        elif layer.kind == "depthwise":
            sums = tf.nn.depthwise_conv2d(values, kernel[..., None], strides, "SAME")
        else:
            sums = tf.nn.conv2d(values, kernel, strides, "SAME")
        width = self.sources[0]() * width
        if self.bias is not None:
            sums = tf.nn.bias_add(sums, whole(tf.convert_to_tensor(self.bias) / width))
        return self.store(sums * (width / self.scale()))


class Sum(Stored):
    """The sum of two tensors of unlike steps."""

    def call(self, values: list[Any]) -> Any:
        """Steps of the sum."""
        ratios = [scale() / self.scale() for scale in self.sources]
        exact = values[0] * ratios[0] + values[1] * ratios[1]
        return self.store(taking(rounded_sum(*values, *ratios), exact))


class Product(Stored):
    """The product of two tensors."""

    def call(self, values: list[Any]) -> Any:
        """Steps of the product."""
        first, second = (scale() for scale in self.sources)
        return self.store(values[0] * values[1] * (first * second / self.scale()))


class Mean(Stored):
    """The mean of a whole map."""

    def __init__(self, *sources: Scale, keepdims: bool, **settings: Any) -> None:
        super().__init__(*sources, **settings)
        self.keepdims = keepdims

    def call(self, values: Any) -> Any:
        """Steps of the mean."""
        sums = tf.reduce_sum(values, (1, 2), self.keepdims)
        places = tf.cast(tf.reduce_prod(tf.shape(values)[1:3]), tf.float32)
        return self.store(sums * (self.sources[0]() / (self.scale() * places)))


class HardSwish(Stored):
    """`x * relu6(x + 3) / 6`."""

    def call(self, values: Any) -> Any:
        """Steps of the result."""
        width, stored_width = self.sources[0](), self.scale()
        x = values * width
        exact = x * tf.nn.relu6(x + 3) / (6 * stored_width)
        rounded = tf.gather(hard_swish_steps(width, stored_width), tf.cast(values, tf.int32) + REACH)
        return self.store(taking(rounded, exact))


class Value(keras.layers.Layer):  # type: ignore[misc]
    """What steps stand for: the logits as numbers."""

    def __init__(self, source: Scale, **settings: Any) -> None:
        super().__init__(**settings)
        self.source = source

    def call(self, values: Any) -> Any:
        """Numbers."""
        return values * self.source()
