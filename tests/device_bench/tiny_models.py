"""The smallest networks that every runtime takes: one convolution over 4 x 4 pictures, pooled to 5 numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

INPUT_SHAPE = (1, 4, 4, 3)
CLASSES = 5


def weights() -> NDArray[np.float32]:
    """Output channels, height, width, input channels: 1 x 1, the same at every call."""
    return np.random.default_rng(1).normal(0, 1, (CLASSES, 1, 1, 3)).astype(np.float32)


def expected(inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the networks compute, `[N, classes]`, of pictures `[N, 4, 4, 3]`."""
    filters = weights()[:, 0, 0, :].astype(np.float64)
    outputs: NDArray[np.float64] = np.einsum("nhwc,oc->no", inputs.astype(np.float64), filters) / 16
    return outputs


def tflite(*, input_name: str = "image", with_norm: bool = False, size_px: int = 4) -> bytes:
    """A float32 TFLite file for square pictures; with the norm, which XNNPACK does not have, outputs have length 1."""
    from ai_edge_litert import schema_py_generated as schema

    from export.tflite_file import write_model

    tensors: list[Any] = []
    buffers = [schema.BufferT()]

    def tensor(name: str, shape: tuple[int, ...], data: NDArray[Any] | None = None) -> int:
        value = schema.TensorT()
        value.name, value.shape = name.encode(), list(shape)
        value.type = schema.TensorType.FLOAT32 if data is None or data.dtype == np.float32 else schema.TensorType.INT32
        value.buffer = 0
        if data is not None:
            content = schema.BufferT()
            content.data = np.frombuffer(data.tobytes(), np.uint8)
            buffers.append(content)
            value.buffer = len(buffers) - 1
        tensors.append(value)
        return len(tensors) - 1

    image = tensor(input_name, (1, size_px, size_px, 3))
    filters = tensor("filters", weights().shape, weights())
    bias = tensor("bias", (CLASSES,), np.zeros(CLASSES, np.float32))
    features = tensor("features", (1, size_px, size_px, CLASSES))
    axes = tensor("axes", (2,), np.array([1, 2], np.int32))
    output = tensor("output", (1, CLASSES))

    convolution, mean = schema.Conv2DOptionsT(), schema.ReducerOptionsT()
    convolution.strideW = convolution.strideH = convolution.dilationWFactor = convolution.dilationHFactor = 1
    nodes = [
        (schema.BuiltinOperator.CONV_2D, [image, filters, bias], [features], "Conv2DOptions", convolution),
        (schema.BuiltinOperator.MEAN, [features, axes], [output], "ReducerOptions", mean),
    ]
    if with_norm:
        norm = tensor("norm", (1, CLASSES))
        nodes.append(
            (schema.BuiltinOperator.L2_NORMALIZATION, [output], [norm], "L2NormOptions", schema.L2NormOptionsT())
        )
        output = norm

    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [image], [output], []
    model.operatorCodes = []
    for number, (builtin, inputs, outputs, kind, options) in enumerate(nodes):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 1
        operator.opcodeIndex, operator.inputs, operator.outputs = number, inputs, outputs
        operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, kind), options
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    model.version, model.subgraphs, model.buffers = 3, [graph], buffers
    return write_model(model)


def onnx(*, batch: int | str = 1) -> bytes:
    """The same as an ONNX file, the picture's channels last; with a name for the batch, its size is open."""
    import onnx as library
    from onnx import helper, numpy_helper

    filters = np.ascontiguousarray(weights()[:, 0, 0, :].T)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["image", "filters"], ["features"]),
            helper.make_node("ReduceMean", ["features", "axes"], ["output"], keepdims=0),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", library.TensorProto.FLOAT, [batch, *INPUT_SHAPE[1:]])],
        [helper.make_tensor_value_info("output", library.TensorProto.FLOAT, [batch, CLASSES])],
        [
            numpy_helper.from_array(filters, "filters"),
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content
