"""`build(spec) -> keras.Model`, and the same network with batch normalization folded into the convolutions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from models.blocks import INPUT, Layer, is_normalized, plan_layers
from models.spec import ModelSpec

BATCH_NORM_EPSILON = 1e-3
"""As in the authors' release and in keras.applications; part of the function, so it must not change."""
BATCH_NORM_MOMENTUM = 0.9
"""Only training sees it: low enough for the statistics to follow a change of picture size within an epoch."""


def build(spec: ModelSpec, *, resolution_px: int | None = None, batch_norm: bool = True) -> keras.Model:
    """Network that maps float32 pictures `[N, H, W, 3]`, normalised by `spec.preprocessing`, to logits `[N, classes]`.

    Args:
        spec: The network.
        resolution_px: Side of the input instead of the spec's; 0 leaves it open, for training at several sizes. A
            network that flattens its last feature map has one size only, which 0 means there.
        batch_norm: False builds the twin for `fold_batch_norm`, whose convolutions carry a bias instead.
    """
    side = spec.resolution_px if resolution_px is None else resolution_px or None
    if side is None and spec.pooling == "flatten":
        side = spec.resolution_px
    tensors = {INPUT: keras.Input((side, side, 3), name=INPUT)}
    plan = plan_layers(spec)
    normalized, gated = is_normalized(plan), any(layer.kind == "multiply" for layer in plan)
    for layer in plan:
        x = [tensors[name] for name in layer.inputs]
        if layer.name == "classifier":
            x = [layers.Dropout(spec.dropout, name="classifier_dropout")(x[0])]
        y = _operation(layer, batch_norm, _initial_spread(layer, normalized, gated))(x if len(x) > 1 else x[0])
        if batch_norm and layer.shift == "norm":
            norm = layers.BatchNormalization(
                momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=f"{layer.name}_norm"
            )
            y = norm(y)
        tensors[layer.name] = _activate(y, layer, batch_norm)
    return keras.Model(tensors[INPUT], tensors[layer.name], name=spec.name.replace(".", "_"))


def _initial_spread(layer: Layer, normalized: bool, gated: bool) -> dict[str, Any]:
    """How random kernels begin, where not as Keras has it: such that values keep their size from layer to layer.

    Keras takes a depthwise kernel for one over all channels and makes its values smaller by their root. Behind batch
    normalization V1 and V2 learn the faster for it; V3, with its gates, stayed at chance on `shapes`. Where no
    normalization follows, He's spread (arXiv:1502.01852) makes up for the half that a ReLU cuts off.
    """
    if layer.kind == "depthwise" and (gated or not normalized):
        return {"depthwise_initializer": keras.initializers.VarianceScaling(scale=layer.channels, mode="fan_in")}
    if layer.kind == "conv" and not normalized:
        return {"kernel_initializer": keras.initializers.HeNormal()}
    return {}


def _operation(layer: Layer, batch_norm: bool, initial: dict[str, Any]) -> keras.Layer:
    common: dict[str, Any] = {"name": layer.name, **initial}
    match layer.kind:
        case "add":
            return layers.Add(**common)
        case "multiply":
            return layers.Multiply(**common)
        case "squeeze":
            return layers.GlobalAveragePooling2D(keepdims=True, **common)
        case "pool":
            return layers.GlobalAveragePooling2D(**common)
        case "max_pool":
            return layers.MaxPooling2D(layer.kernel, **common)
        case "flatten":
            return layers.Flatten(**common)
    common["use_bias"] = layer.shift == "bias" or (layer.shift == "norm" and not batch_norm)
    if layer.kind == "dense":
        return layers.Dense(layer.channels, **common)
    common |= {"strides": layer.stride, "padding": "same"}
    if layer.kind == "depthwise":
        return layers.DepthwiseConv2D(layer.kernel, **common)
    return layers.Conv2D(layer.channels, layer.kernel, **common)


def _activate(y: keras.KerasTensor, layer: Layer, batch_norm: bool) -> keras.KerasTensor:
    name = f"{layer.name}_{layer.activation}"
    match layer.activation:
        case None:
            return y
        case "relu":
            return layers.ReLU(name=name)(y)
        case "relu6":
            return layers.ReLU(6.0, name=name)(y)
        case "hard_sigmoid" if not batch_norm:
            return layers.ReLU(6.0, name=name)(y)
    return layers.Activation(layer.activation, name=name)(y)


def fold_batch_norm(model: keras.Model, spec: ModelSpec) -> keras.Model:
    """The same function as `model` at inference, without batch normalization and without hard-sigmoids.

    Each kernel takes over its normalization: `w' = w * g`, `b' = beta - mean * g` with `g = gamma / sqrt(variance
    + epsilon)`, computed in float64 and rounded once, so that no converter has to find the pattern.

    A gate `hard_sigmoid(x) = relu6(x + 3) / 6` becomes a ReLU6, which runtimes fuse into the convolution: the 3 goes
    into its bias, and the sixth into the linear convolution that reads the gated channels.
    """
    folded = build(spec, batch_norm=False)
    plan = plan_layers(spec)
    gated = {layer.name for layer in plan if layer.kind == "multiply"}
    for layer in plan:
        if layer.kind not in ("conv", "depthwise", "dense"):
            continue
        kernel, *bias = (w.astype(np.float64) for w in model.get_layer(layer.name).get_weights())
        if layer.shift == "norm":
            norm = (w.astype(np.float64) for w in model.get_layer(f"{layer.name}_norm").get_weights())
            gamma, beta, mean, variance = norm
            gain = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
            # Depthwise kernels are [h, w, channels, 1], all others end with the output channels.
            kernel *= gain[:, None] if layer.kind == "depthwise" else gain
            bias = [beta - mean * gain]
        if layer.activation == "hard_sigmoid":
            bias[0] += 3
        if layer.inputs[0] in gated:
            kernel /= 6
        folded.get_layer(layer.name).set_weights([w.astype(np.float32) for w in (kernel, *bias)])
    return folded
