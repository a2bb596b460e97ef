"""ONNX precisions from the one float ONNX file, by ONNX Runtime's tools."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization as ort
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from export.calibrate import input_quantization
from export.precision import Precision
from models.data import Pixels, normalise
from models.errors import ConversionError
from models.spec import Preprocessing
from models.worker import Progress, Report

STAGE = "calibrate ONNX"


class _Samples(ort.CalibrationDataReader):  # type: ignore[misc]
    """The representative data set, one normalised picture at a time."""

    def __init__(self, name: str, pixels: Pixels, preprocessing: Preprocessing, report: Report) -> None:
        self.feeds = self._feeds(name, pixels, preprocessing, report)

    @staticmethod
    def _feeds(
        name: str, pixels: Pixels, preprocessing: Preprocessing, report: Report
    ) -> Iterator[dict[str, NDArray[np.float32]]]:
        for number, image in enumerate(pixels):
            yield {name: normalise(image[None], preprocessing)}
            report(Progress(stage=STAGE, done=number + 1, total=len(pixels)))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self.feeds, None)


def quantize_onnx(
    source: bytes, precision: Precision, pixels: Pixels, preprocessing: Preprocessing, report: Report
) -> bytes:
    """The float file in another precision.

    Args:
        source: The float32 ONNX file.
        precision: An ONNX row of the table.
        pixels: The representative data set, uint8 `[N, H, W, 3]`; used if the precision is calibrated.
        preprocessing: Of the network.
        report: Receives the progress of the calibration.

    Raises:
        ConversionError: a tool refused.
    """
    if precision.name == "float32":
        return source
    try:
        if precision.name == "float16":
            made = convert_float_to_float16(onnx.load_from_string(source), keep_io_types=True)
            # The cast of the input is appended at the end; a graph must be in the order of its computation.
            OnnxModel(made).topological_sort()
        else:
            made = _to_qdq(source, pixels, preprocessing, report)
    except Exception as error:
        raise ConversionError(f"ONNX Runtime's tools refused {precision.name}: {error}") from error
    return bytes(made.SerializeToString(deterministic=True))


def _to_qdq(source: bytes, pixels: Pixels, preprocessing: Preprocessing, report: Report) -> onnx.ModelProto:
    """Static int8 with quantize/dequantize pairs: weights per output channel, activations per tensor."""
    name = onnx.load_from_string(source).graph.input[0].name
    pixel = input_quantization(preprocessing)
    with tempfile.TemporaryDirectory(prefix="onnx-") as folder:
        given, prepared, made = (Path(folder) / f"{step}.onnx" for step in ("float", "prepared", "int8"))
        given.write_bytes(source)
        # Its symbolic shape inference wants sympy; our shapes are all fixed.
        quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
        ort.quantize_static(
            str(prepared),
            str(made),
            _Samples(name, pixels, preprocessing, report),
            quant_format=ort.QuantFormat.QDQ,
            per_channel=True,
            activation_type=ort.QuantType.QInt8,
            weight_type=ort.QuantType.QInt8,
            calibrate_method=ort.CalibrationMethod.MinMax,
            extra_options={
                "TensorQuantOverrides": {
                    _first_quantized(onnx.load(str(prepared)).graph): [
                        {
                            "quant_type": ort.QuantType.QInt8,
                            "scale": np.array(pixel.scale, np.float32),
                            "zero_point": np.array(pixel.zero_point - 128, np.int8),
                        }
                    ]
                }
            },
        )
        return onnx.load(str(made))


def _first_quantized(graph: onnx.GraphProto) -> str:
    """The picture's name where it is first computed with: behind the turn from NHWC to NCHW, which is not quantized."""
    name = graph.input[0].name
    turned = (node.output[0] for node in graph.node if node.op_type == "Transpose" and node.input[0] == name)
    return str(next(turned, name))
