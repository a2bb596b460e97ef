"""Networks of keras.applications with random weights, and their weights as a file like those that were released."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from numpy.typing import NDArray

from models.imagenet.network import keras_twin
from models.spec import ModelSpec
from models.zoo import MODELS

Array = NDArray[np.float32]


def small(name: str) -> ModelSpec:
    """The network at 64 px, which has the same weights and takes a fraction of the time."""
    return replace(MODELS[name], resolution_px=64, num_classes=1000)


def pictures(size_px: int, count: int = 4) -> Array:
    """Random colour fields of 4 x 4 squares in -1..1, as different from each other as pictures are."""
    fields = np.random.default_rng(1).uniform(-1, 1, (count, 4, 4, 3))
    return np.kron(fields, np.ones((1, size_px // 4, size_px // 4, 1))).astype(np.float32)


@cache
def random_twin(spec: ModelSpec) -> keras.Model:
    """Random weights and random statistics of each normalization, such that the logits depend on the picture."""
    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(3)
    twin = keras_twin(spec)
    norms = [layer for layer in twin.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        gamma, beta, mean, variance = norm.get_weights()
        norm.set_weights([rng.uniform(0.7, 1.4, gamma.shape), rng.normal(0, 0.3, beta.shape), mean, variance])
        norm.momentum = 0.0
    # One batch in training gives every normalization the statistics of its input; then each is put a little wrong.
    twin(pictures(spec.resolution_px), training=True)
    for norm in norms:
        gamma, beta, mean, variance = norm.get_weights()
        mean += rng.normal(0, 0.1, mean.shape) * np.sqrt(variance)
        norm.set_weights([gamma, beta, mean, variance * rng.uniform(0.7, 1.4, variance.shape)])
    last = [layer for layer in twin.layers if layer.weights][-1]
    kernel, bias = last.get_weights()
    largest = np.abs(twin.predict_on_batch(pictures(spec.resolution_px))).max()
    last.set_weights([kernel * 4 / largest, rng.normal(0, 0.3, bias.shape)])
    return twin


def weights_bytes(network: keras.Model) -> bytes:
    """Its weights in the form of the released files: HDF5, a group per layer."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        save_weights_to_hdf5_group(file, network)
    return buffer.getvalue()


def softmax(logits: Array) -> NDArray[np.float64]:
    """Probabilities."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result
