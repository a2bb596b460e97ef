"""Ranges under which the sums, means and hard-swishes of int8 tensors keep clear of halves: runtimes round them alike.

What such an operator computes is a function of one or two stored integers, or of the sum of many. Where its exact value
lies half way between two steps, or nearly, one runtime rounds it up and another down: LiteRT's hard-swish
works in 16 bits and errs by a hundredth of a step, ONNX Runtime's sums and means work in float32 and err by a hundred
thousandth. A range a little wider moves the values off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from export.quantization.histogram import Histogram
from export.quantization.observe import Observations
from export.quantization.steps import LEVELS, scale_and_zero_point
from export.tflite_file import builtin_name, read_model

Interval = tuple[float, float]
Levels = NDArray[np.float64]

_KINDS = ("ADD", "HARD_SWISH", "MEAN")
_NEAR = 3e-5
"""So near to a half, in steps, that float32 may round another way."""
_WIDER = 1 + np.arange(129) / 4096
"""What ranges are tried to be multiplied by: 3 % cost 0.3 dB of that tensor's own rounding at most."""
_NARROWER = 127
"""So many times may a hard-swish's output range be narrower than its input's: LiteRT's kernel refuses 128."""
_MOST_MEANT = 4096
"""Means of more values than these come everywhere between two steps: no range is clear of halves."""
_SELDOM = 1e-7
"""Of the values; no need to look for a range that is clearer still."""


def clear_of_halves(tflite: bytes, ranges: Mapping[str, Interval], observations: Observations) -> dict[str, Interval]:
    """The ranges, a little wider where that keeps sums, means and hard-swishes that are often computed off halves.

    Args:
        tflite: The float32 file.
        ranges: Of all activations.
        observations: The same tensors'; what is not among them is left alone.
    """
    model, found = read_model(tflite), dict(ranges)
    graph = model.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    for operator in graph.operators:
        kind = builtin_name(model.operatorCodes[operator.opcodeIndex])
        if kind not in _KINDS:
            continue
        # A mean's second input are its axes.
        indices = operator.inputs[:1] if kind == "MEAN" else operator.inputs
        output, sources = names[operator.outputs[0]], [names[index] for index in indices]
        if not all(name in observations for name in (output, *sources)):
            continue
        given = [(found[name], observations[name].histogram) for name in sources]
        if kind == "HARD_SWISH":
            share = _apart_in_hard_swish(*given[0])
        elif kind == "ADD":
            share = _apart_in_sum(*given)
        else:
            meant, made = (int(np.prod(graph.tensors[index].shape)) for index in (indices[0], operator.outputs[0]))
            if meant // made > _MOST_MEANT:
                continue
            share = _apart_in_mean(found[sources[0]], meant // made, observations[output].histogram)
        found[output] = _clearest(found[output], share)
    return found


def with_hard_swishes(tflite: bytes, ranges: Mapping[str, Interval]) -> dict[str, Interval]:
    """The ranges, those of hard-swishes so wide that LiteRT's kernel computes them.

    Only an output that is next to nothing beside its input is made wider, such as one that is always zero.

    Args:
        tflite: The float32 file.
        ranges: Of all activations.
    """
    model, found = read_model(tflite), dict(ranges)
    graph = model.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    for operator in graph.operators:
        source, output = names[operator.inputs[0]], names[operator.outputs[0]]
        if builtin_name(model.operatorCodes[operator.opcodeIndex]) == "HARD_SWISH" and source in found:
            low, high = found[output]
            given = found[source][1] - found[source][0]
            found[output] = low, max(high, low + given / _NARROWER)
    return found


def _clearest(interval: Interval, share: Callable[[Interval], float]) -> Interval:
    """The range, as little wider as will do."""
    best, least = interval, math.inf
    for wider in _WIDER.tolist():
        tried = (interval[0] * wider, interval[1] * wider)
        if (found := share(tried)) < least:
            best, least = tried, found
        if least < _SELDOM:
            break
    return best


def stored_levels(interval: Interval, seen: Histogram) -> tuple[Levels, Levels]:
    """The numbers that 8 bits tell apart in a range, ascending, and how large a share of what was seen is each."""
    scale, zero_point = _steps(interval)
    levels = np.arange(LEVELS)
    nearest = np.clip(np.rint(seen.values / scale) + zero_point, 0, LEVELS - 1).astype(np.int64)
    shares = np.bincount(nearest, seen.counts, minlength=LEVELS)
    # Bins are wider than the steps of great values, which fall between them.
    smooth = np.maximum(shares, np.convolve(shares, np.full(5, 0.2), mode="same"))
    return np.asarray((levels - zero_point) * scale), np.asarray(smooth / smooth.sum())


def _steps(interval: Interval) -> tuple[float, int]:
    """The scale, and which of the levels is zero."""
    scale, zero_point = scale_and_zero_point(*interval)
    return float(scale), int(zero_point) + LEVELS // 2


def _share_near(steps: Levels, shares: Levels) -> float:
    return float(shares[np.abs(steps - np.floor(steps) - 0.5) < _NEAR].sum())


def _apart_in_sum(*given: tuple[Interval, Histogram]) -> Callable[[Interval], float]:
    """Which share of the sums is near a half, by the output's range, as if one source knew nothing of the other."""
    (one, often), (other, other_often) = (stored_levels(*source) for source in given)
    values, shares = np.add.outer(one, other).ravel(), np.multiply.outer(often, other_often).ravel()
    values, shares = values[shares > 0], shares[shares > 0]
    return lambda interval: _share_near(values / _steps(interval)[0], shares)


def _apart_in_mean(interval: Interval, meant: int, seen: Histogram) -> Callable[[Interval], float]:
    """Which share of the means is near a half, by the output's range.

    Args:
        interval: Of the input.
        meant: How many values a mean is of.
        seen: Of the means.
    """
    # Means are whole multiples of this.
    part = _steps(interval)[0] / meant
    numbers = np.arange(np.floor(seen.values[0] / part), np.ceil(seen.values[-1] / part) + 1)
    reached = np.interp((np.append(numbers, numbers[-1] + 1) - 0.5) * part, seen.values, np.cumsum(seen.counts))
    shares = np.diff(reached) / max(reached[-1] - reached[0], 1)
    return lambda output: _share_near(numbers * part / _steps(output)[0], shares)


def _apart_in_hard_swish(interval: Interval, seen: Histogram) -> Callable[[Interval], float]:
    """Which share of the values LiteRT rounds another way than exact arithmetic does, by the output's range."""
    values, shares = stored_levels(interval, seen)
    scale, _ = _steps(interval)
    numbers, exact = np.rint(values / scale).astype(np.int64), values * np.clip(values + 3, 0, 6) / 6

    def share(output: Interval) -> float:
        steps = exact / _steps(output)[0]
        apart = litert_hard_swish(numbers, scale, _steps(output)[0]) != np.rint(steps)
        return float(shares[apart].sum()) + _share_near(steps, shares)

    return share


def litert_hard_swish(numbers: NDArray[np.int64], scale: float, output_scale: float) -> NDArray[np.int64]:
    """Hard-swish as LiteRT's int8 kernels compute it, in steps of the output, before its zero point and its limits.

    Args:
        numbers: What is stored less the zero point.
        scale: Of a step of the input.
        output_scale: Of a step of the output.
    """
    fine = numbers << 7
    factor, shift = _multiplier(scale / 128 / output_scale)
    gate_factor, gate_shift = _multiplier(scale / 128 * 32768 / 3)
    gate = fine
    if gate_shift > 0:
        gate = _limited(_limited(_limited(gate << (gate_shift - 1)) * gate_factor, rounded=True) << 1)
    else:
        gate = _halved(_limited(gate * gate_factor, rounded=True), -gate_shift)
    product = ((gate + 32768) >> 1) * _limited(fine * factor, rounded=True)
    return _halved(np.sign(product) * (np.abs(product) >> 15), -shift)


def _multiplier(value: float) -> tuple[int, int]:
    """A factor as 15 bits and a power of two."""
    fraction, exponent = math.frexp(value)
    return min(round(fraction * 32768), 32767), exponent


def _limited(values: NDArray[np.int64], *, rounded: bool = False) -> NDArray[np.int64]:
    """Within 16 bits; of products the upper half, rounded, halves up."""
    if rounded:
        values = (values + (1 << 14)) >> 15
    return np.asarray(np.clip(values, -32768, 32767))


def _halved(values: NDArray[np.int64], times: int) -> NDArray[np.int64]:
    """Divided by a power of two, halves away from zero."""
    return values if times <= 0 else np.sign(values) * ((np.abs(values) + (1 << (times - 1))) >> times)
