"""`--qat`: how long and from what a network learns as its int8 file computes. Standard library only."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.checkpoint import check_keras_file, load_trained, run_folder
from models.data import dataset_slug
from models.errors import UsageError, WeightsError
from models.spec import ModelSpec
from models.training.plan import MIRRORED_DATASETS, Wishes, at_rate, check_numbers
from models.training.recipes import QAT, RECIPES
from models.training.settings import TrainSettings

SUFFIX = f"-{QAT}"
SHARE = 10
"""The float training's epochs at the network's own picture size, over those of this one: at most a tenth."""


def qat_source(slug: str) -> str:
    """What the weights that come of it are called, for a data set's own short name."""
    return f"{slug}{SUFFIX}"


def qat_folder(build_dir: Path, model: str, slug: str) -> Path:
    """Where they lie, with all that is made of them."""
    return run_folder(build_dir, model, qat_source(slug))


def train_command(model: str, dataset: str, *, qat: bool) -> str:
    """The command that trains a network, for a shell."""
    given = "" if dataset == "digits" else f" DATASET={shlex.quote(dataset)}"
    return f"make train MODEL={model}{given}{' QAT=1' * qat}"


def check_name(slug: str) -> None:
    """Refuses a data set whose results would go where another's quantization-aware training's go.

    Raises:
        UsageError: it ends with `-qat`.
    """
    if slug.endswith(SUFFIX):
        raise UsageError(
            f"the results of data set {slug} would go where those of quantization-aware training on "
            f"{slug.removesuffix(SUFFIX)} go; rename its folder"
        )


def plan_qat(spec: ModelSpec, dataset: str, build_dir: Path, *, seed: int, wishes: Wishes) -> TrainSettings:
    """The settings of a quantization-aware training.

    Args:
        spec: The network.
        dataset: As it is called on the command line.
        build_dir: Where the float training lies, unless `wishes` names another checkpoint.
        seed: Of the order of the pictures and what is done to them, and of the pictures that the ranges begin with.
        wishes: What to do otherwise.

    Raises:
        UsageError: wishes that contradict each other, or are out of range.
        WeightsError: the float checkpoint is missing or damaged.
    """
    _check_wishes(wishes)
    path, record = _find_float(spec, dataset, build_dir, wishes.fine_tune)
    recipe, before = RECIPES[QAT], record.get("settings", {}).get("phases", [])
    own = [phase for phase in before if phase["resolution_px"] == spec.resolution_px]
    epochs = wishes.epochs or max(1, sum(phase["epochs"] for phase in own) // SHARE)
    phase = recipe.phase(spec.resolution_px, epochs, wishes.batch or recipe.batch)
    if own:
        # The pictures it knows.
        phase = replace(phase, shift=own[-1].get("shift", 0.0))
    mirrored = wishes.flip
    if mirrored is None:
        mirrored = dataset.partition(":")[0] in MIRRORED_DATASETS and _flipped(record)
    method = replace(recipe.method, flip=mirrored, class_weights=wishes.class_weights)
    return TrainSettings(
        seed=seed,
        phases=at_rate((phase,), wishes.learning_rate),
        method=method,
        recipe=QAT,
        source=recipe.source,
        fine_tune=str(path),
        quantization_aware=True,
    )


def _flipped(record: Mapping[str, Any]) -> bool:
    return bool(record.get("settings", {}).get("method", {}).get("flip"))


def _check_wishes(wishes: Wishes) -> None:
    if wishes.recipe not in (None, QAT):
        raise UsageError(f"--recipe {wishes.recipe} and --qat: quantization-aware training has its own; leave one out")
    if wishes.frozen_epochs is not None:
        raise UsageError(f"--frozen-epochs {wishes.frozen_epochs} and --qat: all kernels learn; leave one out")
    if wishes.fine_tune == "imagenet":
        raise UsageError("--fine-tune imagenet and --qat: it starts from a network trained on this data; name its file")
    if wishes.mixed_precision == "on":
        raise UsageError("--mixed-precision on and --qat: float16 cannot hold what int8 kernels sum up; leave one out")
    check_numbers(wishes)


def _find_float(spec: ModelSpec, dataset: str, build_dir: Path, given: str | None) -> tuple[Path, Mapping[str, Any]]:
    """The float checkpoint and what is known of its training."""
    if given is not None:
        check_keras_file(Path(given), otherwise="leave --fine-tune out for this machine's own")
        return Path(given), {}
    folder = run_folder(build_dir, spec.name, dataset_slug(dataset))
    trained = load_trained(folder)
    if trained is None:
        raise WeightsError(
            f"quantization-aware training starts from a trained network, and {folder} holds none; train it with "
            f"`{train_command(spec.name, dataset, qat=False)}`, or name a checkpoint with --fine-tune"
        )
    return trained.path, trained.record
