"""The range of each activation, chosen from what was observed and from what the network's mathematics says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.quantization.halves import clear_of_halves, with_hard_swishes
from export.quantization.histogram import Histogram
from export.quantization.observe import Observations
from export.quantization.settings import QuantizationSettings, RangeMethod
from export.quantization.steps import LEVELS
from export.tflite_file import builtin_name, read_model

RANGE_FLOOR = 1e-4
"""Narrowest range of a tensor. Below 32767 * 6 / 2**31 = 9.2e-5 the builtin kernels cannot express ReLU6's limit in
steps of a 16-bit output scale (of an 8-bit one below 7e-7) and refuse the file. Behind a batch normalization, whose
outputs are of size 1, a tensor this narrow is constant for every purpose."""

Ranges = dict[str, tuple[float, float]]
"""Least and greatest value per tensor name."""

KEPT_SHARE = 0.9999
"""Of the values, that the percentile method keeps."""
NEAR = 0.9
"""An observed maximum from this share of ReLU6's bound on is taken for the bound: that costs a tenth of a step at most,
and pictures that go further than the representative ones are not cut off."""

_SHRINKS = np.concatenate([np.linspace(1, 0.5, 51), np.linspace(0.48, 0.1, 20), 0.1 * 0.85 ** np.arange(1, 31)])
"""Shares of the extremes that the searching methods try for either end, down to one in 1300."""

Interval = tuple[float, float]


def file_ranges(tflite: bytes, observations: Observations, settings: QuantizationSettings) -> Ranges:
    """The range of every observed tensor of a float TFLite file.

    Extremes, where they are asked for, are taken as they are, which is what converters do.

    Args:
        tflite: The file.
        observations: Of its activations.
        settings: The method, and whether exact bounds count.
    """
    chosen = with_hard_swishes(tflite, choose_ranges(observations, exact_bounds(tflite), settings))
    return chosen if settings.ranges == "min-max" else clear_of_halves(tflite, chosen, observations)


def choose_ranges(observations: Observations, bounds: Ranges, settings: QuantizationSettings) -> Ranges:
    """A range for every observed tensor, with zero in it, as integer arithmetic needs it.

    Args:
        observations: Of every activation.
        bounds: Those of `exact_bounds`.
        settings: The method, and whether the bounds count.
    """
    method, ranges = _METHODS[settings.ranges], {}
    for name, observed in observations.items():
        low, high = min(observed.least, 0.0), max(observed.greatest, 0.0)
        if high - low > RANGE_FLOOR:
            low, high = method(observed.histogram, (low, high))
        if settings.exact and name in bounds:
            low, high = _bounded((low, high), bounds[name])
        ranges[name] = (low, max(high, low + RANGE_FLOOR))
    return ranges


def _bounded(chosen: Interval, bound: Interval) -> Interval:
    return (bound[0], bound[1] if chosen[1] >= NEAR * bound[1] else chosen[1])


def exact_bounds(tflite: bytes) -> Ranges:
    """Between which values a tensor stays whatever the picture, for those of which the operator tells."""
    model = read_model(tflite)
    graph, bounds = model.subgraphs[0], {}
    for operator in graph.operators:
        name, output = builtin_name(model.operatorCodes[operator.opcodeIndex]), operator.outputs[0]
        fused = getattr(operator.builtinOptions, "fusedActivationFunction", None)
        if name in ("SOFTMAX", "LOGISTIC"):
            bounds[output] = (0.0, 1.0)
        elif name == "RELU6" or fused == schema.ActivationFunctionType.RELU6:
            bounds[output] = (0.0, 6.0)
    return {graph.tensors[index].name.decode(): bound for index, bound in bounds.items()}


def _min_max(_: Histogram, extremes: Interval) -> Interval:
    return extremes


def _percentile(seen: Histogram, extremes: Interval) -> Interval:
    """Without the same share of the values at either end."""
    reached = np.cumsum(seen.counts) / seen.counts.sum()
    cut = (1 - KEPT_SHARE) / 2
    low, high = (float(seen.values[np.searchsorted(reached, share)]) for share in (cut, 1 - cut))
    return _within((low, high), extremes)


def _mse(seen: Histogram, extremes: Interval) -> Interval:
    """With the least mean squared error of 8 bits: what is cut off, and a twelfth of a squared step for all else.

    Pictures much louder than most count by their own power, so that a few of them do not decide for all. Zero is always
    stored exactly, so that the zeros behind a ReLU have no part in it.
    """
    lows, highs = (extreme * _SHRINKS for extreme in extremes)
    weights = np.where(seen.values == 0, 0.0, seen.weights)
    cut_low, kept_low = _cut_off(-seen.values[::-1], weights[::-1], -lows)
    cut_high, kept_high = _cut_off(seen.values, weights, highs)
    kept = kept_low[:, None] + kept_high - weights.sum()
    steps = (highs - lows[:, None]) / (LEVELS - 1)
    error = cut_low[:, None] + cut_high + kept * steps**2 / 12
    row, column = np.unravel_index(np.argmin(error), error.shape)
    return float(lows[row]), float(highs[column])


def _cut_off(
    values: NDArray[np.float64], weights: NDArray[np.float64], limits: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared error of cutting ascending values at each limit, and the weight of what is not cut."""
    sums = [np.concatenate([[0.0], np.cumsum(weights * values**power)]) for power in range(3)]
    split = np.searchsorted(values, limits, side="right")
    above = [total[-1] - total[split] for total in sums]
    return above[2] - 2 * limits * above[1] + limits**2 * above[0], sums[0][split]


def _entropy(seen: Histogram, extremes: Interval) -> Interval:
    """With the least Kullback-Leibler divergence of what 256 levels can tell from the values cut off at its ends.

    After Migacz, "8-bit Inference with TensorRT", GPU Technology Conference 2017; both ends shrink alike.
    """
    best, chosen = np.inf, extremes
    used = seen.values != 0
    values, counts = seen.values[used], seen.counts[used].astype(np.float64)
    for share in _SHRINKS:
        low, high = extremes[0] * share, extremes[1] * share
        inside = (values >= low) & (values <= high)
        if not inside.any():
            break
        within, truth = values[inside], counts[inside].copy()
        truth[0] += counts[values < low].sum()
        truth[-1] += counts[values > high].sum()
        level = np.round((within - low) / (high - low) * (LEVELS - 1)).astype(np.int64)
        # What a level holds is spread evenly over it: a bin is as wide as its values are great.
        width = np.abs(within)
        told = (np.bincount(level, counts[inside]) / np.maximum(np.bincount(level, width), 1e-30))[level] * width
        told *= truth.sum() / told.sum()
        divergence = float(np.sum(truth * np.log(truth / told)) / truth.sum())
        if divergence < best:
            best, chosen = divergence, (float(low), float(high))
    return chosen


def _within(chosen: Interval, extremes: Interval) -> Interval:
    return (min(max(chosen[0], extremes[0]), 0.0), max(min(chosen[1], extremes[1]), 0.0))


_METHODS: Mapping[RangeMethod, Callable[[Histogram, Interval], Interval]] = MappingProxyType(
    {"min-max": _min_max, "percentile": _percentile, "mse": _mse, "entropy": _entropy}
)


def as_statistics(ranges: Ranges, tflite: bytes) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The ranges in litert-quantizer's form: arrays with one element and the tensor's rank."""
    ranks = {t.name.decode(): len(t.shape) for t in read_model(tflite).subgraphs[0].tensors if t.shape is not None}
    return {
        name: {key: np.full((1,) * ranks[name], value, np.float32) for key, value in (("min", low), ("max", high))}
        for name, (low, high) in ranges.items()
    }
