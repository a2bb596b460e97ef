"""`--fine-tune`: weights of another training to start from. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras

from models.files import sha256_file
from models.load import check_function, into_network, read_checkpoint
from models.spec import ModelSpec
from models.training.plan import LEAVE_OUT
from models.training.recipes import IMAGENET
from models.worker import Report


def starting_digest(choice: str | None) -> str | None:
    """SHA-256 of the file that a training starts from; None where there is no file."""
    return sha256_file(Path(choice)) if choice and choice != IMAGENET else None


def starting_weights(spec: ModelSpec, choice: str | None, report: Report) -> Callable[[keras.Model], None]:
    """What gives a network all weights of another training but the classifier's, which stay random.

    Raises:
        WeightsError: the weights cannot be had, or are another network's.
    """
    if choice is None:
        return lambda _: None
    source = _imagenet(spec, report) if choice == IMAGENET else _checkpoint(spec, Path(choice))

    def start(model: keras.Model) -> None:
        for layer in model.layers:
            if layer.weights and layer.name != "classifier":
                layer.set_weights(source.get_layer(layer.name).get_weights())

    return start


def _imagenet(spec: ModelSpec, report: Report) -> keras.Model:
    from models.imagenet import imagenet_model

    return imagenet_model(spec, report, otherwise=LEAVE_OUT)


def _checkpoint(spec: ModelSpec, path: Path) -> keras.Model:
    given = read_checkpoint(path)
    # It may know other classes, which is why it is trained again.
    theirs = replace(spec, num_classes=int(given.output_shape[-1]))
    model = into_network(path, given, theirs)
    check_function(path, theirs, given, model)
    return model
