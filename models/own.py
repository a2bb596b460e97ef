"""A user's own classifier, given as a `.keras` file: what it is, and whether it can be exported. Imports Keras."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Literal

import keras

from models.errors import UsageError
from models.load import check_finite
from models.spec import OWN, ModelSpec, OwnNetwork, Preprocessing

MAX_CLASSES = 100_000
SIDES_PX = range(8, 2049)


def describe_own(path: Path, model: keras.Model, preprocessing: Preprocessing) -> ModelSpec:
    """A loaded network as a specification.

    Raises:
        WeightsError: it has NaNs.
        UsageError: it is no classifier of pictures of stock layers.
    """
    _check_layers(path, model)
    side, classes = _check_edges(path, model)
    check_finite(path, model)
    return ModelSpec(
        name=path.stem,
        family=OWN,
        width=1.0,
        resolution_px=side,
        stages=(),
        preprocessing=preprocessing,
        dropout=0.0,
        num_classes=classes,
        own=OwnNetwork(
            path=str(path),
            parameters=sum(prod(weight.shape) for weight in model.trainable_weights),
            mult_adds=count_mult_adds(model),
            gives=_gives(path, model),
        ),
    )


def all_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers of a network, those of networks inside it included."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
        else:
            yield layer


def count_mult_adds(model: keras.Model) -> int | None:
    """Mult-adds of the kernels for one picture; None if a layer with weights is of a kind that is not counted here.

    A layer that is used twice counts twice.
    """
    # Only the graph's nodes know each use of a layer; a Sequential keeps its graph inside.
    graph = getattr(model, "_functional", None) or model
    nodes = [node for depth in graph._nodes_by_depth.values() for node in depth]  # noqa: SLF001
    counts = [_layer_mult_adds(node.operation, node.output_tensors[0].shape[1:]) for node in nodes]
    return sum(count for count in counts if count) if None not in counts else None


def _layer_mult_adds(layer: keras.Layer, shape: tuple[int | None, ...]) -> int | None:
    if isinstance(layer, keras.Model):
        return count_mult_adds(layer)
    if not layer.weights or isinstance(layer, keras.layers.BatchNormalization | keras.layers.Normalization):
        return 0
    if None in shape:
        return None
    outputs = prod(side for side in shape if side is not None)
    match layer:
        case keras.layers.SeparableConv2D():
            per_pixel = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
            return outputs // int(layer.filters) * int(per_pixel)
        case keras.layers.DepthwiseConv2D():
            return outputs * int(prod(layer.kernel.shape[:2]))
        case keras.layers.Conv2D():
            return outputs * int(prod(layer.kernel.shape[:-1]))
        case keras.layers.Dense():
            return outputs * int(layer.kernel.shape[0])
    return None


def _check_layers(path: Path, model: keras.Model) -> None:
    for layer in all_layers(model):
        kind = type(layer)
        if getattr(keras.layers, kind.__name__, None) is not kind:
            raise UsageError(
                f"{path} holds the layer {layer.name!r} of class {kind.__name__}, which is no stock Keras layer; "
                "write it as keras.layers, or convert the network by hand"
            )


def _check_edges(path: Path, model: keras.Model) -> tuple[int, int]:
    """Side of the input in pixels, and number of classes."""
    inputs, outputs = list(model.inputs or ()), list(model.outputs or ())
    if len(inputs) != 1 or len(outputs) != 1:
        raise UsageError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs, a classifier of pictures has one of each; "
            "save the part that classifies"
        )
    shape, result = tuple(inputs[0].shape), tuple(outputs[0].shape)
    fits = len(shape) == 4 and shape[1] == shape[2] and shape[1] in SIDES_PX and shape[3] == 3
    if not fits or shape[0] not in (None, 1):
        raise UsageError(
            f"{path} takes inputs of shape {shape}; needed is (None, side, side, 3) with a fixed side of "
            f"{SIDES_PX.start} to {SIDES_PX.stop - 1} px: build it with keras.Input((side, side, 3)) and save it again"
        )
    if len(result) != 2 or not isinstance(result[1], int) or not 2 <= result[1] <= MAX_CLASSES:
        raise UsageError(
            f"{path} gives outputs of shape {result}; a classifier gives (None, classes), at least 2: end it with a "
            "Dense layer of one unit per class"
        )
    return int(shape[1]), int(result[1])


def _gives(path: Path, model: keras.Model) -> Literal["probabilities", "logits"]:
    """What comes out, by the last layer's activation."""
    last = list(all_layers(model))[-1]
    if isinstance(last, keras.layers.Softmax):
        return "probabilities"
    activation = getattr(last, "activation", keras.activations.linear)
    if activation is keras.activations.softmax:
        return "probabilities"
    if activation is keras.activations.linear and isinstance(last, keras.layers.Dense | keras.layers.Activation):
        return "logits"
    if isinstance(last, keras.layers.Flatten | keras.layers.Reshape | keras.layers.GlobalAveragePooling2D):
        return "logits"
    name = getattr(activation, "__name__", type(last).__name__)
    raise UsageError(
        f"{path} ends with {last.name!r} ({type(last).__name__}, {name}), which gives neither probabilities nor "
        "logits; end it with softmax, or with a linear Dense layer"
    )
