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
from tests.models.random_networks import Array, randomise


def small(name: str) -> ModelSpec:
    """The network at 64 px, which has the same weights and takes a fraction of the time."""
    return replace(MODELS[name], resolution_px=64, num_classes=1000)


@cache
def random_twin(spec: ModelSpec) -> keras.Model:
    """Random weights and random statistics of each normalization, such that the logits depend on the picture."""
    keras.utils.set_random_seed(2)
    twin = keras_twin(spec)
    randomise(twin, spec.resolution_px)
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
