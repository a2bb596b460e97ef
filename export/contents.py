"""What is inside a TFLite or ONNX file: operators, tensor types, input and output. Proof instead of file names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx

from export.float_layers import onnx_float_layers, tflite_float_layers, tflite_kernels
from export.precision import Precision
from export.quantization.kernels import CHANNEL_LAST
from export.tflite_file import builtin_name, read_model, type_name


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """A network's input or output."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None = None
    """`real = scale * (stored - zero_point)`; None for floats."""
    zero_point: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TensorInfo:
        """Value from `to_json`'s form."""
        return cls(**{**value, "shape": tuple(value["shape"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The facts of one file."""

    operators: dict[str, int]
    """How often each operator occurs, the most frequent first."""
    weights: dict[str, int]
    """Number of constants per type, biases left out."""
    activations: dict[str, int]
    """Number of computed tensors per type, the graph's input and output left out."""
    input: TensorInfo
    output: TensorInfo
    float_layers: tuple[str, ...]
    """Layers that compute in float, by the name of their output in the TFLite file, in their order."""
    torn_layers: tuple[str, ...]
    """Layers of which a part is float and a part is not, such as an int8 kernel under float activations."""
    kernel_scales: dict[str, int]
    """How many int8 kernels have `one` scale, and how many one for each of several output `channels`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """What an 8-bit file was to be beyond its precision, by its calibration."""

    per_tensor: bool = False
    """Kernels have one scale each, instead of one per output channel."""
    float_layers: frozenset[str] = frozenset()
    """Layers of its float islands."""


def read_contents(content: bytes, precision: Precision) -> Contents:
    """The facts of a file of the precision's format."""
    return _read_tflite(content) if precision.format == "tflite" else _read_onnx(content)


def contents_faults(contents: Contents, precision: Precision, intended: Intended | None = None) -> list[str]:
    """Where a file is not what its precision's name says; empty when it is.

    Args:
        contents: Of the file.
        precision: What it claims to be.
        intended: By its calibration; None: not known, so that nothing is said of scales and islands.
    """
    faults = []
    if precision.islands:
        faults += _island_faults(contents, precision, intended)
    else:
        faults += _type_faults(contents, precision)
    if precision.calibrated and intended is not None:
        wrong = contents.kernel_scales.get("channels" if intended.per_tensor else "one", 0)
        wanted = "one scale" if intended.per_tensor else "a scale per output channel"
        if wrong:
            faults.append(f"{wrong} of its kernels have not {wanted}, it has {contents.kernel_scales}")
    for side, info, wanted in (
        ("input", contents.input, precision.input_dtype),
        ("output", contents.output, precision.output_dtype),
    ):
        if info.dtype != wanted:
            faults.append(f"its {side} is {info.dtype}, not {wanted}")
    return faults


_INTEGERS = ("int8", "uint8", "int16")


def _type_faults(contents: Contents, precision: Precision) -> list[str]:
    """Constants and activations of another type than the precision's."""
    faults, total = [], sum(contents.weights.values())
    share = contents.weights.get(precision.weight_dtype, 0) / max(total, 1)
    if share < 1:
        faults.append(f"only {share:.1%} of its weights are {precision.weight_dtype}, it has {contents.weights}")
    if set(contents.activations) != {precision.activation_dtype}:
        fault = f"its activations should all be {precision.activation_dtype}, it has {contents.activations}"
        left = {*contents.float_layers, *contents.torn_layers} if precision.activation_dtype in _INTEGERS else ()
        remedy = f"; it computes {_some(left)} in float: replace that layer, or ship float16" if left else ""
        faults.append(fault + remedy)
    return faults


def _island_faults(contents: Contents, precision: Precision, intended: Intended | None) -> list[str]:
    """Layers that are float and should not be, or the other way round; and types that are neither."""
    faults, found = [], set(contents.float_layers)
    wanted = found if intended is None else intended.float_layers
    if not contents.weights.get(precision.weight_dtype):
        faults.append(f"none of its weights are {precision.weight_dtype}, it has {contents.weights}")
    if not wanted:
        faults.append(f"no layer of it is float, so that it is {precision.weight_dtype} throughout")
    if found - wanted:
        faults.append(f"it computes {_some(found - wanted)} in float, which should be {precision.activation_dtype}")
    if wanted - found:
        faults.append(f"it does not compute {_some(wanted - found)} in float")
    if contents.torn_layers:
        faults.append(f"it computes {_some(contents.torn_layers)} partly in float")
    known = {precision.weight_dtype, precision.activation_dtype, "float32"}
    strange = {*contents.weights, *contents.activations} - known
    if strange:
        faults.append(f"it has {', '.join(sorted(strange))} beside {precision.weight_dtype} and float32")
    return faults


def _some(names: Iterable[str]) -> str:
    first, *rest = sorted(names)
    return f"{first} and {len(rest)} more" if rest else first


def _read_tflite(content: bytes) -> Contents:
    model = read_model(content)
    graph = model.subgraphs[0]
    edges = {int(graph.inputs[0]), int(graph.outputs[0])}
    # Weights that are widened for computing (float16) are constants still.
    widened = {"DEQUANTIZE"}
    operators = [(builtin_name(model.operatorCodes[o.opcodeIndex]), o) for o in graph.operators]
    activations = Counter(
        type_name(graph.tensors[index])
        for name, operator in operators
        for index in operator.outputs
        if index not in edges and name not in widened
    )
    weights: Counter[str] = Counter()
    for tensor in graph.tensors:
        data = model.buffers[tensor.buffer].data
        # Biases, which keep a wider type, and axes have one dimension at most.
        if data is not None and len(data) and len(tensor.shape) > 1:
            weights[type_name(tensor)] += int(np.prod(tensor.shape))
    floats, torn = tflite_float_layers(model)
    return Contents(
        float_layers=floats,
        torn_layers=torn,
        kernel_scales=_tflite_scales(model),
        operators=_histogram(name for name, _ in operators),
        weights=dict(weights.most_common()),
        activations=dict(activations.most_common()),
        input=_tflite_info(graph.tensors[graph.inputs[0]]),
        output=_tflite_info(graph.tensors[graph.outputs[0]]),
    )


def _tflite_scales(model: Any) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, kernel in tflite_kernels(model):
        if type_name(kernel) == "int8":
            channels = int(kernel.shape[-1 if CHANNEL_LAST[name] else 0])
            scales = len(kernel.quantization.scale)
            # A single channel is told by neither.
            if channels > 1:
                found["one" if scales == 1 else "channels"] += 1
    return dict(found)


def _scales(tensor: Any) -> Any:
    quantization = tensor.quantization
    return None if quantization is None or quantization.scale is None or not len(quantization.scale) else quantization


def _tflite_info(tensor: Any) -> TensorInfo:
    quantization = _scales(tensor)
    return TensorInfo(
        name=tensor.name.decode(),
        dtype=type_name(tensor),
        shape=tuple(int(n) for n in tensor.shape),
        scale=None if quantization is None else float(quantization.scale[0]),
        zero_point=None if quantization is None else int(quantization.zeroPoint[0]),
    )


def _read_onnx(content: bytes) -> Contents:
    model = onnx.load_from_string(content)
    graph = model.graph
    pairs = [node for node in graph.node if node.op_type in _QDQ]
    scales = {name for node in pairs for name in node.input[1:]}
    weights: Counter[str] = Counter()
    for initializer in graph.initializer:
        # Biases, which keep a wider type, limits of Clip, shapes and axes have one dimension at most.
        if initializer.name not in scales and len(initializer.dims) > 1:
            weights[_onnx_type(initializer.data_type)] += int(np.prod(initializer.dims))
    floats, torn = onnx_float_layers(graph)
    return Contents(
        operators=_histogram(node.op_type for node in graph.node),
        weights=dict(weights.most_common()),
        activations=dict(Counter(_qdq_types(graph) if pairs else _float_types(model)).most_common()),
        float_layers=floats,
        torn_layers=torn,
        kernel_scales=_onnx_scales(graph),
        input=_onnx_info(graph.input[0]),
        output=_onnx_info(graph.output[0]),
    )


_QDQ = ("QuantizeLinear", "DequantizeLinear")


def _onnx_scales(graph: onnx.GraphProto) -> dict[str, int]:
    initializers = {i.name: i for i in graph.initializer}
    found: Counter[str] = Counter()
    for node in graph.node:
        kernel = initializers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if kernel is not None and len(kernel.dims) > 1:
            found["channels" if int(np.prod(initializers[node.input[1]].dims)) > 1 else "one"] += 1
    return dict(found)


def _qdq_types(graph: onnx.GraphProto) -> Iterator[str]:
    """Types in which computing nodes' operands are stored: that behind their DequantizeLinear, or float without one."""
    initializers = {i.name: i for i in graph.initializer}
    source = {output: node for node in graph.node for output in node.output}
    picture = {graph.input[0].name}
    for node in graph.node:
        # The float picture is turned from NHWC to NCHW, and moved by half a grey level, before it is quantized.
        if node.op_type in ("Transpose", "Sub") and node.input[0] in picture:
            picture.add(node.output[0])
            continue
        if node.op_type in _QDQ:
            continue
        for operand in node.input:
            producer = source.get(operand)
            if producer is None:
                if operand in picture:
                    yield "float32"
                continue
            if producer.op_type != "DequantizeLinear":
                yield "float32"
            elif producer.input[0] not in initializers:
                yield _onnx_type(initializers[producer.input[2]].data_type)


def _float_types(model: onnx.ModelProto) -> Iterator[str]:
    """Types of all tensors between input and output; the casts at the edges are not between."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    known = {value.name: _onnx_type(value.type.tensor_type.elem_type) for value in graph.value_info}
    for node in graph.node:
        if node.op_type != "Cast":
            yield from (known[output] for output in node.output if output in known)


def _onnx_info(value: Any) -> TensorInfo:
    tensor = value.type.tensor_type
    return TensorInfo(
        name=value.name,
        dtype=_onnx_type(tensor.elem_type),
        shape=tuple(d.dim_value for d in tensor.shape.dim),
    )


def _onnx_type(number: int) -> str:
    return str(onnx.helper.tensor_dtype_to_np_dtype(number).name)


def _histogram(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))
