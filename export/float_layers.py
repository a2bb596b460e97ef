"""Which layers of a file compute in float: read from the file, whatever its name says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from ai_edge_litert import schema_py_generated as schema

from export.onnx_layers import node_layers
from export.quantization.islands import FLOAT_SUFFIX
from export.quantization.kernels import CHANNEL_LAST
from export.tflite_file import builtin_name, type_name

Layers = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of the layers that are float throughout, and of those of which only a part is."""

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")


def tflite_kernels(model: Any) -> Iterator[tuple[str, Any]]:
    """Operator and kernel of every operator that has one."""
    for operator in model.subgraphs[0].operators:
        name = builtin_name(model.operatorCodes[operator.opcodeIndex])
        if name in CHANNEL_LAST:
            yield name, model.subgraphs[0].tensors[operator.inputs[1]]


def tflite_float_layers(model: Any) -> Layers:
    """Of a TFLite file: float are all tensors of an operator but indices, or none."""
    graph = model.subgraphs[0]
    named = {tensor.name.decode() for tensor in graph.tensors}
    floats: list[str] = []
    torn: list[str] = []
    for operator in graph.operators:
        if builtin_name(model.operatorCodes[operator.opcodeIndex]) in _CONVERSIONS:
            continue
        output = graph.tensors[operator.outputs[0]]
        name = output.name.decode()
        inner = name.removesuffix(FLOAT_SUFFIX)
        tensors = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs) if index >= 0]
        kinds = {tensor.type == schema.TensorType.FLOAT32 for tensor in tensors if not _is_index(tensor)}
        if True in kinds:
            (floats if kinds == {True} else torn).append(inner if inner in named else name)
    return tuple(floats), tuple(torn)


def _is_index(tensor: Any) -> bool:
    """Axes, shapes and int32 biases say nothing of how an operator computes."""
    return type_name(tensor) in ("int32", "int64", "bool")


def onnx_float_layers(graph: onnx.GraphProto) -> Layers:
    """Of an ONNX file: a node is float if what it reads or what it gives is not stored as an integer in between."""
    initializers = {constant.name: constant for constant in graph.initializer}
    source = {output: node for node in graph.node for output in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for given in node.input:
            readers.setdefault(given, []).append(node)
    layers, kinds, picture = node_layers(graph), Counter[tuple[str, bool]](), {graph.input[0].name}
    for node in graph.node:
        # The float picture is turned and moved before it is quantized.
        if node.op_type in ("Transpose", "Sub") and node.input[0] in picture:
            picture.add(node.output[0])
        elif node.name in layers:
            kinds[layers[node.name], _is_float(node, source, readers, initializers)] += 1
    both = [layer for layer, is_float in kinds if is_float and (layer, False) in kinds]
    floats = [layer for layer, is_float in kinds if is_float and layer not in both]
    return tuple(floats), tuple(both)


def _is_float(
    node: onnx.NodeProto,
    source: Mapping[str, onnx.NodeProto],
    readers: Mapping[str, list[onnx.NodeProto]],
    initializers: Mapping[str, onnx.TensorProto],
) -> bool:
    for given in node.input:
        constant = initializers.get(given)
        if constant is not None and len(constant.dims) > 1 and constant.data_type == onnx.TensorProto.FLOAT:
            return True
        if given in source and source[given].op_type != "DequantizeLinear":
            return True
    return any(reader.op_type != "QuantizeLinear" for reader in readers.get(node.output[0], []))
