"""TFLite precisions from the one float TFLite file, by litert-quantizer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from litert_quantizer import qtyping, quantizer, recipe, recipe_manager
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor
from litert_quantizer.utils import progress_utils
from numpy.typing import NDArray

from export.precision import Precision
from export.quantization.bias import with_shifted_biases
from export.quantization.islands import with_float_islands
from export.quantization.kernels import with_kernels, with_storable_biases
from export.quantization.ranges import Ranges, as_statistics
from export.tflite_file import builtin_name, read_model, with_uint8_edges, write_model
from models.errors import ConversionError

if TYPE_CHECKING:
    from export.quantization.calibration import Calibration

# A lock between processes otherwise, which a process that Ctrl-C ends leaves behind, and Python says so.
progress_utils.tqdm.tqdm.set_lock(threading.RLock())


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


def _static_recipe(activation_bits: int, granularity: qtyping.QuantGranularity) -> Any:
    """Integer activations, int8 weights with a scale per output channel or per kernel."""
    manager = recipe_manager.RecipeManager()
    manager.add_static_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        activation_num_bits=activation_bits,
        weight_num_bits=8,
        weight_granularity=granularity,
    )
    return manager.get_quantization_recipe()


RECIPES: Mapping[str, Callable[[qtyping.QuantGranularity], Any]] = MappingProxyType(
    {
        "float16": lambda _: _float16_recipe(),
        "dynamic_range": lambda _: _dynamic_range_recipe(),
        "int8": partial(_static_recipe, 8),
        "int8_npu": partial(_static_recipe, 8),
        "int8_mixed": partial(_static_recipe, 8),
        "int16x8": partial(_static_recipe, 16),
    }
)


def make_tflite(tflite: bytes, precision: Precision, calibration: Calibration | None) -> bytes:
    """The float file in another precision, with all levers that its calibration pulled.

    Args:
        tflite: The float32 file.
        precision: A TFLite row of the table.
        calibration: Needed if the precision is calibrated.

    Raises:
        ConversionError: the quantizer refused, or there are no blocks for float islands.
    """
    if precision.islands and not (calibration and calibration.blocks):
        raise ConversionError(f"{precision.name} needs the blocks that stay float; calibrate with islands=True")
    if calibration is None or not precision.calibrated:
        return quantize_tflite(tflite, precision, None)
    source = with_kernels(tflite, calibration.kernels_for(precision))
    source = with_shifted_biases(source, calibration.shifts_for(precision))
    content = _quantized(source, precision, calibration.ranges_for(precision), per_tensor=calibration.per_tensor)
    if precision.islands:
        content = with_float_islands(content, tflite, calibration.float_layers)
    return with_uint8_edges(content) if precision.input_dtype == "uint8" else content


def quantize_tflite(tflite: bytes, precision: Precision, ranges: Ranges | None, *, per_tensor: bool = False) -> bytes:
    """The float file in another precision, without float islands.

    Args:
        tflite: The float32 file.
        precision: A TFLite row of the table.
        ranges: Of all activations; needed if the precision is calibrated.
        per_tensor: Whether the kernels of a calibrated precision have one scale each.

    Raises:
        ConversionError: the quantizer refused.
    """
    content = _quantized(tflite, precision, ranges, per_tensor=per_tensor)
    return with_uint8_edges(content) if precision.input_dtype == "uint8" else content


def _quantized(tflite: bytes, precision: Precision, ranges: Ranges | None, *, per_tensor: bool) -> bytes:
    """The same, but with int8 input and output where they are to be uint8."""
    if precision.name == "float32":
        return tflite
    statistics, source = None, tflite
    granularity = qtyping.QuantGranularity.TENSORWISE if per_tensor else qtyping.QuantGranularity.CHANNELWISE
    try:
        _refuse_float_islands(tflite, precision)
        if precision.calibrated and ranges is not None:
            bits = _BITS[precision.activation_dtype]
            statistics = as_statistics(ranges, tflite)
            source = with_storable_biases(tflite, ranges, bits=bits, per_tensor=per_tensor)
        with large_kernels():
            result = quantizer.Quantizer(source, RECIPES[precision.name](granularity)).quantize(
                statistics, enable_progress_bar=False, enable_progress_report=False
            )
    except ConversionError:
        raise
    except Exception as error:
        raise ConversionError(f"litert-quantizer refused {precision.name}: {error}") from error
    return write_model(read_model(bytes(result.quantized_model)))


_BITS = {"int8": 8, "int16": 16}


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
