"""A TFLite "classifier" whose scores are its input: what a reader feeds it, it shows."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.metadata.info import ModelInfo
from export.metadata.write import add_metadata
from export.tflite_file import set_signature, write_model

SIDE_PX = 24


def make_probe(dtype: str = "float32", side_px: int = SIDE_PX) -> bytes:
    """A RESHAPE from `[1, side, side, 3]` to `[1, 3 * side * side]`; 0..1 as floats, bytes as they are as uint8."""
    numbers = {"float32": schema.TensorType.FLOAT32, "uint8": schema.TensorType.UINT8}
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, b"probe"
    shapes = {b"image": (1, side_px, side_px, 3), b"probabilities": (1, 3 * side_px**2)}
    graph.tensors = []
    for number, (name, shape) in enumerate(shapes.items()):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), numbers[dtype], number + 1
        if dtype == "uint8":
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [1 / 255], [0]
        graph.tensors.append(tensor)
    reshape, options, operator = schema.OperatorCodeT(), schema.ReshapeOptionsT(), schema.OperatorT()
    reshape.builtinCode = reshape.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    reshape.version = 1
    options.newShape = list(shapes[b"probabilities"])
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.ReshapeOptions, options
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    model.operatorCodes, model.subgraphs = [reshape], [graph]
    model.buffers = [schema.BufferT() for _ in range(3)]
    set_signature(model)
    info = ModelInfo(
        name="probe", description="its own input", version="1", input_description="RGB", mean=0.0, std=255.0
    )
    labels = "".join(f"value {number}\n" for number in range(3 * side_px**2)).encode()
    return add_metadata(write_model(model), info, labels)


def seen(scores: np.ndarray, side_px: int = SIDE_PX) -> np.ndarray:
    """The picture that a reader fed, in grey levels, `[side, side, 3]`."""
    return scores.reshape(side_px, side_px, 3) * 255
