"""Bias correction: what the rounding of a kernel adds to the mean of each output channel is taken off its bias.

Rounded weights err in the same way for every picture, so that a channel's mean moves by the errors times the mean
inputs (Nagel et al., arXiv:1906.04721, section 4.2; here with means observed over the representative data set, at each
position of the kernel, borders included). The same goes for the half grey level that integer pixels may be off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.calibrate import input_quantization
from export.quantization.observe import Activations
from export.tflite_file import builtin_name, read_model, write_model
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

_LEVEL = 127


def bias_shifts(tflite: bytes, pixels: Pixels, preprocessing: Preprocessing, report: Report) -> Shifts:
    """The correction of every bias of a float TFLite file whose kernels are going to be int8 per output channel.

    Args:
        tflite: The float32 file, with batch 1.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        report: Receives the progress.
    """
    model = read_model(tflite)
    layers = [_Layer(model, operator) for operator in model.subgraphs[0].operators if _has_kernel(model, operator)]
    activations, image_name = Activations(tflite, preprocessing), _name(model, model.subgraphs[0].inputs[0])
    chosen = pixels[:: -(-len(pixels) // IMAGES)]
    for number, image in enumerate(chosen):
        known = dict(zip(activations.names, activations.compute(image), strict=True))
        known[image_name] = normalise(image[None], preprocessing)
        for layer in layers:
            layer.add(known[layer.source])
        del known
        report(Progress(stage=STAGE, done=number + 1, total=len(chosen)))
    pixel = input_quantization(preprocessing)
    # Whole numbers only reach the mean rounded; every stored picture is darker or brighter by the same.
    off = (preprocessing.mean[0] - pixel.zero_point) * pixel.scale
    return {layer.bias: tuple(layer.shift(len(chosen), off if layer.source == image_name else 0.0)) for layer in layers}


def _name(model: Any, index: int) -> str:
    return str(model.subgraphs[0].tensors[index].name.decode())


_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def _has_kernel(model: Any, operator: Any) -> bool:
    if builtin_name(model.operatorCodes[operator.opcodeIndex]) not in _OPERATORS:
        return False
    constants = [model.subgraphs[0].tensors[index].buffer for index in operator.inputs[1:3] if index >= 0]
    dilation = [getattr(operator.builtinOptions, f"dilation{side}Factor", 1) for side in "HW"]
    return len(constants) == 2 and all(model.buffers[b].data is not None for b in constants) and dilation == [1, 1]


class _Layer:
    """One operator with a kernel, and the mean of what each position of the kernel reads."""

    def __init__(self, model: Any, operator: Any) -> None:
        graph = model.subgraphs[0]
        self.source, self.bias = (_name(model, operator.inputs[number]) for number in (0, 2))
        kernel = graph.tensors[operator.inputs[1]]
        weights = model.buffers[kernel.buffer].data.view(np.float32).reshape(kernel.shape).astype(np.float64)
        # To [positions, inputs, outputs], for a depthwise kernel [positions, channels].
        self.depthwise = builtin_name(model.operatorCodes[operator.opcodeIndex]) == "DEPTHWISE_CONV_2D"
        if self.depthwise:
            self.weights = weights.reshape(-1, weights.shape[-1])
        else:
            self.weights = np.moveaxis(weights.reshape(len(weights), -1, weights.shape[-1]), 0, -1)
        self.size = tuple(weights.shape[1:3]) if weights.ndim == 4 else (1, 1)
        options = operator.builtinOptions
        self.stride = (getattr(options, "strideH", 1), getattr(options, "strideW", 1))
        shape = graph.tensors[operator.outputs[0]].shape
        self.output = tuple(int(side) for side in shape[1:3]) if len(shape) == 4 else (1, 1)
        inputs = self.weights.shape[1]
        self.sums = np.zeros((self.size[0] * self.size[1], inputs), np.int64)
        self.coverage: NDArray[np.float64] | None = None

    def add(self, values: NDArray[np.float32]) -> None:
        """Takes one picture's input of the layer into account."""
        maps = values if values.ndim == 4 else values.reshape(1, 1, 1, -1)
        self.sums += np.rint(self._means(maps) * _FRACTION).astype(np.int64)
        if self.coverage is None:
            self.coverage = self._means(np.ones((*maps.shape[:3], 1), np.float32))

    def _means(self, maps: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean over the outputs of what each position of the kernel reads, zeros beyond the border included."""
        padded = np.pad(maps[0], [*self._padding(maps.shape[1:3]), (0, 0)])
        rows = []
        for top in range(self.size[0]):
            for left in range(self.size[1]):
                ends = (top + self.stride[0] * self.output[0], left + self.stride[1] * self.output[1])
                part = padded[top : ends[0] : self.stride[0], left : ends[1] : self.stride[1]]
                rows.append(part.reshape(-1, part.shape[-1]).mean(axis=0, dtype=np.float64))
        return np.stack(rows)

    def _padding(self, sides: tuple[int, ...]) -> list[tuple[int, int]]:
        """Before and after, as SAME has it; nothing where the outputs need none, as with VALID."""
        found = []
        for side, kernel, stride, output in zip(sides, self.size, self.stride, self.output, strict=True):
            total = max((output - 1) * stride + kernel - side, 0)
            found.append((total // 2, total - total // 2))
        return found

    def shift(self, images: int, off: float) -> NDArray[np.float64]:
        """What to add to the bias, `[outputs]`.

        Args:
            images: How many pictures were added.
            off: By how much every stored value of the input is above the float network's.
        """
        means = self.sums / (_FRACTION * images)
        rounded = _rounded(self.weights)
        coverage = np.zeros((len(means), 1)) if self.coverage is None else self.coverage
        meant, stored = means, means + off * coverage
        if self.depthwise:
            return np.asarray((self.weights * meant - rounded * stored).sum(axis=0))
        return np.asarray(np.einsum("pi,pio->o", meant, self.weights) - np.einsum("pi,pio->o", stored, rounded))


def _rounded(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights as int8 with a scale per output channel, the last axis, stores them."""
    greatest = np.abs(weights).reshape(-1, weights.shape[-1]).max(axis=0)
    scale = np.where(greatest > 0, greatest, 1.0) / _LEVEL
    return np.asarray(np.clip(np.round(weights / scale), -_LEVEL, _LEVEL) * scale)


def with_shifted_biases(tflite: bytes, shifts: Mapping[str, tuple[float, ...]]) -> bytes:
    """The float TFLite file with corrected biases."""
    model = read_model(tflite)
    for tensor in model.subgraphs[0].tensors:
        if (shift := shifts.get(tensor.name.decode())) is not None:
            bias = model.buffers[tensor.buffer].data.view(np.float32) + np.array(shift)
            model.buffers[tensor.buffer].data = bias.astype(np.float32).view(np.uint8)
    return write_model(model)


def with_shifted_onnx_biases(source: bytes, shifts: Mapping[str, tuple[float, ...]]) -> bytes:
    """The float ONNX file with corrected biases: its constants have the names of the TFLite file's."""
    model = onnx.load_from_string(source)
    for tensor in model.graph.initializer:
        if (shift := shifts.get(tensor.name)) is not None:
            bias = (onnx.numpy_helper.to_array(tensor) + np.array(shift)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(bias, tensor.name))
    return bytes(model.SerializeToString(deterministic=True))
