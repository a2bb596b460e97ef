"""TFLite flatbuffers as objects: read, renamed, given byte inputs, and written with aligned constants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.compact import CompactBuilder, drop_unread

SIGNATURE = "serving_default"
"""The key under which `get_signature_runner` and LiteRT's CompiledModel find inputs and outputs by name."""


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A constant that is packed where SIMD loads expect it."""

    def Pack(self, builder: CompactBuilder) -> Any:  # noqa: N802 - the generated code calls it so
        data = None
        if self.data is not None and len(self.data):
            data = builder.constant(np.asarray(self.data, np.uint8))
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def read_model(content: bytes) -> Any:
    """The file as a `ModelT`, with every constant inside its buffer (large files keep them behind the flatbuffer)."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    buffers = []
    for buffer in model.buffers:
        inline = _AlignedBuffer()
        # Offsets 0 and 1 mean: none.
        inline.data = content[buffer.offset : buffer.offset + buffer.size] if buffer.offset > 1 else buffer.data
        if isinstance(inline.data, bytes):
            inline.data = np.frombuffer(inline.data, np.uint8)
        buffers.append(inline)
    model.buffers = buffers
    return model


def write_model(model: Any) -> bytes:
    """The file's bytes, without what nobody reads and with equal vectors once; equal models give equal bytes."""
    drop_unread(model)
    builder = CompactBuilder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def builtin_name(code: Any) -> str:
    """An operator code as the schema spells it: `CONV_2D`."""
    return _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def operator_name(number: int) -> str:
    """The same by its number; `operator 999` if the schema has none."""
    return _OPERATOR_NAMES.get(number, f"operator {number}")


def type_name(tensor: Any) -> str:
    """A tensor's type in NumPy's words: `int8`."""
    return _TYPE_NAMES[tensor.type].lower()


def tensor_type_name(number: int) -> str:
    """The same by its number; `type 99` if the schema has none."""
    return _TYPE_NAMES.get(number, f"type {number}").lower()


_OPERATOR_NAMES: dict[int, str] = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
_TYPE_NAMES: dict[int, str] = {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}


def name_tensors(model: Any, layers: Sequence[str], output: str) -> None:
    """Gives tensors the names of the network's layers, and the model a signature.

    Converters name a tensor after every TensorFlow operation that was fused into it, 200 letters and more. Here an
    operator's output is called as its layer, its constants `<layer>/kernel`, `<layer>/bias` and so on, the input
    `image`, the output as given; profiles and calibration tables become readable, and the file smaller.
    """
    graph = model.subgraphs[0]
    # Keras appends `_1` to a layer's scope.
    patterns = {layer: re.compile(rf"(?:^|/){re.escape(layer)}(?:_1)?/") for layer in layers}
    taken: set[str] = set()

    def unique(name: str) -> bytes:
        candidates = (name if n == 1 else f"{name}_{n}" for n in range(1, len(graph.tensors) + 2))
        chosen = next(c for c in candidates if c not in taken)
        taken.add(chosen)
        return chosen.encode()

    named: set[int] = set()

    def rename(index: int, name: str) -> None:
        if index >= 0 and index not in named:
            graph.tensors[index].name = unique(name)
            named.add(index)

    rename(graph.inputs[0], "image")
    rename(graph.outputs[0], output)
    for operator in graph.operators:
        old = graph.tensors[operator.outputs[0]].name.decode()
        layer = next((layer for layer, pattern in patterns.items() if pattern.search(old)), None)
        if layer is None:
            # The last layer lost its name to the output; ONNX calls its constants after that, too.
            last = operator.outputs[0] == graph.outputs[0]
            layer = output if last else builtin_name(model.operatorCodes[operator.opcodeIndex]).lower()
        rename(operator.outputs[0], layer)
        constants = [i for i in operator.inputs if i >= 0 and _is_constant(model, graph.tensors[i])]
        for index, role in zip(constants, ("kernel", "bias", "constant"), strict=False):
            rename(index, f"{layer}/{role}")
    set_signature(model)


def _is_constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def set_signature(model: Any) -> None:
    """Makes the graph's inputs and outputs reachable by their tensor names."""
    graph = model.subgraphs[0]

    def maps(indices: Sequence[int]) -> list[Any]:
        entries = []
        for index in indices:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = graph.tensors[index].name, int(index)
            entries.append(entry)
        return entries

    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE.encode()
    signature.inputs, signature.outputs = maps(graph.inputs), maps(graph.outputs)
    signature.subgraphIndex = 0
    model.signatureDefs = [signature]


def with_uint8_edges(content: bytes) -> bytes:
    """The same int8 network with uint8 input and output: `QUANTIZE` at either end, zero points 128 higher.

    A camera's bytes go in as they are, which is also the only integer input MediaPipe accepts.
    """
    model = read_model(content)
    graph = model.subgraphs[0]
    quantize = schema.OperatorCodeT()
    quantize.builtinCode = quantize.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    # Version 2 is the first that requantizes from integers.
    quantize.version = 2
    model.operatorCodes.append(quantize)

    def requantize(source: int, target: int) -> Any:
        operator = schema.OperatorT()
        operator.opcodeIndex = len(model.operatorCodes) - 1
        operator.inputs, operator.outputs = [source], [target]
        return operator

    def uint8_twin(index: int) -> int:
        inner = graph.tensors[index]
        outer = schema.TensorT()
        outer.name, inner.name = inner.name, inner.name + b"_int8"
        outer.shape, outer.shapeSignature, outer.type = inner.shape, inner.shapeSignature, schema.TensorType.UINT8
        outer.hasRank = inner.hasRank
        outer.quantization = schema.QuantizationParametersT()
        outer.quantization.scale = inner.quantization.scale
        outer.quantization.zeroPoint = [int(inner.quantization.zeroPoint[0]) + 128]
        graph.tensors.append(outer)
        return len(graph.tensors) - 1

    image, output = int(graph.inputs[0]), int(graph.outputs[0])
    graph.inputs, graph.outputs = [uint8_twin(image)], [uint8_twin(output)]
    graph.operators = [
        requantize(graph.inputs[0], image),
        *graph.operators,
        requantize(output, graph.outputs[0]),
    ]
    set_signature(model)
    return write_model(model)
