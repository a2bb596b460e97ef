"""A TFLite file as tensors by name and steps in order, with what its integers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.tflite_file import builtin_name, read_model, type_name
from models.errors import BrokenFileError

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """One tensor. Integers with a scale mean `scale * (stored - zero_point)`."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: Values | None
    """One, or one per channel of `axis`; None: not quantized."""
    zero_point: Values | None
    axis: int
    data: NDArray[Any] | None
    """Of a constant."""

    def real(self, stored: NDArray[Any]) -> Values:
        """What stored values mean."""
        values = stored.astype(np.float64)
        if self.scale is None or self.zero_point is None:
            return values
        if len(self.scale) == 1:
            return np.asarray(self.scale[0] * (values - self.zero_point[0]))
        shape = [-1 if axis == self.axis else 1 for axis in range(values.ndim)]
        return np.asarray(self.scale.reshape(shape) * (values - self.zero_point.reshape(shape)))

    def values(self) -> Values:
        """What a constant means; nothing for a computed tensor."""
        return self.real(np.empty(0) if self.data is None else self.data)

    @property
    def step(self) -> float | None:
        """Of a tensor with one scale."""
        return float(self.scale[0]) if self.scale is not None and len(self.scale) == 1 else None

    @property
    def range(self) -> tuple[float, float] | None:
        """Least and greatest value that a tensor with one scale can express."""
        if self.step is None or self.zero_point is None:
            return None
        limits = np.iinfo(self.dtype)
        low, high = (self.step * (limit - float(self.zero_point[0])) for limit in (limits.min, limits.max))
        return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operator: what it is, and the names of what it reads and makes."""

    operator: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """The network inside a file; a uint8 edge and the int8 tensor behind it count as one, the inner one."""

    tensors: Mapping[str, Tensor]
    steps: tuple[Step, ...]
    input: Tensor
    """The outermost."""
    output: Tensor

    def constant(self, name: str) -> Tensor | None:
        """The constant of that name; None if there is none."""
        tensor = self.tensors.get(name)
        return tensor if tensor is not None and tensor.data is not None else None


def read_graph(content: bytes, file: str) -> Graph:
    """The graph of a file.

    Raises:
        BrokenFileError: it is no TFLite file that can be read.
    """
    try:
        model = read_model(content)
        graph = model.subgraphs[0]
        tensors = [_tensor(model, index, tensor) for index, tensor in enumerate(graph.tensors)]
        edges = [tensors[int(graph.inputs[0])], tensors[int(graph.outputs[0])]]
        inner = {f"{edge.name}_int8": edge.name for edge in edges if edge.dtype == "uint8"}
        names = {t.index: inner.get(t.name, t.name) for t in tensors}
        outer = {edge.index for edge in edges if f"{edge.name}_int8" in {t.name for t in tensors}}
        steps = tuple(
            Step(
                operator=builtin_name(model.operatorCodes[o.opcodeIndex]),
                inputs=tuple(names[int(i)] for i in o.inputs if i >= 0),
                output=names[int(o.outputs[0])],
            )
            for o in graph.operators
            if int(o.outputs[0]) not in outer and int(o.inputs[0]) not in outer
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise BrokenFileError(f"{file} is no TFLite file that can be read ({error}); export it again") from error
    by_name = {names[t.index]: t for t in tensors if t.index not in outer}
    return Graph(tensors=by_name, steps=steps, input=edges[0], output=edges[1])


def _tensor(model: Any, index: int, tensor: Any) -> Tensor:
    dtype, shape = type_name(tensor), tuple(int(n) for n in (() if tensor.shape is None else tensor.shape))
    raw, quantization = model.buffers[tensor.buffer].data, tensor.quantization
    quantized = quantization is not None and quantization.scale is not None and len(quantization.scale)
    data = None
    if raw is not None and len(raw):
        data = np.frombuffer(np.asarray(raw, np.uint8).tobytes(), np.dtype(dtype)).reshape(shape)
    return Tensor(
        index=index,
        name=tensor.name.decode("utf-8", "replace"),
        dtype=dtype,
        shape=shape,
        scale=np.asarray(quantization.scale, np.float64) if quantized else None,
        zero_point=np.asarray(quantization.zeroPoint, np.float64) if quantized else None,
        axis=int(quantization.quantizedDimension) if quantized else 0,
        data=data,
    )
