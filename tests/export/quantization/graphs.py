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


class _Builder:
    """A float graph, operator by operator; each is called as its output."""

    def __init__(self, side_px: int) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.description = 3, b"test"
        self.model.operatorCodes, self.model.subgraphs, self.model.buffers = [], [self.graph], [schema.BufferT()]
        self.graph.tensors, self.graph.operators = [], []
        self.image = self.tensor("image", (1, side_px, side_px, 3))

    def tensor(self, name: str, shape: tuple[int, ...], data: NDArray[Any] | None = None) -> int:
        made: Any = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), list(shape), schema.TensorType.FLOAT32, 0
        if data is not None:
            made.type = schema.TensorType.INT32 if data.dtype == np.int32 else schema.TensorType.FLOAT32
            buffer = schema.BufferT()
            buffer.data = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
            self.model.buffers.append(buffer)
            made.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.graph.tensors[index].shape)

    def add(self, kind: str, options: Any, inputs: list[int], name: str, shape: tuple[int, ...]) -> int:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        self.model.operatorCodes.append(code)
        output = self.tensor(name, shape)
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes) - 1, inputs, [output]
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(operator)
        return output

    def kernel(self, given: int, name: str, kernel: NDArray[Any], kind: str, activation: int, stride: int = 1) -> int:
        """A convolution, a depthwise one, or a fully connected layer."""
        depthwise, dense = kind == "DEPTHWISE_CONV_2D", kind == "FULLY_CONNECTED"
        channels = kernel.shape[-1 if depthwise else 0]
        constants = (("kernel", kernel), ("bias", np.linspace(-0.3, 0.5, channels)))
        inputs = [given, *(self.tensor(f"{name}/{role}", v.shape, v.astype(np.float32)) for role, v in constants)]
        if dense:
            options: Any = schema.FullyConnectedOptionsT()
            return self.add(kind, options, inputs, name, (1, channels))
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        if depthwise:
            options.depthMultiplier = 1
        options.padding, options.strideH, options.strideW = schema.Padding.SAME, stride, stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = activation
        side = -(-self.shape(given)[1] // stride)
        return self.add(kind, options, inputs, name, (1, side, side, channels))

    def finish(self, output: int) -> bytes:
        self.graph.inputs, self.graph.outputs = [self.image], [output]
        # Read once, so that the writer aligns its constants.
        return write_model(read_model(write_model(self.model)))


LAYERS = (
    "stem", "block_1_depthwise", "block_1_project", "block_2_depthwise", "block_2_project", "block_2_add", "pool",
    "classifier", "probabilities",
)  # fmt: skip
"""Of `small_network`, in their order."""


def small_network(seed: int = 0, side_px: int = 16, channels: int = 8, classes: int = 5) -> bytes:
    """A network with all that matters for 8 bits, random: two blocks, the second with a residual, and a softmax."""
    rng, made = np.random.default_rng(seed), _Builder(side_px)

    def weights(*shape: int) -> NDArray[np.float64]:
        return rng.normal(0, 1.2 / np.sqrt(np.prod(shape[1:-1]) * (shape[-1] if shape[0] > 1 else 1)), shape)

    none = schema.ActivationFunctionType.NONE
    x = made.kernel(made.image, "stem", weights(channels, 3, 3, 3), "CONV_2D", RELU6, stride=2)
    for number in (1, 2):
        y = made.kernel(x, f"block_{number}_depthwise", weights(1, 3, 3, channels), "DEPTHWISE_CONV_2D", RELU6)
        y = made.kernel(y, f"block_{number}_project", weights(channels, 1, 1, channels), "CONV_2D", none)
        shape = made.shape(y)
        x = made.add("ADD", schema.AddOptionsT(), [x, y], f"block_{number}_add", shape) if number == 2 else y
    axes = made.tensor("pool/axes", (2,), np.array([1, 2], np.int32))
    x = made.add("MEAN", schema.ReducerOptionsT(), [x, axes], "pool", (1, channels))
    x = made.kernel(x, "classifier", weights(classes, channels), "FULLY_CONNECTED", none)
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return made.finish(made.add("SOFTMAX", options, [x], "probabilities", (1, classes)))


def random_pictures(count: int, side_px: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    """Coarse patches of colour, uint8 `[N, H, W, 3]`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return coarse.repeat(side_px // 4, axis=1).repeat(side_px // 4, axis=2)
