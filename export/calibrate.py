"""Activation ranges of a float TFLite file on the representative data set."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export.deployed import FRONT
from export.tflite_file import read_model
from models.data import Pixels, normalise
from models.errors import ConversionError, DataError
from models.spec import Preprocessing
from models.worker import Progress, Report

STAGE = "calibrate"
METHOD = "min-max over all images; input range exact from the preprocessing"

RANGE_FLOOR = 1e-4
"""Narrowest range of a tensor. Below 32767 * 6 / 2**31 = 9.2e-5 the builtin kernels cannot express ReLU6's limit in
steps of a 16-bit output scale (of an 8-bit one below 7e-7) and refuse the file. Behind a batch normalization, whose
outputs are of size 1, a tensor this narrow is constant for every purpose."""

Ranges = dict[str, tuple[float, float]]
"""Least and greatest value per tensor name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputQuantization:
    """How the integer input realises the preprocessing: `x = scale * (byte - zero_point)`."""

    scale: float
    zero_point: int
    """For bytes 0..255; 128 less for int8."""
    residual: float
    """Largest difference to the preprocessing, in grey levels."""


def input_quantization(preprocessing: Preprocessing) -> InputQuantization:
    """Scale and zero point under which raw bytes are the normalised picture.

    `(byte - mean) / std` is exact where the mean is a whole number; 127.5 leaves half a grey level.

    Raises:
        ConversionError: one scale and zero point cannot express it.
    """
    if len(set(preprocessing.mean)) > 1 or len(set(preprocessing.std)) > 1:
        raise ConversionError(
            f"int8 input has one scale for all channels, but mean {preprocessing.mean} and std {preprocessing.std} "
            "differ between channels; export float precisions only"
        )
    mean, std = preprocessing.mean[0], preprocessing.std[0]
    zero_point = round(mean)
    if not 0 <= zero_point <= 255:
        raise ConversionError(
            f"a mean of {mean} grey levels lies outside the bytes 0..255; export float precisions only"
        )
    return InputQuantization(scale=1 / std, zero_point=zero_point, residual=abs(mean - zero_point))


def sample_digest(pixels: Pixels) -> str:
    """SHA-256 of a representative data set, whatever the order of its pictures."""
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(image.tobytes()).digest() for image in pixels))).hexdigest()


def measure_ranges(tflite: bytes, pixels: Pixels, preprocessing: Preprocessing, report: Report) -> Ranges:
    """Least and greatest value of every activation over the pictures; their order does not matter.

    Args:
        tflite: A float32 file with batch 1.
        pixels: Raw pictures, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        report: Receives the progress.

    Raises:
        DataError: no pictures, or activations that are not finite.
        ConversionError: the preprocessing cannot be put into an integer input.
    """
    if not len(pixels):
        raise DataError("calibration needs at least one image")
    graph = read_model(tflite).subgraphs[0]
    produced = [int(index) for operator in graph.operators for index in operator.outputs]
    with warnings.catch_warnings():
        # The interpreter warns that keeping all tensors takes memory: 60 MB at 224 px, and they are what is wanted.
        warnings.simplefilter("ignore")
        interpreter = Interpreter(model_content=tflite, num_threads=2, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    least = np.full(len(produced), np.inf)
    greatest = np.full(len(produced), -np.inf)
    for number, image in enumerate(pixels):
        interpreter.set_tensor(int(graph.inputs[0]), normalise(image[None], preprocessing))
        interpreter.invoke()
        for row, index in enumerate(produced):
            values = interpreter.get_tensor(index)
            least[row] = min(least[row], values.min())
            greatest[row] = max(greatest[row], values.max())
        report(Progress(stage=STAGE, done=number + 1, total=len(pixels)))
    names = [graph.tensors[index].name.decode() for index in produced]
    if FRONT in names:
        # Exact as the input's: what it gives for black and white bounds what it gives for any picture.
        row = names.index(FRONT)
        for byte in (0, 255):
            frame = np.full_like(pixels[:1], byte)
            interpreter.set_tensor(int(graph.inputs[0]), normalise(frame, preprocessing))
            interpreter.invoke()
            values = interpreter.get_tensor(produced[row])
            least[row], greatest[row] = min(least[row], values.min()), max(greatest[row], values.max())
    unfinished = [n for n, low, high in zip(names, least, greatest, strict=True) if not np.isfinite([low, high]).all()]
    if unfinished:
        raise DataError(
            f"activations of {unfinished[0]} are not finite on the calibration images; check the checkpoint"
        )
    ranges = {n: _widened(low, high) for n, low, high in zip(names, least, greatest, strict=True)}
    pixel = input_quantization(preprocessing)
    ranges[graph.tensors[graph.inputs[0]].name.decode()] = (
        -pixel.zero_point * pixel.scale,
        (255 - pixel.zero_point) * pixel.scale,
    )
    return ranges


def _widened(low: float, high: float) -> tuple[float, float]:
    """The range with zero in it, as integer arithmetic needs it, and not narrower than the floor."""
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    return (low, max(high, low + RANGE_FLOOR))


def as_statistics(ranges: Ranges, tflite: bytes) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The ranges in litert-quantizer's form: arrays with one element and the tensor's rank."""
    ranks = {t.name.decode(): len(t.shape) for t in read_model(tflite).subgraphs[0].tensors if t.shape is not None}
    return {
        name: {key: np.full((1,) * ranks[name], value, np.float32) for key, value in (("min", low), ("max", high))}
        for name, (low, high) in ranges.items()
    }
