"""Bias correction: what the rounding of a kernel adds to the mean of each output channel is taken off its bias.

Rounded weights err in the same way for every picture, so that a channel's mean moves by the errors times the mean
inputs (Nagel et al., arXiv:1906.04721, section 4.2; here with means observed over the representative data set, at each
position of the kernel, borders included). The same goes for the half grey level that integer pixels may be off.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.calibrate import input_quantization
from export.quantization.kernels import nearest_weights, replace_constant
from export.quantization.layers import KernelLayer, kernel_layers
from export.quantization.observe import Activations
from export.quantization.pictures import some_pictures
from export.tflite_file import read_model, write_model
from models.data import Pixels, normalise
from models.spec import Preprocessing
from models.worker import Progress, Report

STAGE = "correct biases"
IMAGES = 32
"""Of the representative data set, at most; means settle quickly."""

_FRACTION = 2.0**32
"""Means are added as whole multiples of this part, which gives the same sum in any order."""

Shifts = dict[str, tuple[float, ...]]
"""What to add to each bias, by its name, `<layer>/bias`."""


def bias_shifts(
    tflite: bytes,
    pixels: Pixels,
    preprocessing: Preprocessing,
    report: Report,
    *,
    kernels: Mapping[str, NDArray[np.float32]] = MappingProxyType({}),
    per_tensor: bool = False,
) -> Shifts:
    """The correction of every bias of a float TFLite file whose kernels are going to be int8.

    Args:
        tflite: The float32 file, with batch 1.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        report: Receives the progress.
        kernels: Those whose rounding was chosen; all others are rounded to the nearest.
        per_tensor: Whether a kernel has one scale instead of one per output channel.
    """
    model = read_model(tflite)
    layers = [_Means(layer, kernels, per_tensor=per_tensor) for layer in kernel_layers(model)]
    activations, image_name = Activations(tflite, preprocessing), _input_name(model)
    chosen = some_pictures(pixels, IMAGES)
    for number, image in enumerate(chosen):
        known = dict(zip(activations.names, activations.compute(image), strict=True))
        known[image_name] = normalise(image[None], preprocessing)
        for layer in layers:
            layer.add(known[layer.of.source])
        del known
        report(Progress(stage=STAGE, done=number + 1, total=len(chosen)))
    pixel = input_quantization(preprocessing)
    # Whole numbers only reach the mean rounded; every stored picture is darker or brighter by the same.
    off = (preprocessing.mean[0] - pixel.zero_point) * pixel.scale
    return {
        layer.of.bias: tuple(layer.shift(len(chosen), off if layer.of.source == image_name else 0.0))
        for layer in layers
    }


def _input_name(model: Any) -> str:
    graph = model.subgraphs[0]
    return str(graph.tensors[graph.inputs[0]].name.decode())


class _Means:
    """One layer, and the mean of what each position of its kernel reads."""

    def __init__(self, of: KernelLayer, kernels: Mapping[str, NDArray[np.float32]], *, per_tensor: bool) -> None:
        self.of = of
        self.weights = of.by_position(of.kernel)
        self.rounded = nearest_weights(of.chosen(kernels), per_tensor=per_tensor)
        self.sums = np.zeros(self.weights.shape[:2], np.int64)
        self.coverage: NDArray[np.float64] | None = None

    def add(self, values: NDArray[np.float32]) -> None:
        """Takes one picture's input of the layer into account."""
        self.sums += np.rint(self._means(values) * _FRACTION).astype(np.int64)
        if self.coverage is None:
            self.coverage = self._means(np.ones_like(values))[:, :1]

    def _means(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean over the outputs of what each position of the kernel reads, zeros beyond the border included."""
        return np.stack([rows.mean(axis=0, dtype=np.float64) for rows in self.of.reads(values)])

    def shift(self, images: int, off: float) -> NDArray[np.float64]:
        """What to add to the bias, `[outputs]`.

        Args:
            images: How many pictures were added.
            off: By how much every stored value of the input is above the float network's.
        """
        means = self.sums / (_FRACTION * images)
        coverage = np.zeros((len(means), 1)) if self.coverage is None else self.coverage
        meant, stored = means, means + off * coverage
        if self.of.depthwise:
            return np.asarray((self.weights * meant - self.rounded * stored).sum(axis=0))
        return np.asarray(np.einsum("pi,pio->o", meant, self.weights) - np.einsum("pi,pio->o", stored, self.rounded))


def with_shifted_biases(tflite: bytes, shifts: Mapping[str, tuple[float, ...]]) -> bytes:
    """The float TFLite file with corrected biases."""
    model = read_model(tflite)
    for tensor in model.subgraphs[0].tensors:
        if (shift := shifts.get(tensor.name.decode())) is not None:
            bias = model.buffers[tensor.buffer].data.view(np.float32) + np.array(shift)
            replace_constant(model, tensor, bias.astype(np.float32))
    return write_model(model)


def with_shifted_onnx_biases(source: bytes, shifts: Mapping[str, tuple[float, ...]]) -> bytes:
    """The float ONNX file with corrected biases: its constants have the names of the TFLite file's."""
    model = onnx.load_from_string(source)
    for tensor in model.graph.initializer:
        if (shift := shifts.get(tensor.name)) is not None:
            bias = (onnx.numpy_helper.to_array(tensor) + np.array(shift)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(bias, tensor.name))
    return bytes(model.SerializeToString(deterministic=True))
