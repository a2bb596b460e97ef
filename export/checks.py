"""What an export refuses: labels, data and weights that do not belong together."""

from __future__ import annotations

import numpy as np

from export.request import ExportRequest
from export.stages import Prepared
from export.work import WorkFiles
from models.checkpoint import TrainedModel
from models.errors import DataError, WeightsError
from models.files import sha256_file
from models.imagenet.classes import background_hint
from models.imagenet.released import CLASS_COUNT
from models.weights import RANDOM


def class_names(request: ExportRequest, labels: tuple[str, ...]) -> tuple[str, ...]:
    """The names given, else the data set's; as many as the data set has classes, and a user's own network too.

    Raises:
        DataError: they are not as many.
    """
    own, named = request.spec.own, request.labels or labels
    if own and request.spec.num_classes != len(labels):
        count = request.spec.num_classes
        raise DataError(
            f"{own.path} has {count} classes{background_hint(None, count)}, the data set {request.dataset} has "
            f"{len(labels)}; {_remedy(count)}"
        )
    check_labels(request, len(labels))
    return named


def check_labels(request: ExportRequest, count: int) -> None:
    """Refuses another number of names than there are classes."""
    named = request.labels
    if named and len(named) != count:
        raise DataError(
            f"--labels names {len(named)} classes{background_hint(named, len(named))}, the data set {request.dataset} "
            f"has {count}; write one name per line, in the order of the class indices"
        )


def _remedy(count: int) -> str:
    """Against a data set with another number of classes than a user's own network."""
    if count == CLASS_COUNT:
        return f"for ImageNet's {CLASS_COUNT} give a folder of any of them with --dataset imagenet:DIR"
    if background_hint(None, count):
        return "cut the first unit off its last layer and save it again, then use --dataset imagenet:DIR"
    return "give the data set it was trained on with --dataset"


def check_data(weights: TrainedModel, prepared: Prepared) -> None:
    """Refuses weights trained on another edition of the data, whose split may have trained on today's test pictures."""
    trained_on = weights.record.get("dataset", {}).get("sha256")
    if trained_on and trained_on != prepared.dataset_sha256:
        raise DataError(
            f"{weights.path} was trained on another edition of the data set (sha256 {trained_on[:12]}…, now "
            f"{prepared.dataset_sha256[:12]}…); train again with `make train MODEL={weights.model} DATASET=…`"
        )


def check_unchanged(weights: TrainedModel) -> None:
    """Refuses to vouch for a checkpoint that a training wrote over while it was being read."""
    if sha256_file(weights.path) != weights.sha256:
        raise WeightsError(
            f"checkpoint {weights.path} changed while it was read; copy it to a quiet place and export that"
        )


def check_reference(weights: TrainedModel, work: WorkFiles) -> None:
    """Refuses a checkpoint that cannot tell two pictures apart: agreement with it would prove nothing."""
    named = np.unique(np.load(work.reference).argmax(axis=1))
    if len(named) == 1 and weights.source != RANDOM:
        raise WeightsError(
            f"checkpoint {weights.source} names class {named[0]} for every test image: it is untrained or damaged; "
            "train it, or use --weights random for latency work"
        )
