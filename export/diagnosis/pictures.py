"""The pictures of an examination: some of the test split, and those on record as the representative data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.calibrate import sample_digest
from export.diagnosis.subject import Subject
from export.diagnosis.values import Calibration
from export.quantization.settings import LEARNED_RANGES
from models.data import Dataset, Pixels, lazy_pixels, load_dataset, stratified_sample
from models.errors import DataError
from models.spec import Preprocessing
from models.worker import Report

SEED = 0
CALIBRATION_IMAGES = 256
"""Of those on record, at most, whose ranges are compared with the stored ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Raw network input, uint8 `[N, H, W, 3]`."""

    data: Dataset
    numbers: NDArray[np.int64]
    """Of the test pictures, in the data set."""
    test: Pixels
    classes: NDArray[np.int64]
    """Of the test pictures."""
    calibration: Calibration
    """What is on record."""
    representative: Pixels
    """What the data set gives for it."""

    def some(self, count: int) -> Pixels:
        """Test pictures, spread over the classes and over the split."""
        chosen = np.unique(np.linspace(0, len(self.test) - 1, min(count, len(self.test))).astype(int))
        return np.asarray(self.test[chosen])


def read_pictures(subject: Subject, preprocessing: Preprocessing, count: int, report: Report) -> Pictures:
    """The pictures that a subject is examined with.

    Args:
        subject: The export.
        preprocessing: Of its files.
        count: How many test pictures, at most.
        report: Receives the progress.

    Raises:
        DataError: the data set is not the one that the files were verified with.
    """
    data = load_dataset(subject.dataset, report)
    if data.digest != subject.manifest.weights["dataset_sha256"]:
        raise DataError(
            f"data set {subject.dataset} is not the one that {subject.folder} was verified with; give that with "
            "--dataset"
        )
    side_px = subject.float_file.input.shape[1]
    numbers = np.sort(np.random.default_rng(SEED).permutation(data.splits["test"])[:count])
    record, train = subject.manifest.calibration, data.splits["train"]
    chosen = stratified_sample(data.classes, train, min(record["images"], len(train)), record["seed"])
    representative = lazy_pixels(data, chosen, preprocessing, side_px)[:]
    known = sample_digest(representative) == record["sha256"]
    return Pictures(
        data=data,
        numbers=numbers,
        test=lazy_pixels(data, numbers, preprocessing, side_px)[:],
        classes=data.classes[numbers],
        calibration=Calibration(
            images=record["images"],
            known=known,
            reason="" if known else "the data set gives other pictures for that number and seed than those on record",
            exact=known and len(representative) <= CALIBRATION_IMAGES and record.get("ranges") != LEARNED_RANGES,
        ),
        representative=representative[:CALIBRATION_IMAGES],
    )
