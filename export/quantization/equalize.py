"""Cross-layer equalization: channels rescaled between layers, so that one scale per tensor serves them all alike.

A channel may be divided by any number where it is made, and multiplied by it where it is read, as long as everything
between is linear or a ReLU (Nagel et al., arXiv:1906.04721). The kernels here have a scale per output channel, which
follows such a factor; what suffers from unlike channels is the one scale of an activation, and that of a reading kernel
over its inputs. The factors share the burden between those two (Xiao et al., arXiv:2211.10438). They are steps of a
quarter octave, which moves a float network's output by its own rounding, 1e-6 of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.blocks import Layer

LARGEST_FACTOR = 2.0**8
STEPS_PER_OCTAVE = 4
"""Of factors. Whole octaves waste up to half of what the reserve below leaves."""
CLIP = 6.0
CLIP_MARGIN = 3.0
"""A channel whose ReLU6 never cut anything off may be rescaled as long as this many times its observed maximum still
passes, before and after; any other stays as it is. 1 channel in 2000 reaches more on other pictures; 1 in 25 reached
more than 1.5 times, which was the reserve before, and the float outputs of a stress twin moved by 2 %."""

_KERNELS = ("conv", "depthwise", "dense")
_SHARING = ("add", "pool", "squeeze", "max_pool")
"""Their output has the factors of all their inputs."""

Weights = dict[str, list[NDArray[np.float32]]]
"""Kernel and, unless there is none, bias of every layer that has a kernel, as Keras shapes them."""
Channels = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tensors that must be rescaled alike, `[..., channels]`, because additions and averages join them."""

    tensors: tuple[str, ...]
    """Names of the layers whose outputs they are."""
    producers: tuple[Layer, ...]
    readers: tuple[Layer, ...]

    @property
    def clipped(self) -> tuple[str, ...]:
        """The tensors that a ReLU6 limits."""
        return tuple(layer.name for layer in self.producers if layer.activation == "relu6")


def find_groups(plan: Sequence[Layer]) -> tuple[Group, ...]:
    """All groups of a network's tensors that may be rescaled."""
    joined = {name: {name} for layer in plan for name in (layer.name, *layer.inputs)}
    for layer in plan:
        # A product has the factors of its first input; the gate's group is none, as its activation does not allow it.
        shared = layer.inputs if layer.kind in _SHARING else layer.inputs[:1] if layer.kind == "multiply" else ()
        for name in shared:
            union = joined[name] | joined[layer.name]
            joined.update(dict.fromkeys(union, union))
    layers, found = {layer.name: layer for layer in plan}, []
    for names in {id(names): names for names in joined.values()}.values():
        readers = tuple(layer for layer in plan if layer.kind in _KERNELS and layer.inputs[0] in names)
        if readers and all(name in layers and _may_scale(layers[name], names, plan) for name in names):
            producers = tuple(layer for layer in plan if layer.kind in _KERNELS and layer.name in names)
            tensors = tuple(layer.name for layer in plan if layer.name in names)
            found.append(Group(tensors=tensors, producers=producers, readers=readers))
    return tuple(found)


def _may_scale(layer: Layer, names: set[str], plan: Sequence[Layer]) -> bool:
    """Whether what makes a tensor lets factors through, and everything that reads it takes them or hands them on."""
    reading = [other for other in plan if layer.name in other.inputs]
    return (
        layer.kind != "flatten"
        and layer.activation in (None, "relu", "relu6")
        and bool(reading)
        and all(other.kind in _KERNELS or other.name in names for other in reading)
        and not any(other.kind == "multiply" and other.inputs[1] == layer.name for other in reading)
    )


def equalizing_factors(group: Group, weights: Weights, greatest: Mapping[str, Channels]) -> Channels:
    """By what to divide each channel of a group where it is made: quarter octaves, 1 where nothing can be gained.

    Args:
        group: Of the network's tensors.
        weights: Of all layers.
        greatest: Greatest absolute value of each channel over the representative data set, by tensor.
    """
    activation = np.max([greatest[name] for name in group.tensors], axis=0)
    alive = activation > 0
    share = np.where(alive, activation, 1.0) / max(float(activation.max()), np.finfo(np.float32).tiny)
    read = [_share_of_inputs(weights[layer.name][0]) for layer in group.readers if layer.kind != "depthwise"]
    # A depthwise kernel has a scale for each channel and bears no burden.
    wanted = np.sqrt(share / np.maximum(np.max(read, axis=0), 1e-6)) if read else share
    held = alive & ~scalable(group, greatest, np.ones_like(wanted), CLIP_MARGIN)
    if held.any():
        # They stay as they are, so that all others are made like them, not like what they would have become.
        wanted = wanted / np.exp(np.mean(np.log(wanted[held])))
    wanted = np.clip(wanted, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    factors = 2.0 ** (np.round(STEPS_PER_OCTAVE * np.log2(wanted)) / STEPS_PER_OCTAVE)
    factors = np.maximum(factors, _least_factors(group, greatest))
    return np.where(alive & scalable(group, greatest, factors, CLIP_MARGIN), factors, 1.0)


def _least_factors(group: Group, greatest: Mapping[str, Channels]) -> Channels:
    """The smallest factor up to 1 by which a ReLU6 lets each channel be divided."""
    largest = np.max([greatest[name] for name in group.clipped or group.tensors], axis=0)
    limit = CLIP_MARGIN * largest / CLIP if group.clipped else np.zeros_like(largest)
    steps = np.ceil(STEPS_PER_OCTAVE * np.log2(np.clip(limit, 1 / LARGEST_FACTOR, 1.0)))
    return np.asarray(2.0 ** (steps / STEPS_PER_OCTAVE))


def _share_of_inputs(kernel: NDArray[np.float32]) -> Channels:
    """Of each input channel `[in]`, the greatest weight in terms of the greatest of its output channel: 0 to 1."""
    rows = np.abs(kernel.astype(np.float64)).reshape(-1, *kernel.shape[-2:]).max(axis=0)
    shares: Channels = (rows / np.maximum(rows.max(axis=0), np.finfo(np.float32).tiny)).max(axis=1)
    return shares


def scalable(group: Group, greatest: Mapping[str, Channels], factors: Channels, margin: float) -> NDArray[np.bool_]:
    """Which channels a ReLU6 leaves the same under these factors, and would with values so many times as great."""
    passing = np.ones(len(factors), bool)
    for name in group.clipped:
        # A factor that is the very limit passes, however it was rounded.
        passing &= margin * greatest[name] <= CLIP * np.minimum(1, factors) * (1 + 1e-9)
    return passing


def expected_gain_db(
    group: Group,
    weights: Weights,
    greatest: Mapping[str, Channels],
    squares: Mapping[str, Channels],
    factors: Channels,
) -> float:
    """By how much these factors raise the SQNR of what reads the group, the mean over all output channels.

    Two things err: the group's activations, in steps of a 255th of their greatest value, and the kernels that read
    them, in steps of a 127th of each output channel's greatest weight. Either error is even over a step.

    Args:
        group: Of the network's tensors.
        weights: Of all layers.
        greatest: Greatest absolute value of each channel over the representative data set, by tensor.
        squares: Mean square of each channel over it, by tensor.
        factors: By what to divide each channel.
    """
    before, after = (_sqnr_db(group, weights, greatest, squares, f) for f in (np.ones_like(factors), factors))
    return after - before


def _sqnr_db(
    group: Group,
    weights: Weights,
    greatest: Mapping[str, Channels],
    squares: Mapping[str, Channels],
    factors: Channels,
) -> float:
    """Of the outputs of the kernels that read the group's tensors, each read as the one that is like it."""
    found = []
    for layer in group.readers:
        name = layer.inputs[0]
        step = float((greatest[name] / factors).max()) / 255
        power, kernel = squares[name] / factors**2, weights[layer.name][0].astype(np.float64)
        # To [positions, inputs, outputs]; a depthwise kernel has one input for each output.
        depthwise = layer.kind == "depthwise"
        rows = kernel.reshape(-1, *kernel.shape[-2:]) * factors[:, None]
        rows, signal = (rows[..., 0], power) if depthwise else (rows, power[:, None])
        axes = (0,) if depthwise else (0, 1)
        weight_step = np.abs(rows).max(axis=axes) / 127
        useful = np.sum(rows**2 * signal, axis=axes)
        positions = len(rows)
        reading = positions * power if depthwise else positions * power.sum()
        error = np.sum(rows**2, axis=axes) * step**2 / 12 + reading * weight_step**2 / 12
        alive = useful > 0
        found += list(10 * np.log10(useful[alive] / error[alive]))
    return float(np.mean(found)) if found else 0.0


def rescale(group: Group, weights: Weights, factors: Channels) -> None:
    """Divides the channels of a group where they are made, and multiplies them where they are read."""
    for layer in group.producers:
        kernel, *bias = weights[layer.name]
        divisor = factors[:, None] if layer.kind == "depthwise" else factors
        weights[layer.name] = [(kernel / divisor).astype(np.float32), *((b / factors).astype(np.float32) for b in bias)]
    for layer in group.readers:
        kernel, *bias = weights[layer.name]
        # Depthwise kernels are [h, w, in, 1], full ones [h, w, in, out], dense ones [in, out].
        weights[layer.name] = [(kernel * factors[:, None]).astype(np.float32), *bias]
