"""Small float TFLite files for the tests of calibration: no network, no training."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.tflite_file import read_model, write_model

RELU6 = schema.ActivationFunctionType.RELU6


def tiny_network(kernel: NDArray[np.float32], bias: NDArray[np.float32], side_px: int = 8) -> bytes:
    """A picture `image` through one convolution with ReLU6, `layer`: kernel `[out, h, w, 3]`, bias `[out]`."""
    model = schema.ModelT()
    model.version, model.description = 3, b"test"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 1
    graph = schema.SubGraphT()
    model.operatorCodes, model.subgraphs, model.buffers = [code], [graph], [schema.BufferT()]
    graph.tensors = []

    def tensor(name: str, shape: tuple[int, ...], data: NDArray[np.float32] | None = None) -> int:
        made: Any = schema.TensorT()
        made.name, made.shape, made.type = name.encode(), list(shape), schema.TensorType.FLOAT32
        made.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.ascontiguousarray(data, np.float32).reshape(-1).view(np.uint8)
            model.buffers.append(buffer)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    channels = len(bias)
    image = tensor("image", (1, side_px, side_px, 3))
    constants = tensor("layer/kernel", kernel.shape, kernel), tensor("layer/bias", bias.shape, bias)
    output = tensor("layer", (1, side_px, side_px, channels))
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [image, *constants], [output]
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    operator.builtinOptions = schema.Conv2DOptionsT()
    operator.builtinOptions.padding = schema.Padding.SAME
    operator.builtinOptions.strideH = operator.builtinOptions.strideW = 1
    operator.builtinOptions.dilationHFactor = operator.builtinOptions.dilationWFactor = 1
    operator.builtinOptions.fusedActivationFunction = RELU6
    graph.inputs, graph.outputs, graph.operators = [image], [output], [operator]
    # Read once, so that the writer aligns its constants.
    return write_model(read_model(write_model(model)))
