"""TFLite precisions from the one float TFLite file, by litert-quantizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from litert_quantizer import qtyping, quantizer, recipe, recipe_manager
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor
from numpy.typing import NDArray

from export.precision import Precision
from export.quantization.ranges import Ranges, as_statistics
from export.tflite_file import builtin_name, read_model, with_uint8_edges, write_model
from models.errors import ConversionError


def _float16_recipe() -> Any:
    """Weights as float16; the runtime widens them to float32, or a GPU computes in float16 at once."""
    manager = recipe_manager.RecipeManager()
    manager.add_quantization_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        algorithm_key=AlgorithmName.FLOAT_CASTING,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
    )
    return manager.get_quantization_recipe()


def _dynamic_range_recipe() -> Any:
    """Int8 weights per output channel, but one scale for the classifier's.

    tflite-runtime 2.14's kernel for a fully connected layer with float activations reads one scale only: given one per
    channel it computes nonsense without a word (12.5 % agreement measured, against 96 % with one scale).
    """
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    manager.add_dynamic_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.FULLY_CONNECTED,
        num_bits=8,
        granularity=qtyping.QuantGranularity.TENSORWISE,
    )
    return manager.get_quantization_recipe()


RECIPES: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        "float16": _float16_recipe,
        "dynamic_range": _dynamic_range_recipe,
        "int8": recipe.static_wi8_ai8,
        "int8_npu": recipe.static_wi8_ai8,
        "int16x8": recipe.static_wi8_ai16,
    }
)


def quantize_tflite(tflite: bytes, precision: Precision, ranges: Ranges | None) -> bytes:
    """The float file in another precision.

    Args:
        tflite: The float32 file.
        precision: A TFLite row of the table.
        ranges: Of all activations; needed if the precision is calibrated.

    Raises:
        ConversionError: the quantizer refused.
    """
    if precision.name == "float32":
        return tflite
    statistics, source = None, tflite
    try:
        _refuse_float_islands(tflite, precision)
        if precision.calibrated and ranges is not None:
            statistics = as_statistics(ranges, tflite)
            source = _with_storable_biases(tflite, precision, ranges)
        with large_kernels():
            result = quantizer.Quantizer(source, RECIPES[precision.name]()).quantize(
                statistics, enable_progress_bar=False, enable_progress_report=False
            )
    except ConversionError:
        raise
    except Exception as error:
        raise ConversionError(f"litert-quantizer refused {precision.name}: {error}") from error
    content = write_model(read_model(bytes(result.quantized_model)))
    return with_uint8_edges(content) if precision.input_dtype == "uint8" else content


@contextmanager
def large_kernels() -> Iterator[None]:
    """Lets litert-quantizer 0.11 round kernels above 32 MiB, where it spreads scales of rank 4 over a matrix and fails.

    As a matrix from the start, one row per output channel, a kernel has the same numbers and scales of the same rank.
    """
    original = uniform_quantize_tensor.uniform_quantize

    def by_rows(kernel: NDArray[Any], parameters: Any, *more: Any, **options: Any) -> NDArray[Any]:
        if kernel.ndim != 4 or kernel.nbytes <= 32 << 20 or parameters.quantized_dimension:
            return np.asarray(original(kernel, parameters, *more, **options))
        flat = replace(
            parameters, scale=parameters.scale.reshape(-1, 1), zero_point=parameters.zero_point.reshape(-1, 1)
        )
        return np.asarray(original(kernel.reshape(len(kernel), -1), flat, *more, **options)).reshape(kernel.shape)

    uniform_quantize_tensor.uniform_quantize = by_rows
    try:
        yield
    finally:
        uniform_quantize_tensor.uniform_quantize = original


def _refuse_float_islands(tflite: bytes, precision: Precision) -> None:
    """litert-quantizer leaves what it cannot quantize as float, between conversions that cost more than int8 gains."""
    model = read_model(tflite)
    names = {builtin_name(model.operatorCodes[operator.opcodeIndex]) for operator in model.subgraphs[0].operators}
    if precision.activation_dtype == "int16" and "HARD_SWISH" in names:
        raise ConversionError(
            f"{precision.name} has no 16-bit HARD_SWISH, neither in LiteRT nor in its quantizer; take int8, or a "
            "network with ReLU6"
        )


_CHANNEL_LAST = {"CONV_2D": False, "FULLY_CONNECTED": False, "DEPTHWISE_CONV_2D": True}
"""Whether the output channel is the last axis of an operator's kernel, or the first."""


def _with_storable_biases(tflite: bytes, precision: Precision, ranges: Ranges) -> bytes:
    """The float network with one small weight in each dead kernel, so that the channel's bias can be stored.

    A bias is an int32 in steps of input scale times kernel scale. Training leaves channels whose kernel is nearly zero;
    their steps are so small that the bias overflows, to a large one of the wrong sign. The weight that prevents it
    moves the channel by 3e-5 of its bias at most (4e-3 with 16-bit inputs).
    """
    model = read_model(tflite)
    graph = model.subgraphs[0]
    for operator in graph.operators:
        name = builtin_name(model.operatorCodes[operator.opcodeIndex])
        if name not in _CHANNEL_LAST or len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        given, kernel, bias = (graph.tensors[index] for index in operator.inputs[:3])
        low, high = ranges[given.name.decode()]
        scale = max(-low, high) / 32767 if precision.activation_dtype == "int16" else (high - low) / 255
        # Half the range of int32, so that the products have room beside the bias.
        least = np.abs(model.buffers[bias.buffer].data.view(np.float32)) * 127 / (scale * 2**30)
        weights = model.buffers[kernel.buffer].data.view(np.float32).copy()
        channels = weights.reshape(-1, len(least)).T if _CHANNEL_LAST[name] else weights.reshape(len(least), -1)
        dead = np.abs(channels).max(axis=1) < least
        channels[dead, 0] = least[dead]
        model.buffers[kernel.buffer].data = weights.view(np.uint8)
    return write_model(model)
