"""Stress twins: networks that compute the same as others, and that quantize badly."""

import keras
import numpy as np

from export.equalized import greatest_values, read_weights, write_weights
from export.quantization.equalize import find_groups, rescale, scalable
from models.blocks import plan_layers
from models.data import Pixels
from models.spec import ModelSpec

SPREAD = 4.0
"""Channels are rescaled by 2 to the power of something between minus and plus this."""
RESERVE, IMAGES = 1.5, 64
"""How far from a ReLU6's limit the channels of that many pictures must stay: less than equalization wants."""


def stress(model: keras.Model, spec: ModelSpec, pixels: Pixels, seed: int = 0) -> int:
    """Rescales the channels of a network without batch normalization at random; returns how many of them.

    Its function stays the same within rounding: of channels behind a ReLU6 only those change that it never cuts off.
    """
    rng, changed = np.random.default_rng(seed), 0
    weights = read_weights(model, spec)
    greatest = greatest_values(model, spec, pixels[:: -(-len(pixels) // IMAGES)])
    for group in find_groups(plan_layers(spec)):
        wanted = 2 ** rng.uniform(-SPREAD, SPREAD, group.producers[0].channels)
        factors = np.where(scalable(group, greatest, wanted, RESERVE), wanted, 1.0)
        changed += int(np.sum(factors != 1))
        rescale(group, weights, factors)
    write_weights(model, weights)
    return changed
