"""What each worker process of an export does. Heavy imports stay inside, so that the parent never pays for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from export.artifact import Verification
from export.metadata.info import ModelInfo
from export.precision import Limits, Precision
from export.quantization.decision import Decision
from export.quantization.settings import NAIVE, QuantizationSettings
from export.work import WorkFiles, save_array, save_batches
from models.data import Dataset, Pixels, batches, lazy_pixels, load_dataset, stratified_sample
from models.errors import ConversionError
from models.spec import ModelSpec, Preprocessing
from models.worker import STARTING, Progress, Report

if TYPE_CHECKING:
    # LiteRT, which the parent of the workers need not load.
    from export.quantization.ranges import Ranges

CALIBRATION_IMAGES = 128
"""Unless another number is asked for, or there are not so many."""
PREPARE_STAGE = "prepare images"
PREPARE_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The pictures of a run, known by their digests."""

    dataset: str
    labels: tuple[str, ...]
    dataset_sha256: str
    calibration_images: int
    calibration_sha256: str
    """The same for any order of the pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What is written into every TFLite file."""

    info: ModelInfo
    labels: bytes
    """The content of `labels.txt`."""


def check_stage(report: Report, dataset: str, images: int | None, seed: int, max_drop: float | None = None) -> None:
    """Finds out whether the representative data set asked for can be had, and a budget be proven.

    Raises:
        DataError: the data set cannot give that many calibration images, or has too few test pictures.
    """
    from export.budget.rungs import check_provable

    data = load_dataset(dataset, report)
    _representative(data, images, seed)
    if max_drop is not None:
        check_provable(max_drop, len(data.splits["test"]))


def _representative(data: Dataset, images: int | None, seed: int) -> NDArray[np.int64]:
    """Indices of the pictures to calibrate with; by default as many as there are up to the usual number."""
    train = data.splits["train"]
    count = min(CALIBRATION_IMAGES, len(train)) if images is None else images
    return stratified_sample(data.classes, train, count, seed)


def prepare_stage(
    report: Report, dataset: str, spec: ModelSpec, images: int | None, seed: int, work: WorkFiles
) -> Prepared:
    """Writes test pictures, test classes and the representative data set as raw network input.

    Raises:
        DataError: the data set cannot give that many calibration images.
    """
    from export.calibrate import sample_digest

    data = load_dataset(dataset, report)
    chosen = _representative(data, images, seed)
    test = data.splits["test"]
    report(Progress(stage=PREPARE_STAGE, done=0, total=len(test)))
    calibration = lazy_pixels(data, chosen, spec.preprocessing, spec.resolution_px)[:]
    save_array(work.calibration_pixels, calibration)
    pixels = lazy_pixels(data, test, spec.preprocessing, spec.resolution_px)

    def counted() -> Iterator[Pixels]:
        done = 0
        for batch in batches(pixels, np.arange(len(test)), PREPARE_BATCH):
            yield batch
            done += len(batch)
            detail = f"{len(test)} test, {len(chosen)} calibration" if done == len(test) else ""
            report(Progress(stage=PREPARE_STAGE, done=done, total=len(test), detail=detail))

    save_batches(work.test_pixels, (len(test), spec.resolution_px, spec.resolution_px, 3), counted())
    save_array(work.test_classes, data.classes[test])
    return Prepared(
        dataset=data.name,
        labels=data.labels,
        dataset_sha256=data.digest,
        calibration_images=len(chosen),
        calibration_sha256=sample_digest(calibration),
    )


def convert_stage(
    report: Report,
    spec: ModelSpec,
    checkpoint: Path,
    output: str,
    onnx: bool,
    work: WorkFiles,
    settings: QuantizationSettings = NAIVE,
) -> Decision | None:
    """Makes the float files and the Keras reference, decides on equalization; see `export.to_float`."""
    report(Progress(stage=STARTING, done=0, total=1))
    from export.to_float import convert_float

    report(Progress(stage=STARTING, done=1, total=1))
    return convert_float(report, spec, checkpoint, output, onnx, work, settings)


def calibrate_stage(
    report: Report,
    spec: ModelSpec,
    settings: QuantizationSettings,
    work: WorkFiles,
    islands: bool = False,
    learned: Ranges | None = None,
) -> str:
    """Calibrates the float TFLite file for all 8-bit files; returns why the network has none, or nothing.

    Args:
        report: Receives the progress.
        spec: The network, with the preprocessing that the files take.
        settings: The levers.
        work: Where the float file and the pictures are.
        islands: Whether a precision is wanted of which blocks stay float.
        learned: Ranges of quantization-aware training instead of observed ones.

    Raises:
        DataError: no pictures, or activations that are not finite.
        UsageError: a block is to stay float that the network does not have.
    """
    from export.quantization.calibration import calibrate, save_calibration
    from export.quantization.learned import with_learned

    pixels, source = np.load(work.calibration_pixels), work.float_tflite.read_bytes()
    try:
        found = calibrate(source, pixels, spec.preprocessing, NAIVE if learned else settings, report, islands=islands)
        if learned:
            found = with_learned(found, source, learned)
    except ConversionError as error:
        return str(error)
    save_calibration(work.calibration, found)
    return ""


def tflite_stage(_: Report, precisions: tuple[Precision, ...], notes: Notes, work: WorkFiles) -> dict[str, str]:
    """Makes the TFLite files, with metadata in them; returns the precisions that failed, with the reason."""
    from export.metadata.write import add_metadata
    from export.quantization.calibration import load_calibration
    from export.quantize import make_tflite

    source, failures = work.float_tflite.read_bytes(), {}
    found = load_calibration(work.calibration) if any(precision.calibrated for precision in precisions) else None
    for precision in precisions:
        try:
            made = make_tflite(source, precision, found)
            work.made(precision).write_bytes(add_metadata(made, notes.info, notes.labels))
        except ConversionError as error:
            failures[f"tflite {precision.name}"] = str(error)
    return failures


def onnx_stage(_: Report, spec: ModelSpec, precisions: tuple[Precision, ...], work: WorkFiles) -> dict[str, str]:
    """Makes the ONNX files; returns the precisions that failed, with the reason."""
    from export.quantization.calibration import load_calibration
    from export.quantize_onnx import make_onnx

    source, tflite, failures = work.float_onnx.read_bytes(), work.float_tflite.read_bytes(), {}
    found = load_calibration(work.calibration) if any(precision.calibrated for precision in precisions) else None
    for precision in precisions:
        try:
            work.made(precision).write_bytes(make_onnx(source, tflite, precision, found, spec.preprocessing))
        except ConversionError as error:
            failures[f"onnx {precision.name}"] = str(error)
    return failures


def verify_stage(
    report: Report, precision: Precision, limits: Limits, preprocessing: Preprocessing, work: WorkFiles
) -> Verification:
    """Judges one made file; see `export.verify`."""
    from export.verify import verify_artifact

    return verify_artifact(report, work.made(precision), precision, limits, preprocessing, work)
