"""Single operators of an int8 network, taken out of its TFLite and its ONNX file, to be fed with given integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.onnx_layers import node_layers
from export.tflite_file import builtin_name, read_model, write_model

IMAGE = "image"
_INPUT = ("Transpose", "Sub")
"""What ONNX does to the picture before it is quantized."""

Integers = NDArray[np.int8]
Compute = Callable[[Mapping[str, Integers]], Integers]
"""An operator's output, by its inputs by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A file with one operator."""

    layer: str
    """Name of its output in the TFLite file."""
    kind: str
    """In TFLite's words."""
    sources: tuple[str, ...]
    """Names of the activations that it reads, in the TFLite file."""
    content: bytes


def tflite_operators(content: bytes) -> Iterator[Operator]:
    """The operators of a TFLite file, each as a file of its own, in the order of their computation."""
    whole = read_model(content)
    computed = {int(index) for operator in whole.subgraphs[0].operators for index in operator.outputs}
    computed |= {int(index) for index in whole.subgraphs[0].inputs}
    for row in range(len(whole.subgraphs[0].operators)):
        model = read_model(content)
        graph = model.subgraphs[0]
        operator = graph.operators[row]
        sources = list(dict.fromkeys(int(index) for index in operator.inputs if int(index) in computed))
        graph.operators, graph.inputs, graph.outputs = [operator], sources, [int(operator.outputs[0])]
        model.signatureDefs = []
        names = [tensor.name.decode() for tensor in graph.tensors]
        yield Operator(
            layer=names[int(operator.outputs[0])],
            kind=builtin_name(model.operatorCodes[operator.opcodeIndex]),
            sources=tuple(names[index] for index in sources),
            content=write_model(model),
        )


def load_tflite_operator(operator: Operator, *, builtin_only: bool) -> Compute:
    """It in LiteRT, with XNNPACK or with the builtin kernels alone."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin_only else OpResolverType.AUTO
    interpreter = Interpreter(model_content=operator.content, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    target = interpreter.get_output_details()[0]["index"]

    def compute(known: Mapping[str, Integers]) -> Integers:
        for source in interpreter.get_input_details():
            interpreter.set_tensor(source["index"], known[source["name"]].reshape(source["shape"]))
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(target))

    return compute


def onnx_operators(content: bytes, operators: Mapping[str, Operator]) -> dict[str, Operator]:
    """What the ONNX file computes between two quantized tensors, each as a file of its own, by its layer.

    Args:
        content: The ONNX file, with pairs of QuantizeLinear and DequantizeLinear.
        operators: Those of the TFLite file, by their layer.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
    graph, layers = model.graph, node_layers(model.graph)
    source = {output: node for node in graph.node for output in node.output}
    shapes = {info.name: [d.dim_value for d in info.type.tensor_type.shape.dim] for info in graph.value_info}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, Operator] = {}
    for node in graph.node:
        if node.op_type != "QuantizeLinear" or node.input[0] not in source:
            continue
        layer = _layer(node, source, layers)
        inside, read = _between(node, source)
        if layer in found or layer not in operators or not read:
            # Behind the first come reshapes of the same integers.
            continue
        used = {name for one in inside for name in one.input}
        made = onnx.helper.make_graph(
            [one for one in graph.node if one in inside],
            "operator",
            [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, shapes[name]) for name in read],
            [onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.UINT8, shapes[node.output[0]])],
            [constants[name] for name in sorted(used) if name in constants],
        )
        alone = onnx.helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version)
        found[layer] = Operator(
            layer=layer,
            kind=operators[layer].kind,
            sources=tuple(_layer(source[name], source, layers) for name in read),
            content=alone.SerializeToString(),
        )
    return found


def _layer(quantize: Any, source: Mapping[str, Any], layers: Mapping[str, str]) -> str:
    """The name in the TFLite file of what a QuantizeLinear stores."""
    before = source.get(quantize.input[0])
    while before is not None and before.op_type in _INPUT and before.input[0] in source:
        before = source[before.input[0]]
    if before is None or before.op_type in _INPUT:
        return IMAGE
    return layers[before.name].removesuffix("_QuantizeLinear_Input")


def load_onnx_operator(operator: Operator, *, optimized: bool) -> Compute:
    """It in ONNX Runtime: as integers or, without its optimizations, in float as the file spells it out."""
    session = load_session(operator.content, optimized=optimized)
    given = session.get_inputs()

    def compute(known: Mapping[str, Integers]) -> Integers:
        feed = {
            one.name: _turned(known[source].view(np.uint8) ^ np.uint8(128), (0, 3, 1, 2)).reshape(one.shape)
            for one, source in zip(given, operator.sources, strict=True)
        }
        return (_turned(np.asarray(session.run(None, feed)[0]), (0, 2, 3, 1)) ^ 128).view(np.int8)

    return compute


def load_session(content: bytes, *, optimized: bool) -> Any:
    """An ONNX file on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _turned(values: NDArray[np.uint8], axes: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values.transpose(axes)) if values.ndim == len(axes) else values


def _between(last: Any, source: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    """The nodes from quantized tensors to a QuantizeLinear, it included, and the names of those tensors."""
    inside, read, waiting = [], [], [last]
    while waiting:
        node = waiting.pop()
        inside.append(node)
        for name in node.input:
            before = source.get(name)
            if before is None:
                continue
            if before.op_type == "QuantizeLinear":
                read.append(name)
            elif before not in inside:
                waiting.append(before)
    return inside, sorted(set(read))
