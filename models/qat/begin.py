"""The ranges that quantization-aware training begins with. Imports Keras."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.blocks import plan_layers
from models.build import fold_batch_norm
from models.data import Pixels, normalise
from models.qat.layers import Range
from models.qat.network import Ranges, stored_tensors
from models.spec import ModelSpec
from models.worker import Progress, Report

STAGE = "first ranges"
IMAGES = 128
"""Training pictures that are looked at, if there are so many."""
BATCH = 8
SAMPLE = 2048
"""Values of each tensor and picture that are looked at, about."""
FLOOR = 1e-4
"""Narrowest range, as that of exported files."""
STEPS = 255
_SHARES = np.linspace(0.1, 1.0, 46)
"""Of the extremes, that are tried for either end."""


def begin_ranges(
    twin: keras.Model,
    model: keras.Model,
    spec: ModelSpec,
    pixels: Pixels,
    report: Report,
    choose: Callable[[NDArray[Any]], Range] | None = None,
) -> Ranges:
    """Gives every tensor of the twin the range that suits the float network best, and returns these.

    Args:
        twin: Of `build_twin`.
        model: The float network that it is the twin of, by `build`.
        spec: The network.
        pixels: Training pictures, uint8 `[N, H, W, 3]`.
        report: Receives the progress.
        choose: The range of values, float32 `[N]`; `least_error` if not given.
    """
    choose, held = choose or least_error, stored_tensors(twin)
    seen: dict[str, list[NDArray[np.float32]]] = {name: [] for name in held}
    probe = _probe(fold_batch_norm(model, spec), spec)
    for start in range(0, len(pixels), BATCH):
        part = pixels[start : start + BATCH]
        for name, values in zip(held, probe(normalise(part, spec.preprocessing)), strict=True):
            seen[name].append(_sample(np.asarray(values)))
        report(Progress(stage=STAGE, done=start + len(part), total=len(pixels)))
    ranges: Ranges = {}
    for name, layer in held.items():
        low, high = choose(np.concatenate(seen.pop(name)))
        ranges[name] = low, max(high, low + FLOOR)
        layer.start(ranges[name])
    return ranges


def _probe(folded: keras.Model, spec: ModelSpec) -> Callable[[Any], Any]:
    """What gives every tensor that the twin stores, in its order."""
    outputs = []
    for layer in plan_layers(spec):
        if layer.kind in ("max_pool", "flatten"):
            continue
        fused = layer.activation not in (None, "hard_swish")
        outputs.append(folded.get_layer(f"{layer.name}_{layer.activation}" if fused else layer.name).output)
        if layer.activation == "hard_swish":
            outputs.append(folded.get_layer(f"{layer.name}_hard_swish").output)
    probe = keras.Model(folded.input, outputs)
    # For some sixteen batches, tracing would take longer than it saves.
    return partial(probe, training=False)


def _sample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Some values of each picture, the same in every run, the extremes among them; `[N]`."""
    flat = values.reshape(-1)
    step = max(1, flat.size // (SAMPLE * len(values)))
    # A step without a divisor in common with the number of channels, or most of these would never be seen.
    while np.gcd(step, values.shape[-1]) > 1:
        step += 1
    return np.concatenate([flat[::step], [flat.min(), flat.max()]])


def least_error(values: NDArray[Any]) -> Range:
    """The range, with zero in it, under which 8 bits have the least mean squared error.

    It is what is cut off, and a twelfth of a squared step for every value that is rounded, which zeros are not.
    """
    values = values[values != 0].astype(np.float64)
    if not values.size:
        return 0.0, 0.0
    lows, highs = min(values.min(), 0.0) * _SHARES, max(values.max(), 0.0) * _SHARES
    below = [np.square(np.minimum(values - low, 0)).mean() for low in (lows if lows[-1] else lows[-1:])]
    above = [np.square(np.maximum(values - high, 0)).mean() for high in (highs if highs[-1] else highs[-1:])]
    lows, highs = lows[-len(below) :], highs[-len(above) :]
    steps = (highs - lows[:, None]) / STEPS
    row, column = np.unravel_index(np.argmin(np.add.outer(below, above) + steps**2 / 12), steps.shape)
    return float(lows[row]), float(highs[column])
