"""Rounding of kernels: each weight goes up or down so that its layer's output errs least, not the weight itself.

The error of an output is the sum of the weights' errors times the inputs. Its mean square over the representative data
set follows from the second moments of the inputs alone, d'Hd for errors d and moments H, the same for every output
channel. Weights are rounded one after the other, what each errs is made up for by those to come (Frantar et al.,
arXiv:2210.17323), and then moved by whole steps, one at a time, as long as any move helps. The mean of the error is
left to the bias where biases are corrected. The greatest weight of a channel stays, and with it the scale.
"""

from __future__ import annotations

from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.quantization.kernels import LEVEL, Kernels, kernel_steps
from export.quantization.layers import KernelLayer, kernel_layers
from export.quantization.observe import Activations
from export.quantization.pictures import some_pictures
from export.tflite_file import read_model
from models.data import Pixels, normalise
from models.spec import Preprocessing
from models.worker import Progress, Report

STAGE = "round kernels"
IMAGES = 64
"""Of the representative data set, at most."""

POSITIONS = 128
"""Of each picture, about; neighbours resemble each other."""

LARGEST_INPUTS = 2304
"""Of a layer, positions of the kernel included, 256 channels at 3x3; beyond, weights are rounded to the nearest."""
SWEEPS = 8
"""Over all weights of a layer, at most; later ones move next to nothing."""

Moments = NDArray[np.float64]
"""`[channels, inputs, inputs]`: one matrix for all output channels, or one for each of a depthwise layer."""


def round_kernels(
    tflite: bytes,
    pixels: Pixels,
    preprocessing: Preprocessing,
    report: Report,
    *,
    centred: bool,
    per_tensor: bool = False,
) -> Kernels:
    """Every kernel of a float TFLite file with weights of whole steps, the same in any order of the pictures.

    Args:
        tflite: The float32 file, with batch 1.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        report: Receives the progress.
        centred: Biases take the mean of the error, so that only what varies around it counts.
        per_tensor: A kernel has one step instead of one per output channel.
    """
    model = read_model(tflite)
    layers = [_Moments(layer) for layer in kernel_layers(model) if _inputs(layer) <= LARGEST_INPUTS]
    graph, activations = model.subgraphs[0], Activations(tflite, preprocessing)
    image_name = graph.tensors[graph.inputs[0]].name.decode()
    chosen = some_pictures(pixels, IMAGES)
    for number, image in enumerate(chosen):
        known = dict(zip(activations.names, activations.compute(image), strict=True))
        known[image_name] = normalise(image[None], preprocessing)
        for layer in layers:
            layer.add(known[layer.of.source])
        del known
        report(Progress(stage=STAGE, done=number + 1, total=len(chosen)))
    return {layer.of.name: layer.rounded(centred=centred, per_tensor=per_tensor) for layer in layers}


def _inputs(layer: KernelLayer) -> int:
    shape = layer.by_position(layer.kernel).shape
    return int(shape[0] if layer.depthwise else shape[0] * shape[1])


class _Moments:
    """One layer, with the first and second moments of what its kernel reads."""

    def __init__(self, of: KernelLayer) -> None:
        self.of, self.positions, self.images = of, 0, 0
        self.step = max(1, prod(of.output) // POSITIONS)
        # Without a common divisor with the width, or some columns would never be looked at.
        while gcd(self.step, of.output[1]) > 1:
            self.step += 1
        weights = of.by_position(of.kernel)
        matrices, inputs = (weights.shape[1], len(weights)) if of.depthwise else (1, weights[..., 0].size)
        self.first, self.second = np.zeros((matrices, inputs)), np.zeros((matrices, inputs, inputs))

    def add(self, values: NDArray[np.float32]) -> None:
        """Takes one picture's input of the layer into account."""
        reads = np.stack([rows[:: self.step] for rows in self.of.reads(values)])
        # To [matrices, outputs, inputs].
        rows = np.moveaxis(reads, (2, 1, 0), (0, 1, 2)) if self.of.depthwise else np.moveaxis(reads, 0, 1)[None]
        rows = np.ascontiguousarray(rows.reshape(*rows.shape[:2], -1))
        self.first += rows.sum(axis=1, dtype=np.float64)
        self.second += rows.transpose(0, 2, 1) @ rows
        self.positions += rows.shape[1]
        self.images += 1

    def rounded(self, *, centred: bool, per_tensor: bool) -> NDArray[np.float32]:
        """The kernel, of whole steps."""
        moments = self.second / self.positions
        if centred:
            mean = self.first / self.positions
            moments -= mean[:, :, None] * mean[:, None, :]
        weights = self.of.by_position(self.of.kernel)
        flat = weights.reshape(-1, weights.shape[-1])
        steps = kernel_steps(flat, per_tensor=per_tensor)
        levels = round_weights(flat / steps, trusted(moments, self.images, self.positions))
        return self.of.from_positions((levels * steps).reshape(weights.shape))


def trusted(moments: Moments, images: int, positions: int) -> Moments:
    """Moments with what few pictures cannot know taken back: products of different inputs, as more inputs are compared.

    Positions of one picture resemble each other, so that each picture counts as the root of their number.
    """
    inputs = moments.shape[-1]
    samples = images * np.sqrt(positions / images)
    kept: Moments = moments * (samples / (samples + inputs))
    diagonal = np.einsum("cii->ci", moments)
    # A constant input has no variance, but it must not be free to go anywhere either.
    floor = np.maximum(diagonal, 1e-3 * diagonal.mean(axis=1, keepdims=True) + 1e-12)
    np.einsum("cii->ci", kept)[...] = floor
    return kept


def round_weights(wanted: NDArray[np.float64], moments: Moments) -> NDArray[np.float64]:
    """Whole levels -127..127 for weights in steps, `[inputs, channels]`, with a small error of the output.

    Args:
        wanted: The weights in steps of their channel; those of 127 stay.
        moments: Second moments of the inputs, positive definite.
    """
    fixed = np.abs(wanted) > LEVEL - 1e-6
    levels = _one_after_the_other(wanted, moments, fixed)
    gradient = _times(moments, levels - wanted)
    for _ in range(SWEEPS):
        if not _sweep(levels, gradient, moments, fixed):
            break
    return levels


def _times(moments: Moments, errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moments times errors `[inputs, channels]`."""
    if len(moments) == 1:
        return np.asarray(moments[0] @ errors)
    return np.asarray(np.einsum("cij,jc->ic", moments, errors))


def _one_after_the_other(
    wanted: NDArray[np.float64], moments: Moments, fixed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Weights rounded in turn; the error of each is spread over those after it as the moments say."""
    inverse = np.linalg.inv(moments)
    factor = np.swapaxes(np.linalg.cholesky((inverse + np.swapaxes(inverse, 1, 2)) / 2), 1, 2)
    moved, levels = wanted.copy(), np.zeros_like(wanted)
    for row in range(len(wanted)):
        found = np.clip(np.round(moved[row]), -LEVEL, LEVEL)
        levels[row] = np.where(fixed[row], np.round(wanted[row]), found)
        error = (moved[row] - levels[row]) / factor[:, row, row]
        spread: Any = factor[0, row, row + 1 :, None] if len(factor) == 1 else factor[:, row, row + 1 :].T
        moved[row + 1 :] -= spread * error
    return levels


def _sweep(
    levels: NDArray[np.float64], gradient: NDArray[np.float64], moments: Moments, fixed: NDArray[np.bool_]
) -> bool:
    """Moves each weight to where its error is least given all others, in place; whether any moved."""
    any_moved = False
    for row in range(len(levels)):
        target = np.clip(levels[row] + np.round(-gradient[row] / moments[:, row, row]), -LEVEL, LEVEL)
        move = np.where(fixed[row], 0.0, target - levels[row])
        moving = np.flatnonzero(move)
        if len(moving):
            any_moved = True
            levels[row, moving] += move[moving]
            column: Any = moments[0, :, row, None] if len(moments) == 1 else moments[moving, :, row].T
            gradient[:, moving] += column * move[moving]
    return any_moved
