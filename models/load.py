"""Checkpoints from disk into the zoo's own networks. Imports Keras: call it in a worker."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from models.build import build
from models.checkpoint import check_keras_file
from models.errors import WeightsError
from models.spec import ModelSpec


def load_checkpoint(path: Path, spec: ModelSpec) -> keras.Model:
    """The network of `spec` with the weights of a `.keras` file.

    The file is read in Keras' safe mode, and only its numbers are taken over: the network that runs is ours.

    Raises:
        WeightsError: the file is missing, damaged, holds code, another network, another number of classes, or NaN.
    """
    check_keras_file(path)
    try:
        loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        cause = " ".join(str(error).split())
        if "lambda" in cause.lower():
            cause = "it holds a Lambda layer, which is code from outside and is not run"
        raise WeightsError(f"checkpoint {path} cannot be loaded: {cause[:300]}") from error
    model = build(spec)
    _check_shapes(path, spec, loaded, model)
    weights = loaded.get_weights()
    broken = [w.path for w, values in zip(loaded.weights, weights, strict=True) if not np.isfinite(values).all()]
    if broken:
        raise WeightsError(
            f"checkpoint {path} has NaN or infinite values in {len(broken)} of {len(weights)} arrays, first in "
            f"{broken[0]}; its training diverged, use an earlier checkpoint"
        )
    model.set_weights(weights)
    return model


def _check_shapes(path: Path, spec: ModelSpec, loaded: keras.Model, model: keras.Model) -> None:
    got = [tuple(w.shape) for w in loaded.weights]
    wanted = [tuple(w.shape) for w in model.weights]
    if got == wanted:
        return
    # The classifier's kernel and bias come last.
    if got[:-2] == wanted[:-2] and len(got[-1]) == 1:
        raise WeightsError(
            f"checkpoint {path} has {got[-1][0]} classes, the data set has {spec.num_classes}; "
            "give the data set it was trained on with --dataset"
        )
    raise WeightsError(
        f"checkpoint {path} is not a {spec.name}: it is {loaded.name!r} with {len(got)} weight arrays, "
        f"{spec.name} has {len(wanted)} of certain shapes; name its model with --model"
    )
