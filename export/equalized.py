"""Cross-layer equalization of a Keras network before it is converted, so that every file gains. Imports Keras."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from export.deployed import as_trained
from export.quantization.equalize import Weights, equalizing_factors, find_groups, rescale
from models.blocks import plan_layers
from models.data import Pixels, normalise
from models.spec import ModelSpec

BATCH = 8
IMAGES = 64
"""Of the representative data set, at most: a channel's size is needed to a factor of two only."""


def equalize(model: keras.Model, spec: ModelSpec, pixels: Pixels) -> None:
    """Rescales the channels of a network without batch normalization, which goes on computing the same.

    Args:
        model: Of `models.build.fold_batch_norm`.
        spec: The network.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
    """
    weights = read_weights(model, spec)
    greatest = greatest_values(model, spec, pixels)
    for group in find_groups(plan_layers(spec)):
        rescale(group, weights, equalizing_factors(group, weights, greatest))
    write_weights(model, weights)


def read_weights(model: keras.Model, spec: ModelSpec) -> Weights:
    """Kernel and bias of every layer that has them."""
    kinds = ("conv", "depthwise", "dense")
    return {layer.name: model.get_layer(layer.name).get_weights() for layer in plan_layers(spec) if layer.kind in kinds}


def write_weights(model: keras.Model, weights: Weights) -> None:
    """Gives the network what `read_weights` returned."""
    for name, values in weights.items():
        model.get_layer(name).set_weights(values)


def greatest_values(model: keras.Model, spec: ModelSpec, pixels: Pixels) -> dict[str, NDArray[np.float64]]:
    """Greatest absolute value of each channel over the pictures, `[channels]` by layer, behind its activation."""
    plan = plan_layers(spec)
    ends = [f"{layer.name}_{layer.activation}" if layer.activation else layer.name for layer in plan]
    outputs = [model.get_layer(name).output for name in ends]
    sizes = [keras.ops.max(keras.ops.abs(y), axis=tuple(range(len(y.shape) - 1))) for y in outputs]
    measure = keras.Model(model.input, sizes)
    # Spread over the sample, which is in the order of its classes.
    chosen = pixels[:: -(-len(pixels) // IMAGES)]
    found = [np.zeros(layer.channels) for layer in plan]
    for start in range(0, len(chosen), BATCH):
        batch = normalise(as_trained(chosen[start : start + BATCH], spec.preprocessing), spec.preprocessing)
        for row, values in enumerate(measure(batch, training=False)):
            found[row] = np.maximum(found[row], np.asarray(values, np.float64))
    return {layer.name: values for layer, values in zip(plan, found, strict=True)}
