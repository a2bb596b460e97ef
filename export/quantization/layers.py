"""`KernelLayer`: an operator with a kernel, and what each position of the kernel reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.quantization.kernels import CHANNEL_LAST
from export.tflite_file import builtin_name


def kernel_layers(model: Any) -> Iterator[KernelLayer]:
    """All operators of a float network whose kernel and bias are constants, in their order.

    Without dilated convolutions, and without grouped ones, each of whose kernels reads some of the channels.
    """
    tensors = model.subgraphs[0].tensors
    for operator in model.subgraphs[0].operators:
        name = builtin_name(model.operatorCodes[operator.opcodeIndex])
        if name not in CHANNEL_LAST:
            continue
        given, kernel = (tensors[index].shape[-1] for index in operator.inputs[:2])
        if name == "CONV_2D" and given != kernel:
            continue
        constants = [tensors[index].buffer for index in operator.inputs[1:3] if index >= 0]
        dilation = [getattr(operator.builtinOptions, f"dilation{side}Factor", 1) for side in "HW"]
        if len(constants) == 2 and all(model.buffers[b].data is not None for b in constants) and dilation == [1, 1]:
            yield KernelLayer(model, operator)


class KernelLayer:
    """One convolution, depthwise convolution or fully connected layer."""

    def __init__(self, model: Any, operator: Any) -> None:
        graph = model.subgraphs[0]
        names = (graph.tensors[index].name.decode() for index in operator.inputs[:3])
        self.source, self.name, self.bias = names
        tensor = graph.tensors[operator.inputs[1]]
        self.kernel: NDArray[np.float32] = model.buffers[tensor.buffer].data.view(np.float32).reshape(tensor.shape)
        self.depthwise = builtin_name(model.operatorCodes[operator.opcodeIndex]) == "DEPTHWISE_CONV_2D"
        self.size = tuple(self.kernel.shape[1:3]) if self.kernel.ndim == 4 else (1, 1)
        options = operator.builtinOptions
        self.multiplier = int(getattr(options, "depthMultiplier", 1)) if self.depthwise else 1
        self.stride = (getattr(options, "strideH", 1), getattr(options, "strideW", 1))
        shape = graph.tensors[operator.outputs[0]].shape
        self.output = tuple(int(side) for side in shape[1:3]) if len(shape) == 4 else (1, 1)

    def by_position(self, kernel: NDArray[np.float32]) -> NDArray[np.float64]:
        """The kernel as `[positions, inputs, outputs]`, or `[positions, channels]` of a depthwise one."""
        if self.depthwise:
            return kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
        return np.moveaxis(kernel.reshape(len(kernel), -1, kernel.shape[-1]), 0, -1).astype(np.float64)

    def from_positions(self, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """Inverse of `by_position`."""
        turned = weights if self.depthwise else np.moveaxis(weights, -1, 0)
        return np.ascontiguousarray(turned.reshape(self.kernel.shape), np.float32)

    def chosen(self, kernels: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """The kernel among others, else its own, by position."""
        return self.by_position(kernels.get(self.name, self.kernel))

    def reads(self, values: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """What each position of the kernel reads for every output, `[outputs, inputs]`, zeros beyond the border."""
        maps = values if values.ndim == 4 else values.reshape(1, 1, 1, -1)
        padded = np.pad(maps[0], [*self._padding(maps.shape[1:3]), (0, 0)])
        for top in range(self.size[0]):
            for left in range(self.size[1]):
                ends = (top + self.stride[0] * self.output[0], left + self.stride[1] * self.output[1])
                part = padded[top : ends[0] : self.stride[0], left : ends[1] : self.stride[1]]
                rows = part.reshape(-1, part.shape[-1])
                yield np.repeat(rows, self.multiplier, axis=1) if self.multiplier > 1 else rows

    def _padding(self, sides: tuple[int, ...]) -> list[tuple[int, int]]:
        """Before and after, as SAME has it; nothing where the outputs need none, as with VALID."""
        found = []
        for side, kernel, stride, output in zip(sides, self.size, self.stride, self.output, strict=True):
            total = max((output - 1) * stride + kernel - side, 0)
            found.append((total // 2, total - total // 2))
        return found
