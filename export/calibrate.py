"""What calibration is made of: the exact integer input, the sample's digest, and the ranges of all tensors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from export.quantization.observe import Observations, observe
from export.quantization.ranges import Ranges, file_ranges
from export.quantization.settings import NAIVE, QuantizationSettings
from export.tflite_file import read_model
from models.data import Pixels
from models.errors import ConversionError
from models.spec import Preprocessing
from models.worker import Report


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


def measure_ranges(
    tflite: bytes,
    pixels: Pixels,
    preprocessing: Preprocessing,
    report: Report,
    settings: QuantizationSettings = NAIVE,
) -> Ranges:
    """A range for every activation and the input, the same in any order of the pictures.

    Args:
        tflite: A float32 file with batch 1.
        pixels: Raw pictures, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        report: Receives the progress.
        settings: How ranges follow from what is observed.

    Raises:
        DataError: no pictures, or activations that are not finite.
        ConversionError: the preprocessing cannot be put into an integer input.
    """
    input_quantization(preprocessing)
    return all_ranges(tflite, observe(tflite, pixels, preprocessing, report), preprocessing, settings)


def all_ranges(
    tflite: bytes, observations: Observations, preprocessing: Preprocessing, settings: QuantizationSettings
) -> Ranges:
    """A range for every observed tensor, and the input's, which follows from the preprocessing.

    Raises:
        ConversionError: the preprocessing cannot be put into an integer input.
    """
    pixel, graph = input_quantization(preprocessing), read_model(tflite).subgraphs[0]
    name = graph.tensors[graph.inputs[0]].name.decode()
    range_of_bytes = (-pixel.zero_point * pixel.scale, (255 - pixel.zero_point) * pixel.scale)
    return {**file_ranges(tflite, observations, settings), name: range_of_bytes}
