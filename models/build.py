"""`build(spec) -> keras.Model`, and the same network with batch normalization folded into the convolutions."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from models.blocks import INPUT, Layer, plan_layers
from models.spec import ModelSpec

BATCH_NORM_EPSILON = 1e-3
"""As in the authors' release and in keras.applications; part of the function, so it must not change."""
BATCH_NORM_MOMENTUM = 0.9
"""Only training sees it: low enough for the statistics to follow a change of picture size within an epoch."""


def build(spec: ModelSpec, *, resolution_px: int | None = None, batch_norm: bool = True) -> keras.Model:
    """Network that maps float32 pictures `[N, H, W, 3]`, normalised by `spec.preprocessing`, to logits `[N, classes]`.

    Args:
        spec: The network.
        resolution_px: Side of the input instead of the spec's; 0 leaves it open, for training at several sizes.
        batch_norm: False builds the folded twin, whose convolutions carry a bias instead.
    """
    side = spec.resolution_px if resolution_px is None else resolution_px or None
    tensors = {INPUT: keras.Input((side, side, 3), name=INPUT)}
    for layer in plan_layers(spec):
        x = [tensors[name] for name in layer.inputs]
        tensors[layer.name] = _apply(layer, x, spec.dropout, batch_norm)
    return keras.Model(tensors[INPUT], tensors[layer.name], name=spec.name.replace(".", "_"))


def _apply(layer: Layer, x: list[keras.KerasTensor], dropout: float, batch_norm: bool) -> keras.KerasTensor:
    match layer.kind:
        case "add":
            return layers.Add(name=layer.name)(x)
        case "pool":
            return layers.GlobalAveragePooling2D(name=layer.name)(x[0])
        case "dense":
            y = layers.Dropout(dropout, name=f"{layer.name}_dropout")(x[0])
            return layers.Dense(layer.channels, name=layer.name)(y)
    common = {"strides": layer.stride, "padding": "same", "use_bias": not batch_norm, "name": layer.name}
    if layer.kind == "depthwise":
        y = layers.DepthwiseConv2D(layer.kernel, **common)(x[0])
    else:
        y = layers.Conv2D(layer.channels, layer.kernel, **common)(x[0])
    if batch_norm:
        y = layers.BatchNormalization(
            momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=f"{layer.name}_norm"
        )(y)
    if layer.activation == "relu6":
        y = layers.ReLU(6.0, name=f"{layer.name}_relu6")(y)
    return y


def fold_batch_norm(model: keras.Model, spec: ModelSpec) -> keras.Model:
    """The same function as `model` at inference, without batch normalization.

    Each convolution takes over its normalization: `w' = w * g`, `b' = beta - mean * g` with `g = gamma / sqrt(variance
    + epsilon)`, computed in float64 and rounded once, so that no converter has to find the pattern.
    """
    folded = build(spec, batch_norm=False)
    for layer in plan_layers(spec):
        if layer.kind == "dense":
            folded.get_layer(layer.name).set_weights(model.get_layer(layer.name).get_weights())
        if layer.kind not in ("conv", "depthwise"):
            continue
        (kernel,) = (w.astype(np.float64) for w in model.get_layer(layer.name).get_weights())
        norm = (w.astype(np.float64) for w in model.get_layer(f"{layer.name}_norm").get_weights())
        gamma, beta, mean, variance = norm
        gain = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        # Depthwise kernels are [h, w, channels, 1], full ones [h, w, in, out].
        scale = gain[:, None] if layer.kind == "depthwise" else gain
        weights = [kernel * scale, beta - mean * gain]
        folded.get_layer(layer.name).set_weights([w.astype(np.float32) for w in weights])
    return folded
