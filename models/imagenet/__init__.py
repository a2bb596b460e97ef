"""ImageNet: the weights of keras.applications in our own networks, the 1000 classes, and pictures of them.

The names exported here need no Keras until they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.imagenet.released import CLASS_COUNT, IMAGENET, RELEASES, TRAIN_HERE, Release, find_release
from models.spec import ModelSpec
from models.worker import Report

if TYPE_CHECKING:
    import keras

__all__ = ["CLASS_COUNT", "IMAGENET", "RELEASES", "Release", "find_release", "imagenet_model"]


def imagenet_model(
    spec: ModelSpec, report: Report, release: Release | None = None, *, otherwise: str = TRAIN_HERE
) -> keras.Model:
    """Our own network of 1000 classes with the ImageNet weights, downloaded if Keras' cache has them not.

    To be called in a worker: it imports TensorFlow.

    Args:
        spec: A row of the zoo; its number of classes does not matter.
        report: Receives the progress.
        release: Where the weights are; None for Keras' own server.
        otherwise: What to do where they cannot be had.

    Raises:
        WeightsError: there are none for that network, they cannot be downloaded, or the file is damaged or another.
        OutputError: Keras' cache cannot be written.
    """
    from models.imagenet.network import load_imagenet

    return load_imagenet(spec, report, release or find_release(spec, otherwise=otherwise), otherwise=otherwise)
