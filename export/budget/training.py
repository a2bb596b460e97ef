"""The training that a budget of lost accuracy may lead to (`--allow-qat`): found, or made now."""

from __future__ import annotations

from pathlib import Path

from export.request import ExportRequest
from models.checkpoint import TrainedModel, load_trained
from models.data import dataset_slug
from models.errors import WeightsError
from models.qat.plan import plan_qat, qat_folder
from models.training.plan import Wishes
from models.weights import AUTO, train_now
from models.worker import Report


def folder_for_int8(request: ExportRequest) -> Path:
    """Where the quantization-aware training of the network asked for is, or will be."""
    return qat_folder(request.build_dir, request.spec.name, dataset_slug(request.dataset))


def trained_for_int8(folder: Path, weights: TrainedModel) -> TrainedModel | None:
    """The quantization-aware training that started from the weights; None if there is none yet.

    Raises:
        WeightsError: there is one of other weights, which is nobody's to overwrite.
    """
    trained = load_trained(folder)
    if trained is None:
        return None
    if trained.record.get("started_from_sha256") != weights.sha256 or "quantization" not in trained.record:
        raise WeightsError(
            f"{folder} holds quantization-aware training of other float weights than {weights.path}; move it away, or "
            "leave --allow-qat out"
        )
    return trained


def train_for_int8(request: ExportRequest, weights: TrainedModel, report: Report) -> TrainedModel:
    """What quantization-aware training makes of the weights; trains now unless this machine has."""
    folder = folder_for_int8(request)
    if trained := trained_for_int8(folder, weights):
        return trained
    wishes = Wishes(fine_tune=None if request.weights == AUTO else str(weights.path))
    settings = plan_qat(request.spec, request.dataset, request.build_dir, seed=request.seed, wishes=wishes)
    return train_now(request.spec, request.dataset, settings, folder, report)
