"""The checkpoint a name stands for: found, trained now, or taken from ImageNet's release."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from models.checkpoint import KERAS_FILE, TrainedModel, check_keras_file, load_trained, run_folder, save_trained
from models.data import DATASETS, as_imagenet, dataset_slug, find_dataset
from models.errors import WeightsError, WorkerError
from models.files import sha256_file, work_folder
from models.imagenet import IMAGENET, find_release
from models.imagenet.download import swept
from models.imagenet.obtain import load_obtained, obtain_imagenet
from models.qat.plan import SUFFIX, check_name, qat_folder, qat_source, train_command
from models.spec import ModelSpec
from models.training import keep
from models.training.plan import plan_training
from models.training.recipes import QAT
from models.training.settings import TrainSettings
from models.training.team import OVERDUE, Team
from models.worker import STARTING, Progress, Report, run_in_worker

AUTO, RANDOM = "auto", "random"
CHOICES = (AUTO, RANDOM, IMAGENET, QAT)
"""What is no path. The checkpoint lies with the results."""
STAGE = "weights"
TENSORBOARD = "tensorboard"
"""Inside the folder of the run."""


def obtain_weights(
    spec: ModelSpec,
    dataset: str,
    choice: str,
    *,
    seed: int,
    build_dir: Path,
    report: Report,
    before_making: Callable[[], object] = lambda: None,
) -> TrainedModel:
    """The weights a choice stands for, made now if need be.

    Args:
        spec: The network.
        dataset: What the data set is called on the command line.
        choice: `auto` (this machine's training run on the data set, else train now), `random` (untrained, by seed),
            `imagenet` (released weights, downloaded if need be), `qat` (this machine's quantization-aware training on
            the data set), or the path of a `.keras` file.
        seed: For training and random weights.
        build_dir: Where training runs are kept.
        report: Receives the progress of a training.
        before_making: Called before a training starts, which takes minutes: the moment to refuse.

    Raises:
        WeightsError: the checkpoint is missing or damaged, or cannot be downloaded.
        TrainingError: the training diverged.
        WorkerError: its process died.
        OutputError: the build folder cannot be written.
    """
    if choice == IMAGENET:
        return _from_release(spec, run_folder(build_dir, spec.name, IMAGENET), report, before_making)
    if choice == QAT:
        return _from_qat(spec, dataset, build_dir, report)
    if choice not in (AUTO, RANDOM):
        return _from_path(spec, choice)
    random, slug = choice == RANDOM, dataset_slug(dataset)
    check_name(slug)
    folder = run_folder(build_dir, spec.name, RANDOM if random else slug)
    trained = load_trained(folder)
    if trained and (not random or (trained.seed, trained.record["dataset"]["name"]) == (seed, slug)):
        report(Progress(stage=STAGE, done=1, total=1, detail=f"from {trained.path}"))
        return trained
    before_making()
    todo = "making random ones" if random else f"none yet: training on {dataset} now"
    report(Progress(stage=STAGE, done=0, total=1, detail=todo))
    settings = TrainSettings(seed=seed, phases=()) if random else plan_training(spec, dataset, seed=seed)
    trained = train_now(spec, dataset, settings, folder, report)
    report(Progress(stage=STAGE, done=1, total=1, detail=f"kept in {trained.path}"))
    return trained


def weights_source(choice: str, slug: str) -> str:
    """What results are called after a choice of weights, for a data set's own short name."""
    if choice == QAT:
        return qat_source(slug)
    return slug if choice == AUTO else choice if choice in CHOICES else Path(choice).stem


def check_choice(spec: ModelSpec, dataset: str, choice: str) -> str:
    """The data set's text for a choice of weights: ImageNet's weights take its pictures as some of the 1000 classes.

    Raises:
        WeightsError: no ImageNet weights were released for the network.
        DataError: ImageNet's weights with a data set that is no folder.
    """
    if choice != IMAGENET:
        return dataset
    find_release(spec)
    dataset = as_imagenet(dataset)
    find_dataset(dataset)
    return dataset


def _from_release(spec: ModelSpec, folder: Path, report: Report, before_making: Callable[[], object]) -> TrainedModel:
    release = find_release(spec)
    trained = load_obtained(folder, release)
    if trained is None:
        before_making()
        trained = obtain_imagenet(spec, release, folder, report)
    report(Progress(stage=STAGE, done=1, total=1, detail=f"from {trained.path}"))
    return trained


def _from_qat(spec: ModelSpec, dataset: str, build_dir: Path, report: Report) -> TrainedModel:
    folder = qat_folder(build_dir, spec.name, dataset_slug(dataset))
    trained = load_trained(folder)
    if trained is None:
        raise WeightsError(
            f"{folder} holds no quantization-aware training of {spec.name}; train it with "
            f"`{train_command(spec.name, dataset, qat=True)}`"
        )
    report(Progress(stage=STAGE, done=1, total=1, detail=f"from {trained.path}"))
    return trained


def _from_path(spec: ModelSpec, choice: str) -> TrainedModel:
    path = Path(choice)
    check_keras_file(path)
    if path.stem in (RANDOM, IMAGENET, *DATASETS):
        raise WeightsError(
            f"results of checkpoint {choice} would go where those of --weights {path.stem} go; rename the file"
        )
    if path.stem.endswith(SUFFIX):
        raise WeightsError(
            f"results of checkpoint {choice} would go where those of quantization-aware training go; rename the file"
        )
    digest = sha256_file(path)
    record = _known(path, digest)
    return TrainedModel(model=spec.name, source=path.stem, path=path, sha256=digest, seed=None, record=record)


def _known(path: Path, digest: str) -> dict[str, Any]:
    """What the weights cannot be used rightly without, if the file lies as a training left it."""
    try:
        trained = load_trained(path.parent) if path.name == KERAS_FILE else None
    except WeightsError:
        # The record is of another file, or none; the weights may still do.
        return {}
    kept = trained.record if trained and trained.sha256 == digest else {}
    return {name: kept[name] for name in ("preprocessing", "quantization") if name in kept}


def train_now(
    spec: ModelSpec,
    dataset: str,
    settings: TrainSettings,
    folder: Path,
    report: Report,
    *,
    tensorboard: bool = False,
    team: Team | None = None,
) -> TrainedModel:
    """Trains in a worker process and publishes the result in `folder`, replacing an earlier one.

    What an interrupted run of the same has left there is gone on from. In a team this is the leading worker's part.

    Raises:
        TeamError: another worker did not come, or died.
        DataError: the data set cannot be used.
        WeightsError: the weights to start from cannot be used.
        TrainingError: the training diverged.
        WorkerError: its process died.
        OutputError: `folder` cannot be written.
        KeyboardInterrupt: it was interrupted; says what is left of it.
    """
    # Here, where it may use all cores and show its progress.
    find_dataset(dataset).prepare(report)
    unfinished = folder / keep.FOLDER if settings.phases else None
    with work_folder(folder) as work:
        made, events = work / KERAS_FILE, folder / TENSORBOARD if tensorboard else None
        try:
            record = _run(team, report, spec, dataset, settings, made, work, unfinished, events)
        except KeyboardInterrupt as interrupt:
            raise _interrupted(interrupt, unfinished) from None
        trained = save_trained(made, folder, record, beside=[work / name for name in record.get("curves", {}).values()])
        if unfinished:
            keep.forget(unfinished)
        return trained


def help_train(spec: ModelSpec, dataset: str, settings: TrainSettings, report: Report, *, team: Team) -> dict[str, Any]:
    """Trains as one of the workers that keep no files; returns the record of the run.

    Raises:
        DataError: the data set cannot be used.
        TeamError: another worker did not come, or died.
        TrainingError: the training diverged.
        UsageError: the leading worker was given something else.
        WorkerError: the process died.
    """
    find_dataset(dataset).prepare(report)
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        work = Path(folder)
        return _run(team, report, spec, dataset, settings, work / KERAS_FILE, None, work / keep.FOLDER, None)


def _run(
    team: Team | None, report: Report, spec: ModelSpec, dataset: str, settings: TrainSettings, *places: Path | None
) -> dict[str, Any]:
    try:
        # Its process may download the weights to start from, and be ended amid that.
        with swept() if settings.fine_tune == IMAGENET else nullcontext():
            record: dict[str, Any] = run_in_worker(_train, spec, dataset, settings, *places, team, report=report)
    except WorkerError as error:
        if team and OVERDUE.name in str(error):
            raise team.absent(team.silent()) from error
        raise
    return record


def _interrupted(interrupt: KeyboardInterrupt, unfinished: Path | None) -> KeyboardInterrupt:
    """The interrupt with what is left of the training."""
    found = keep.read_position(unfinished) if unfinished else None
    if not found:
        return interrupt
    epochs = len(found[1].history)
    return KeyboardInterrupt(
        f"{epochs} finished epoch{'s' * (epochs > 1)} kept in {unfinished}; the same command goes on from there"
    )  # fmt: skip


def _train(
    report: Report, spec: ModelSpec, dataset: str, settings: TrainSettings, made: Path, work: Path,
    unfinished: Path | None, tensorboard: Path | None, team: Team | None,
) -> object:  # fmt: skip
    # Here, in the worker, TensorFlow may be imported.
    report(Progress(stage=STARTING, done=0, total=1))
    from models.train import Places, train

    report(Progress(stage=STARTING, done=1, total=1))
    places = Places(made=made, curves=work, unfinished=unfinished, tensorboard=tensorboard)
    return train(report, spec, dataset, settings, places, team)
