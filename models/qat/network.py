"""The twin of a network: the same layers without batch normalization, rounded where its int8 TFLite file rounds.

Imports Keras and TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers

from models.blocks import INPUT, Layer, plan_layers
from models.build import BATCH_NORM_EPSILON, build, fold_batch_norm
from models.errors import UsageError
from models.qat.layers import UNBOUNDED, Bytes, HardSwish, Kernel, Mean, Product, Range, Scale, Stored, Sum, Value
from models.spec import ModelSpec

Ranges = dict[str, Range]
"""Least and greatest value by the name of the tensor in the TFLite file."""

KERNELS = ("conv", "depthwise", "dense")
_BOUNDS: dict[str | None, Range] = {"relu": (0.0, np.inf), "relu6": (0.0, 6.0), "hard_sigmoid": (0.0, 6.0)}
"""Of activations that are fused into the layer before them; a gate is a ReLU6, see `fold_batch_norm`."""


def check_input(spec: ModelSpec) -> None:
    """Refuses a preprocessing that no integer input realises, which training cannot imitate then.

    Raises:
        UsageError: it has a mean or spread per channel, or another order of channels.
    """
    given = spec.preprocessing
    if len(set(given.mean)) > 1 or len(set(given.std)) > 1 or given.channel_order != "RGB":
        raise UsageError(
            f"quantization-aware training of {spec.name} needs one mean and std for all channels in RGB, got "
            f"{given.mean}, {given.std}, {given.channel_order}; export it with calibrated ranges: leave --qat out"
        )


def build_twin(spec: ModelSpec, *, resolution_px: int | None = None) -> keras.Model:
    """Network with the input and output of `models.build.build`, and no weights or ranges worth having yet.

    Args:
        spec: The network.
        resolution_px: Side of the input instead of the spec's; 0 leaves it open, as in `build`.

    Raises:
        UsageError: its preprocessing cannot be put into an integer input.
    """
    check_input(spec)
    side = spec.resolution_px if resolution_px is None else resolution_px or None
    if side is None and spec.pooling == "flatten":
        side = spec.resolution_px
    picture = keras.Input((side, side, 3), name=INPUT)
    held: dict[str, Bytes | Stored] = {INPUT: Bytes(spec.preprocessing, name=f"{INPUT}_bytes")}
    tensors = {INPUT: held[INPUT](picture)}
    for layer in plan_layers(spec):
        x = [tensors[name] for name in layer.inputs]
        if layer.name == "classifier":
            x = [layers.Dropout(spec.dropout, name="classifier_dropout")(x[0])]
        made = _operation(layer, [held[name].scale for name in layer.inputs])
        y = made(x if len(x) > 1 else x[0])
        # What only picks or orders values leaves them as they are stored.
        last: Bytes | Stored = made if isinstance(made, Stored) else held[layer.inputs[0]]
        if layer.activation == "hard_swish":
            last = HardSwish(last.scale, name=f"{layer.name}_hard_swish")
            y = last(y)
        tensors[layer.name], held[layer.name] = y, last
    logits = Value(last.scale, name="logits")(y)
    return keras.Model(picture, logits, name=f"{spec.name.replace('.', '_')}_qat")


def _operation(layer: Layer, sources: list[Scale]) -> keras.Layer:
    name = layer.name
    match layer.kind:
        case "add":
            return Sum(*sources, name=name)
        case "multiply":
            return Product(*sources, name=name)
        case "squeeze" | "pool":
            return Mean(*sources, keepdims=layer.kind == "squeeze", name=name)
        case "max_pool":
            return layers.MaxPooling2D(layer.kernel, name=name)
        case "flatten":
            return layers.Flatten(name=name)
    bound, gate = _BOUNDS.get(layer.activation, UNBOUNDED), layer.activation == "hard_sigmoid"
    return Kernel(layer, *sources, use_bias=layer.shift != "none", bound=bound, fixed=gate, name=name)


def take_weights(twin: keras.Model, model: keras.Model, spec: ModelSpec) -> None:
    """Gives the twin the weights of a network of `build`; its ranges stay."""
    folded = fold_batch_norm(model, spec)
    for layer in plan_layers(spec):
        if layer.kind in KERNELS:
            kernel, *bias = folded.get_layer(layer.name).get_weights()
            given = twin.get_layer(layer.name)
            given.kernel.assign(kernel)
            if bias:
                given.bias.assign(bias[0])


def unfold(twin: keras.Model, spec: ModelSpec) -> keras.Model:
    """An ordinary network of `build` that folds to the twin's kernels: its batch normalization does nothing but add.

    Kernels behind a gate and the gate's biases are rounded on the way, so that they may come back off by their last
    bit; `take_weights` brings the twin to what was kept.
    """
    model = build(spec)
    plan = plan_layers(spec)
    gated = {layer.name for layer in plan if layer.kind == "multiply"}
    for layer in plan:
        if layer.kind not in KERNELS:
            continue
        given = twin.get_layer(layer.name)
        kernel, *bias = (np.asarray(w, np.float64) for w in (given.kernel, given.bias) if w is not None)
        if layer.inputs[0] in gated:
            kernel *= 6
        if layer.activation == "hard_sigmoid":
            bias[0] -= 3
        if layer.shift == "norm":
            ones, zeros = np.ones(layer.channels), np.zeros(layer.channels)
            neutral = [ones, bias.pop(), zeros, ones - BATCH_NORM_EPSILON]
            model.get_layer(f"{layer.name}_norm").set_weights([w.astype(np.float32) for w in neutral])
        model.get_layer(layer.name).set_weights([w.astype(np.float32) for w in (kernel, *bias)])
    return model


def stored_tensors(twin: keras.Model) -> dict[str, Stored]:
    """The layers that hold a range, by the name of the tensor in the TFLite file, in the order of the computation."""
    return {layer.name: layer for layer in twin.layers if isinstance(layer, Stored)}


def take_ranges(twin: keras.Model, ranges: Mapping[str, Range]) -> None:
    """Gives the twin those that `learned_ranges` returned.

    Raises:
        KeyError: one is missing.
    """
    for name, holder in stored_tensors(twin).items():
        holder.start(ranges[name])


def learned_ranges(twin: keras.Model, spec: ModelSpec) -> Ranges:
    """The range of every activation of the TFLite file, pictures excepted."""
    ranges: Ranges = {}
    for name, holder in stored_tensors(twin).items():
        low, high = (float(end) for end in holder.ends())
        ranges[name] = low, high
    for layer in plan_layers(spec):
        if layer.name not in ranges:
            # It only picks or orders values.
            ranges[layer.name] = ranges[layer.inputs[0]]
    return ranges
