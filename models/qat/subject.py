"""The subject of a quantization-aware training: the twin of a trained float network. Imports Keras."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras

from models.checkpoint import KERAS_FILE, load_trained
from models.data import Dataset, lazy_pixels, stratified_sample
from models.errors import DataError, WeightsError
from models.load import load_checkpoint
from models.qat.begin import IMAGES, begin_ranges
from models.qat.network import build_twin, learned_ranges, take_weights, unfold
from models.spec import ModelSpec
from models.training.settings import TrainSettings
from models.training.subject import Subject, Weights
from models.worker import Report


def quantized_subject(spec: ModelSpec, dataset: Dataset, settings: TrainSettings, report: Report) -> Subject:
    """The twin, which begins with the float network's weights and the ranges that suit them.

    Raises:
        WeightsError: the checkpoint cannot be used, or is of another network or other classes.
        DataError: it was trained on another edition of the data.
        UsageError: no integer input realises the preprocessing.
    """
    path = Path(settings.fine_tune or "")
    _check_edition(path, dataset)
    trained = load_checkpoint(path, spec)

    def start(twin: keras.Model) -> None:
        take_weights(twin, trained, spec)
        train = dataset.splits["train"]
        chosen = stratified_sample(dataset.classes, train, min(IMAGES, len(train)), settings.seed)
        pixels = lazy_pixels(dataset, chosen, spec.preprocessing, spec.resolution_px)[:]
        begin_ranges(twin, trained, spec, pixels, report)

    def finish(twin: keras.Model) -> Weights:
        kept = unfold(twin, spec)
        take_weights(twin, kept, spec)
        return list(kept.get_weights())

    def describe(twin: keras.Model) -> Mapping[str, Any]:
        return {"quantization": {"ranges": {name: list(ends) for name, ends in learned_ranges(twin, spec).items()}}}

    make = partial(build_twin, spec, resolution_px=0)
    return Subject(make=make, start=start, finish=finish, describe=describe, keeps_start=True)


def _check_edition(path: Path, dataset: Dataset) -> None:
    """Refuses a network that may have been trained on what are test pictures now."""
    try:
        before = load_trained(path.parent) if path.name == KERAS_FILE else None
    except WeightsError:
        # The record beside it is of another file; of this one nothing is known.
        return
    known = before.record.get("dataset", {}) if before else {}
    if known.get("name") == dataset.name and known.get("sha256") not in (None, dataset.digest):
        raise DataError(
            f"{path} was trained on another edition of the data set, whose training pictures may be test pictures "
            "now; train the float network again first"
        )
