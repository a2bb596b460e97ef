"""ONNX precisions from the one float ONNX file, by ONNX Runtime's tools."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnxruntime import quantization as ort
from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from export.calibrate import input_quantization
from export.onnx_layers import KEEPING, node_layers
from export.precision import Precision
from export.quantization.bias import with_shifted_biases, with_shifted_onnx_biases
from export.quantization.kernels import storable_kernels, with_kernels, with_onnx_kernels
from export.quantization.ranges import Ranges
from export.quantization.steps import scale_and_zero_point
from models.errors import ConversionError
from models.spec import Preprocessing

if TYPE_CHECKING:
    from export.quantization.calibration import Calibration

SOFTMAX = (np.float32(1 / 256), np.uint8(0))
"""How 8-bit probabilities are stored in TFLite, whatever the pictures; so here, too."""


def make_onnx(
    source: bytes, tflite: bytes, precision: Precision, calibration: Calibration | None, preprocessing: Preprocessing
) -> bytes:
    """The float file in another precision, with all levers that its calibration pulled.

    Args:
        source: The float32 ONNX file.
        tflite: The float32 TFLite file that it was made from.
        precision: An ONNX row of the table.
        calibration: Needed if the precision is calibrated.
        preprocessing: Of the network.

    Raises:
        ConversionError: a tool refused, or there is no range for a tensor.
    """
    if precision.islands and not (calibration and calibration.blocks):
        raise ConversionError(f"{precision.name} needs the blocks that stay float; calibrate with islands=True")
    if calibration is None or not precision.calibrated:
        return quantize_onnx(source, precision, None, preprocessing)
    layers = calibration.float_layers if precision.islands else frozenset()
    kernels = {name: kernel for name, kernel in calibration.kernels_for(precision).items() if _int8(name, layers)}
    shifts = {name: shift for name, shift in calibration.shifts_for(precision).items() if _int8(name, layers)}
    ranges = calibration.ranges_for(precision)
    meant = with_shifted_biases(with_kernels(tflite, kernels), shifts)
    raised = storable_kernels(meant, ranges, per_tensor=calibration.per_tensor)
    kernels |= {name: kernel for name, kernel in raised.items() if _int8(name, layers)}
    given = with_shifted_onnx_biases(with_onnx_kernels(source, tflite, kernels), shifts)
    return quantize_onnx(
        given, precision, ranges, preprocessing, per_tensor=calibration.per_tensor, float_layers=layers
    )


def _int8(constant: str, float_layers: Collection[str]) -> bool:
    """Whether a kernel or bias belongs to a layer that becomes int8: `<layer>/bias`."""
    return constant.rpartition("/")[0] not in float_layers


def quantize_onnx(
    source: bytes,
    precision: Precision,
    ranges: Ranges | None,
    preprocessing: Preprocessing,
    *,
    per_tensor: bool = False,
    float_layers: Collection[str] = (),
) -> bytes:
    """The float file in another precision.

    Args:
        source: The float32 ONNX file.
        precision: An ONNX row of the table.
        ranges: Of the TFLite file's activations; needed if the precision is calibrated.
        preprocessing: Of the network.
        per_tensor: Whether the kernels of a calibrated precision have one scale each.
        float_layers: Names of the outputs, in the TFLite file, of the operators that stay float.

    Raises:
        ConversionError: a tool refused, or there is no range for a tensor.
    """
    if precision.name == "float32":
        return source
    try:
        if precision.name == "float16":
            made = convert_float_to_float16(onnx.load_from_string(source), keep_io_types=True)
            # The cast of the input is appended at the end; a graph must be in the order of its computation.
            OnnxModel(made).topological_sort()
        else:
            made = _to_qdq(source, ranges or {}, preprocessing, per_tensor=per_tensor, float_layers=float_layers)
    except ConversionError:
        raise
    except Exception as error:
        raise ConversionError(f"ONNX Runtime's tools refused {precision.name}: {error}") from error
    return bytes(made.SerializeToString(deterministic=True))


def _to_qdq(
    source: bytes, ranges: Ranges, preprocessing: Preprocessing, *, per_tensor: bool, float_layers: Collection[str]
) -> onnx.ModelProto:
    """Static int8 with quantize/dequantize pairs: activations are stored as the TFLite file has them, 128 higher.

    As uint8: on x86 ONNX Runtime has integer kernels for no other activations. It turns int8 into them by itself, but
    not a tensor that is read twice, and computes the layers before and behind every shortcut in float.
    ONNX Runtime's own calibration is given its result as a file, so that it runs no picture.
    """
    with tempfile.TemporaryDirectory(prefix="onnx-") as folder:
        given, prepared, made = (Path(folder) / f"{step}.onnx" for step in ("float", "prepared", "int8"))
        found = Path(folder) / "ranges.json"
        given.write_bytes(source)
        # Its symbolic shape inference wants sympy; our shapes are all fixed. Its optimizer finds nothing left to fold,
        # and takes a hard-swish apart, whose inner product would then be rounded, too.
        quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True, skip_optimization=True)
        graph = onnx.load(str(prepared)).graph
        known = tensor_ranges(graph, ranges)
        limits = {name: (np.float32(low), np.float32(high)) for name, (low, high) in known.items()}
        save_tensors_data(TensorsData(ort.CalibrationMethod.MinMax, limits), found)
        ort.quantize_static(
            str(prepared),
            str(made),
            None,
            quant_format=ort.QuantFormat.QDQ,
            nodes_to_exclude=[name for name, layer in node_layers(graph).items() if layer in float_layers],
            per_channel=not per_tensor,
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            calibrate_method=ort.CalibrationMethod.MinMax,
            calibration_cache_path=str(found),
            extra_options={"TensorQuantOverrides": _overrides(graph, known, preprocessing)},
        )
        return _with_whole_bytes(_with_tflite_biases(onnx.load(str(made)), graph), preprocessing)


def _with_tflite_biases(model: onnx.ModelProto, floats: onnx.GraphProto) -> onnx.ModelProto:
    """The network with biases divided by their scale in float32, as litert-quantizer does it: one in a thousand rounds
    another way in float64.
    """
    known = {tensor.name: tensor for tensor in (*floats.initializer, *model.graph.initializer)}
    for tensor in model.graph.initializer:
        bias = known.get(tensor.name.removesuffix("_quantized"))
        if tensor.data_type == onnx.TensorProto.INT32 and bias is not None and bias.name != tensor.name:
            scale = onnx.numpy_helper.to_array(known[f"{tensor.name}_scale"])
            stored = np.rint(onnx.numpy_helper.to_array(bias) / scale).astype(np.int32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(stored, tensor.name))
    return model


def _with_whole_bytes(model: onnx.ModelProto, preprocessing: Preprocessing) -> onnx.ModelProto:
    """The network with its picture moved to the integer input's zero point, where that is not the mean.

    Where the mean is 127.5, every byte lies between two steps, and rounding to even would send neighbours both ways;
    so moved, a byte becomes what it is in the TFLite file.
    """
    pixel, graph = input_quantization(preprocessing), model.graph
    if not pixel.residual:
        return model
    name, moved, offset = graph.input[0].name, f"{graph.input[0].name}_moved", f"{graph.input[0].name}/offset"
    for node in graph.node:
        node.input[:] = [moved if given == name else given for given in node.input]
    value = np.array((pixel.zero_point - preprocessing.mean[0]) * pixel.scale, np.float32)
    graph.initializer.append(onnx.numpy_helper.from_array(value, offset))
    graph.node.insert(0, onnx.helper.make_node("Sub", [name, offset], [moved], name=moved))
    return model


def tensor_ranges(graph: onnx.GraphProto, ranges: Ranges) -> Ranges:
    """The range of every activation of an ONNX graph, by those of the TFLite file that it was made from.

    Raises:
        ConversionError: a tensor that has no counterpart there.
    """
    known = dict(ranges)
    for node in graph.node:
        # tf2onnx gives a fully connected layer's output a number, but its kernel bears the layer's name.
        layers = [name.removesuffix("/kernel") for name in node.input if name.endswith("/kernel")]
        source = node.input[0] if node.op_type in KEEPING else next(iter(layers), "")
        for output in node.output:
            if output not in known and source not in known:
                raise ConversionError(
                    f"the ONNX graph computes {output} ({node.op_type}), which the TFLite file does not have, so that "
                    "int8 has no range for it; export the other precisions"
                )
            known.setdefault(output, known.get(source, (0.0, 0.0)))
    produced = {graph.input[0].name, *(output for node in graph.node for output in node.output)}
    return {name: interval for name, interval in known.items() if name in produced}


def _overrides(graph: onnx.GraphProto, ranges: Ranges, preprocessing: Preprocessing) -> Mapping[str, Any]:
    """Scale and zero point of every activation: to the last bit those of the TFLite file, the zero point 128 higher."""
    found = {name: scale_and_zero_point(*interval) for name, interval in ranges.items()}
    stored = {name: (scale, np.uint8(int(zero_point) + 128)) for name, (scale, zero_point) in found.items()}
    stored |= {node.output[0]: SOFTMAX for node in graph.node if node.op_type == "Softmax"}
    pixel = input_quantization(preprocessing)
    stored[_first_quantized(graph)] = np.float32(pixel.scale), np.uint8(pixel.zero_point)
    return {
        name: [{"quant_type": ort.QuantType.QUInt8, "scale": np.array(scale), "zero_point": np.array(zero_point)}]
        for name, (scale, zero_point) in stored.items()
    }


def _first_quantized(graph: onnx.GraphProto) -> str:
    """The picture's name where it is first computed with: behind the turn from NHWC to NCHW, which is not quantized."""
    name = graph.input[0].name
    turned = (node.output[0] for node in graph.node if node.op_type == "Transpose" and node.input[0] == name)
    return str(next(turned, name))
