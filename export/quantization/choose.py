"""Whether a network's int8 files are nearer to float when its channels are equalized: both are made and measured."""

from __future__ import annotations

from dataclasses import replace

from export.precision import PRECISIONS
from export.quantization.calibration import calibrate
from export.quantization.decision import Decision
from export.quantization.meter import Meter
from export.quantization.pictures import some_pictures
from export.quantization.settings import QuantizationSettings
from export.quantize import make_tflite
from models.data import Pixels
from models.errors import ConversionError
from models.spec import Preprocessing
from models.worker import Progress, Report

STAGE = "equalize"
CALIBRATED, MEASURED = 32, 64
"""Pictures of the representative data set, others for each as far as there are enough. With all 128 to calibrate, the
gain is no nearer to that on test pictures."""


def choose(
    tflite: bytes,
    equalized: bytes,
    groups: int,
    pixels: Pixels,
    preprocessing: Preprocessing,
    settings: QuantizationSettings,
    report: Report,
) -> Decision:
    """The decision between a float file and its equalized form, by the int8 files that are made of both.

    Args:
        tflite: The float32 file of the network as it is, with batch 1.
        equalized: Of the same network with rescaled channels.
        groups: Of channels that were rescaled.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        preprocessing: Of the files.
        settings: The other levers.
        report: Receives the progress.

    Raises:
        DataError: no pictures, or activations that are not finite.
    """
    chosen = some_pictures(pixels, CALIBRATED)
    meter = Meter(tflite, some_pictures(pixels, MEASURED, from_end=True), preprocessing)
    found = []
    for done, source in enumerate((tflite, equalized)):
        report(Progress(stage=STAGE, done=done, total=2))
        try:
            calibration = calibrate(source, chosen, preprocessing, replace(settings, float_blocks=None), _silent)
            made = make_tflite(source, PRECISIONS["tflite", "int8_npu"], calibration)
            found.append(round(meter.sqnr_db(made), 2))
        except ConversionError:
            # Whoever makes or verifies the 8-bit files says why there are none.
            break
    decision = Decision(groups=groups)
    if len(found) == 2:
        decision = replace(decision, sqnr_db=found[0], equalized_sqnr_db=found[1])
    report(Progress(stage=STAGE, done=2, total=2, detail=decision.words))
    return decision


def _silent(_: Progress) -> None:
    """The stages within are short."""
