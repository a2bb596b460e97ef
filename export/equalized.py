"""Cross-layer equalization of a Keras network before it is converted, so that every file gains. Imports Keras."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from export.deployed import as_trained
from export.quantization.equalize import Weights, equalizing_factors, expected_gain_db, find_groups, rescale
from models.blocks import plan_layers
from models.data import Pixels, normalise
from models.spec import ModelSpec

BATCH = 8
LEAST_GAIN_DB = 1.0
"""What rescaling a group must be expected to gain where only that is rescaled; the estimate is no better than this."""
IMAGES = 128
"""Of the representative data set, at most."""


def equalize(model: keras.Model, spec: ModelSpec, pixels: Pixels, *, where_it_pays: bool = False) -> int:
    """Rescales the channels of a network without batch normalization, which goes on computing the same.

    Returns the number of groups of channels that were rescaled.

    Args:
        model: Of `models.build.fold_batch_norm`.
        spec: The network.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        where_it_pays: Only groups whose readers are expected to err less by it.
    """
    weights, rescaled = read_weights(model, spec), 0
    greatest, squares = channel_sizes(model, spec, pixels)
    for group in find_groups(plan_layers(spec)):
        factors = equalizing_factors(group, weights, greatest)
        gain_db = expected_gain_db(group, weights, greatest, squares, factors) if where_it_pays else np.inf
        if gain_db >= LEAST_GAIN_DB:
            rescale(group, weights, factors)
            rescaled += 1
    write_weights(model, weights)
    return rescaled


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
    return channel_sizes(model, spec, pixels)[0]


def channel_sizes(
    model: keras.Model, spec: ModelSpec, pixels: Pixels
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Greatest absolute value and mean square of each channel over the pictures, `[channels]` by layer."""
    plan = plan_layers(spec)
    ends = [f"{layer.name}_{layer.activation}" if layer.activation else layer.name for layer in plan]
    outputs = [model.get_layer(name).output for name in ends]
    sizes = [keras.ops.max(keras.ops.abs(y), axis=tuple(range(len(y.shape) - 1))) for y in outputs]
    powers = [keras.ops.sum(keras.ops.mean(y * y, axis=tuple(range(1, len(y.shape) - 1))), axis=0) for y in outputs]
    measure = keras.Model(model.input, [sizes, powers])
    # Spread over the sample, which is in the order of its classes.
    chosen = pixels[:: -(-len(pixels) // IMAGES)]
    found, squares = ([np.zeros(layer.channels) for layer in plan] for _ in range(2))
    for start in range(0, len(chosen), BATCH):
        batch = normalise(as_trained(chosen[start : start + BATCH], spec.preprocessing), spec.preprocessing)
        for row, (size, power) in enumerate(zip(*measure(batch, training=False), strict=True)):
            found[row] = np.maximum(found[row], np.asarray(size, np.float64))
            squares[row] += np.asarray(power, np.float64) / len(chosen)
    names = [layer.name for layer in plan]
    return dict(zip(names, found, strict=True)), dict(zip(names, squares, strict=True))
