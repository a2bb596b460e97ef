"""`Calibration`: what the representative data set says of a network, for every 8-bit file that is made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from export.calibrate import all_ranges, input_quantization
from export.precision import PRECISIONS, Precision
from export.quantization.bias import Shifts, bias_shifts
from export.quantization.blocks import Block
from export.quantization.kernels import Kernels
from export.quantization.observe import observe
from export.quantization.ranges import Ranges
from export.quantization.rounding import round_kernels
from export.quantization.sensitivity import rank_blocks
from export.quantization.settings import NAIVE, QuantizationSettings
from export.quantize import make_tflite
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
    kernels: Kernels = field(default_factory=dict)
    """Those whose rounding was chosen: every weight is a whole number of its channel's steps."""
    per_tensor: bool = False
    """Kernels have one scale each."""
    blocks: tuple[Block, ...] = ()
    """Those that stay float in the precisions with islands."""

    def ranges_for(self, precision: Precision) -> Ranges:
        """Those that a precision's activations are stored with."""
        return self.wide_ranges if precision.activation_dtype == "int16" else self.ranges

    def shifts_for(self, precision: Precision) -> Shifts:
        """What a precision's biases are corrected by: 16-bit inputs have no half grey level to make up for."""
        return self.shifts if precision.has_bytes else {}

    def kernels_for(self, precision: Precision) -> Kernels:
        """The kernels that its biases were corrected for."""
        return self.kernels if precision.has_bytes else {}

    @property
    def float_layers(self) -> frozenset[str]:
        """Names of the outputs of the operators that stay float in the precisions with islands."""
        return frozenset(layer for block in self.blocks for layer in block.layers)


def calibrate(
    tflite: bytes,
    pixels: Pixels,
    preprocessing: Preprocessing,
    settings: QuantizationSettings,
    report: Report,
    *,
    islands: bool = False,
) -> Calibration:
    """All that 8-bit files need, the same in any order of the pictures.

    Args:
        tflite: The float32 file, with batch 1.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        settings: The levers.
        report: Receives the progress.
        islands: Choose the blocks that stay float, too, which takes a while.

    Raises:
        DataError: no pictures, or activations that are not finite.
        ConversionError: the preprocessing cannot be put into an integer input.
        UsageError: a block is asked for that the network does not have.
    """
    input_quantization(preprocessing)
    seen, per_tensor = observe(tflite, pixels, preprocessing, report), settings.per_tensor
    kernels: Kernels = {}
    if settings.rounding:
        centred = settings.bias_correction
        kernels = round_kernels(tflite, pixels, preprocessing, report, centred=centred, per_tensor=per_tensor)
    shifts: Shifts = {}
    if settings.bias_correction:
        shifts = bias_shifts(tflite, pixels, preprocessing, report, kernels=kernels, per_tensor=per_tensor)
    found = Calibration(
        ranges=all_ranges(tflite, seen, preprocessing, settings),
        wide_ranges=all_ranges(tflite, seen, preprocessing, NAIVE),
        shifts=shifts,
        kernels=kernels,
        per_tensor=per_tensor,
    )
    if not islands:
        return found
    int8 = make_tflite(tflite, PRECISIONS["tflite", "int8_npu"], found)
    blocks = rank_blocks(tflite, int8, pixels, preprocessing, report, wanted=settings.float_blocks)
    return replace(found, blocks=blocks)


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Writes it as JSON, in which floats keep every bit, with the kernels in a file beside it.

    Raises:
        OSError: with the system's reason.
    """
    value = {
        "ranges": calibration.ranges,
        "wide_ranges": calibration.wide_ranges,
        "shifts": calibration.shifts,
        "per_tensor": calibration.per_tensor,
        "blocks": [block.to_json() for block in calibration.blocks],
    }
    with _kernels_path(path).open("wb") as file:
        # Numbered: a name from a user's network is no name for a file in an archive.
        kernels: Any = {f"kernel_{row}": kernel for row, kernel in enumerate(calibration.kernels.values())}
        np.savez(file, **kernels)
    path.write_text(json.dumps({**value, "kernels": list(calibration.kernels)}), "utf-8")


def load_calibration(path: Path) -> Calibration:
    """What `save_calibration` wrote.

    Raises:
        OSError: it is not there.
    """
    value = json.loads(path.read_text("utf-8"))
    intervals = {key: {name: tuple(row) for name, row in value[key].items()} for key in _BY_TENSOR}
    with np.load(_kernels_path(path), allow_pickle=False) as stored:
        kernels = {name: stored[f"kernel_{row}"] for row, name in enumerate(value["kernels"])}
    blocks = tuple(Block.from_json(block) for block in value["blocks"])
    return Calibration(**intervals, kernels=kernels, per_tensor=value["per_tensor"], blocks=blocks)


_BY_TENSOR = ("ranges", "wide_ranges", "shifts")


def _kernels_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.npz")
