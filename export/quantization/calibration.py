"""`Calibration`: what the representative data set says of a network, for every 8-bit file that is made of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from export.calibrate import all_ranges, input_quantization
from export.precision import Precision
from export.quantization.bias import Shifts, bias_shifts
from export.quantization.observe import observe
from export.quantization.ranges import Ranges
from export.quantization.settings import NAIVE, QuantizationSettings
from models.data import Pixels
from models.spec import Preprocessing
from models.worker import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Ranges by the name of the tensor in the float TFLite file."""

    ranges: Ranges
    """For activations of 8 bits."""
    wide_ranges: Ranges
    """For activations of 16 bits: nothing is cut off, as the steps are fine enough."""

    shifts: Shifts
    """What to add to biases for activations of 8 bits; nothing where biases are not corrected."""

    def ranges_for(self, precision: Precision) -> Ranges:
        """Those that a precision's activations are stored with."""
        return self.wide_ranges if precision.activation_dtype == "int16" else self.ranges

    def shifts_for(self, precision: Precision) -> Shifts:
        """What a precision's biases are corrected by: 16-bit inputs have no half grey level to make up for."""
        return self.shifts if precision.calibrated and precision.activation_dtype == "int8" else {}


def calibrate(
    tflite: bytes, pixels: Pixels, preprocessing: Preprocessing, settings: QuantizationSettings, report: Report
) -> Calibration:
    """All that 8-bit files need, the same in any order of the pictures.

    Args:
        tflite: The float32 file, with batch 1.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        settings: The levers.
        report: Receives the progress.

    Raises:
        DataError: no pictures, or activations that are not finite.
        ConversionError: the preprocessing cannot be put into an integer input.
    """
    input_quantization(preprocessing)
    seen = observe(tflite, pixels, preprocessing, report)
    return Calibration(
        ranges=all_ranges(tflite, seen, preprocessing, settings),
        wide_ranges=all_ranges(tflite, seen, preprocessing, NAIVE),
        shifts=bias_shifts(tflite, pixels, preprocessing, report) if settings.bias_correction else {},
    )


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Writes it as JSON, in which floats keep every bit.

    Raises:
        OSError: with the system's reason.
    """
    path.write_text(json.dumps(asdict(calibration)), "utf-8")


def load_calibration(path: Path) -> Calibration:
    """What `save_calibration` wrote.

    Raises:
        OSError: it is not there.
    """
    value = json.loads(path.read_text("utf-8"))
    return Calibration(**{key: {name: tuple(row) for name, row in value[key].items()} for key in value})
