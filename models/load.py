"""Checkpoints from disk into the zoo's own networks. Imports Keras: call it in a worker."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from models.build import build
from models.checkpoint import check_keras_file
from models.errors import WeightsError
from models.imagenet.classes import background_hint
from models.spec import ModelSpec


def load_checkpoint(path: Path, spec: ModelSpec) -> keras.Model:
    """The network of `spec` with the weights of a `.keras` file, proven to compute what the file's own network does.

    Raises:
        WeightsError: the file is missing, damaged, holds code, another network, another number of classes, or NaN.
    """
    given = read_checkpoint(path)
    model = into_network(path, given, spec)
    check_function(path, spec, given, model)
    return model


def read_checkpoint(path: Path) -> keras.Model:
    """The network in a `.keras` file as it stands there, read in Keras' safe mode.

    Raises:
        WeightsError: the file is missing, damaged or holds code.
    """
    check_keras_file(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        cause = " ".join(str(error).split())
        if "lambda" in cause.lower():
            cause = "it holds a Lambda layer, which is code from outside and is not run"
        raise WeightsError(f"checkpoint {path} cannot be loaded: {cause[:300]}") from error


def into_network(path: Path, given: keras.Model, spec: ModelSpec) -> keras.Model:
    """Our own network with the numbers of the given one.

    Raises:
        WeightsError: the shapes are those of another network or class count, or there are NaNs.
    """
    model = build(spec)
    _check_shapes(path, spec, given, model)
    check_finite(path, given)
    model.set_weights(given.get_weights())
    return model


def check_finite(path: Path, given: keras.Model) -> None:
    """Refuses a network with NaNs.

    Raises:
        WeightsError: it has some.
    """
    weights = given.get_weights()
    broken = [w.path for w, values in zip(given.weights, weights, strict=True) if not np.isfinite(values).all()]
    if broken:
        raise WeightsError(
            f"checkpoint {path} has NaN or infinite values in {len(broken)} of {len(weights)} arrays, first in "
            f"{broken[0]}; its training diverged, use an earlier checkpoint"
        )


def _check_shapes(path: Path, spec: ModelSpec, loaded: keras.Model, model: keras.Model) -> None:
    got = [tuple(w.shape) for w in loaded.weights]
    wanted = [tuple(w.shape) for w in model.weights]
    if got == wanted:
        return
    # The classifier's kernel and bias come last.
    if got[:-2] == wanted[:-2] and len(got[-1]) == 1:
        hint = background_hint(None, got[-1][0])
        raise WeightsError(
            f"checkpoint {path} has {got[-1][0]} classes{hint}, the data set has {spec.num_classes}; "
            "give the data set it was trained on with --dataset"
        )
    raise WeightsError(
        f"checkpoint {path} is not a {spec.name}: it is {loaded.name!r} with {len(got)} weight arrays, "
        f"{spec.name} has {len(wanted)} of certain shapes; name its model with --model"
    )


def check_function(path: Path, spec: ModelSpec, given: keras.Model, model: keras.Model) -> None:
    """Refuses a network of the same shapes that computes something else: other strides, activations, rescaling inside.

    Only rounding may differ: 1e-3 of the largest output allows for another order of additions, and another function is
    off by far more on noise.

    Raises:
        WeightsError: it does.
    """
    side = spec.resolution_px
    if given.input_shape[1:] not in ((side, side, 3), (None, None, 3)):
        raise WeightsError(
            f"checkpoint {path} takes pictures of {given.input_shape[1:]}, {spec.name} of {(side, side, 3)}; name its "
            "model with --model"
        )
    noise = np.random.default_rng(0).uniform(-1, 1, (2, side, side, 3)).astype(np.float32)
    theirs, ours = (np.asarray(network(noise, training=False)) for network in (given, model))
    difference = float(np.abs(theirs - ours).max())
    if not difference <= 1e-3 * float(np.abs(ours).max()) + 1e-7:
        raise WeightsError(
            f"checkpoint {path} has the shapes of {spec.name} but computes another function (outputs differ by "
            f"{difference:.3g}): it must take pictures normalised as the model's and give logits"
        )
