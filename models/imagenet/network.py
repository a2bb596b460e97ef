"""ImageNet weights into our own networks, by way of the network of keras.applications. Imports Keras: use a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np

from models.build import build
from models.imagenet.download import MAX_FILE_BYTES, weights_file
from models.imagenet.released import CLASS_COUNT, TRAIN_HERE, Release
from models.load import check_function
from models.spec import ModelSpec
from models.worker import Progress, Report

STAGE = "ImageNet weights"
MAX_GROUPS = 3000
"""Two or three per layer, and the largest network has some 270 layers."""


def _v3(function: Callable[..., keras.Model], *, minimalistic: bool) -> Callable[..., keras.Model]:
    # Its Rescaling is the preprocessing of our specification.
    return partial(function, minimalistic=minimalistic, include_preprocessing=False)


TWINS: dict[str, Callable[..., keras.Model]] = {
    "mobilenet_v1": keras.applications.MobileNet,
    "mobilenet_v2": keras.applications.MobileNetV2,
    "mobilenet_v3_small": _v3(keras.applications.MobileNetV3Small, minimalistic=False),
    "mobilenet_v3_large": _v3(keras.applications.MobileNetV3Large, minimalistic=False),
    "mobilenet_v3_small_minimalistic": _v3(keras.applications.MobileNetV3Small, minimalistic=True),
    "mobilenet_v3_large_minimalistic": _v3(keras.applications.MobileNetV3Large, minimalistic=True),
}
"""The function of keras.applications by family."""


def load_imagenet(spec: ModelSpec, report: Report, release: Release, *, otherwise: str = TRAIN_HERE) -> keras.Model:
    """Our own network of 1000 classes with the weights of the release, proven to compute what Keras' network does.

    Raises:
        WeightsError: the file cannot be had, or is not what it should be.
        OutputError: Keras' cache cannot be written.
    """
    spec = replace(spec, num_classes=CLASS_COUNT)
    twin = keras_twin(spec)
    path = weights_file(release, partial(read_into, twin), report, otherwise=otherwise)
    report(Progress(stage=STAGE, done=0, total=1, detail=f"from {path}"))
    model = from_twin(spec, twin)
    check_function(path, spec, twin, model)
    report(Progress(stage=STAGE, done=1, total=1, detail=f"from {path}"))
    return model


def keras_twin(spec: ModelSpec) -> keras.Model:
    """The network of keras.applications without weights; it takes pictures normalised as ours and gives logits."""
    side = spec.resolution_px
    return TWINS[spec.family](
        input_shape=(side, side, 3), alpha=spec.width, weights=None, classes=CLASS_COUNT, classifier_activation=None
    )


def read_into(twin: keras.Model, path: Path) -> str | None:
    """Loads a file of weights by Keras' own reader; returns what is wrong with it, as a predicate."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if not start.startswith(b"\x89HDF\r\n\x1a\n"):
            return f"is no HDF5 file: it begins with {start[:24]!r}"
        reason = _layout_fault(path)
        if reason:
            return reason
        twin.load_weights(path)
    except Exception as error:  # noqa: BLE001 - whatever h5py and Keras find wrong with a file from outside
        return f"cannot be read as weights of {twin.name}: {' '.join(str(error).split())[:200]}"
    finite = all(np.isfinite(values).all() for values in twin.get_weights())
    return None if finite else "holds NaN or infinite values"


def _layout_fault(path: Path) -> str | None:
    """What no file of weights has: links to other files, or arrays larger than any network, packed small."""
    size_bytes = seen = 0
    with h5py.File(path, "r") as file:
        groups = [file]
        while groups:
            group, seen = groups.pop(), seen + 1
            # A group can lie in itself.
            if seen > MAX_GROUPS:
                return f"holds more than {MAX_GROUPS} groups"
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    return f"holds a link where weights should be ({name!r})"
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                    continue
                if item.external or item.is_virtual:
                    return f"takes the array {name!r} from another file"
                size_bytes += item.size * item.dtype.itemsize
                if size_bytes > MAX_FILE_BYTES:
                    return f"holds arrays of more than {MAX_FILE_BYTES} bytes"
    return None


def from_twin(spec: ModelSpec, twin: keras.Model) -> keras.Model:
    """Our own network with the weights of Keras', which come in the same order.

    V1 and V3 of Keras write what follows the pooling as convolutions of 1x1, ours as dense layers.
    """
    model = build(spec)
    wanted = [weight.shape for weight in model.weights]
    model.set_weights([values.reshape(shape) for values, shape in zip(twin.get_weights(), wanted, strict=True)])
    return model
