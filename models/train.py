"""`train`: one run from data to checkpoint, kept after every epoch. Imports TensorFlow: call it in a worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.build import build
from models.checkpoint import make_reproducible
from models.data import Dataset, load_dataset
from models.errors import TrainingError
from models.files import output_errors, write_file
from models.spec import ModelSpec
from models.training.curves import write_curves
from models.training.devices import Devices, open_devices
from models.training.events import EventLog
from models.training.keep import (
    FILE,
    Unfinished,
    differences,
    forget,
    load_unfinished,
    read_unfinished,
    save_unfinished,
)
from models.training.loop import Trainer
from models.training.settings import TrainSettings
from models.training.start import starting_digest
from models.training.subject import Subject, find_subject
from models.training.team import Team
from models.worker import Progress, Report

STAGE = "unfinished training"
LAST_GOOD = "last_good.keras"
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run writes."""

    made: Path
    """The checkpoint, a `.keras` file."""
    curves: Path | None = None
    """Folder for `curves.json` and `curves.png`; None for no curves."""
    unfinished: Path | None = None
    """Folder for what a further run goes on from; None: an interrupted run starts anew."""
    tensorboard: Path | None = None
    """Folder for TensorBoard's events; None for none."""


def save_network(weights: list[Any], spec: ModelSpec, made: Path) -> None:
    """Writes the network at its own picture size, in float32.

    Raises:
        OutputError: `made` cannot be written.
    """
    keras.mixed_precision.set_dtype_policy("float32")
    with output_errors(made):
        fixed = build(spec)
        fixed.set_weights(weights)
        fixed.save(made)
        make_reproducible(made)


def train(
    report: Report,
    spec: ModelSpec,
    dataset_name: str,
    settings: TrainSettings,
    places: Places,
    team: Team | None = None,
) -> dict[str, Any]:
    """Trains, or goes on with what an earlier run of the same left, and returns the record of the run.

    Writes the best checkpoint at the network's own size. No phases in the settings: random weights, with batch
    normalization settled on training pictures.

    In a team all workers call this with the same arguments but for the places; the leading one writes.

    Raises:
        TrainingError: the loss is not finite any more.
        TeamError: another worker did not come, or died.
        WeightsError: the weights to start from cannot be used.
        UsageError: another worker was given something else.
        OutputError: a file cannot be written.
    """
    tf.config.experimental.enable_op_determinism()
    devices = open_devices(team, report) if settings.phases else Devices()
    with devices.watched():
        return _train_on(devices, report, spec, dataset_name, settings, places)


def _train_on(
    devices: Devices, report: Report, spec: ModelSpec, dataset_name: str, settings: TrainSettings, places: Places
) -> dict[str, Any]:
    policy = _set_precision(settings)
    dataset = load_dataset(dataset_name, report)
    spec = replace(spec, num_classes=len(dataset.labels))
    run = _describe_run(spec, dataset, settings, policy)
    devices.check_alike(run)
    events = EventLog(places.tensorboard if devices.leads else None)

    def after_epoch(trainer: Trainer) -> None:
        if places.unfinished and devices.leads:
            save_unfinished(places.unfinished, trainer.unfinished())
        events.add(trainer.at.history[-1])

    subject = find_subject(spec, dataset, settings, report)
    trainer = Trainer(
        spec, dataset, settings, report, subject=subject, run=run, after_epoch=after_epoch, devices=devices
    )
    if places.unfinished:
        _hand_out(places.unfinished, devices)
        _go_on(trainer, places.unfinished, report)
    for row in trainer.at.history:
        events.add(row)
    try:
        trainer.run()
    except TrainingError as error:
        if not devices.leads:
            raise
        raise _with_last_good(error, spec, subject, places.unfinished) from error
    finally:
        events.close()
    if policy != "float32":
        # What is kept computes in float32, so that is what is tested.
        keras.mixed_precision.set_dtype_policy("float32")
        weights = trainer.model.get_weights()
        with devices.scope():
            trainer.model = build(spec, resolution_px=0)
        trainer.model.set_weights(weights)
    kept = subject.finish(trainer.model)
    record = _describe(trainer, policy)
    if devices.leads:
        save_network(kept, spec, places.made)
        if places.curves and trainer.at.history:
            record["curves"] = write_curves(places.curves, record)
    # Nobody leaves before all is written: to the others it would look like a death.
    devices.total(np.zeros(1, np.float32))
    return record


def _set_precision(settings: TrainSettings) -> str:
    """Chooses what activations are computed in; returns the name of Keras' policy."""
    wish = settings.method.mixed_precision
    mixed = wish == "on" or (wish == "auto" and bool(tf.config.list_physical_devices("GPU")))
    policy = "mixed_float16" if mixed and settings.phases else "float32"
    keras.mixed_precision.set_dtype_policy(policy)
    return policy


def _describe_run(spec: ModelSpec, dataset: Dataset, settings: TrainSettings, policy: str) -> Mapping[str, Any]:
    """All that decides what weights come out, as plain JSON."""
    described = {
        "model": asdict(replace(spec, published=None)),
        "data": dataset.digest,
        "settings": settings.to_json(),
        "starts from": starting_digest(settings.fine_tune),
        "computes in": policy,
        "devices": len(tf.config.list_physical_devices("GPU")),
        "versions": _versions(),
    }
    plain: Mapping[str, Any] = json.loads(json.dumps(described))
    return plain


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in PACKAGES}


def _hand_out(folder: Path, devices: Devices) -> None:
    """Gives all workers what the leading one has of an interrupted training."""
    if devices.workers == 1:
        return
    data = devices.from_leader(read_unfinished(folder) if devices.leads else b"")
    if not devices.leads:
        forget(folder)
        if data:
            with output_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            write_file(folder / FILE, data)


def _go_on(trainer: Trainer, folder: Path, report: Report) -> None:
    """Takes up what an earlier run of the same left; says so, and what it does with anything else that is there."""
    try:
        before = load_unfinished(folder)
        if before is None:
            return
        if before.run != trainer.run_of:
            changed = "; ".join(differences(before.run, trainer.run_of)[:3])
            raise ValueError(f"it is of another training: {changed}")
        trainer.go_on(before)
    except ValueError as error:
        forget(folder)
        report(Progress(stage=STAGE, done=1, total=1, detail=f"starts anew, {folder} is no use: {error}"))
    else:
        report(Progress(stage=STAGE, done=1, total=1, detail=f"goes on after {_stands(before)}"))


def _stands(unfinished: Unfinished) -> str:
    history = unfinished.position.history
    return f"epoch {history[-1]['epoch']} at {history[-1]['resolution_px']} px ({len(history)} in all)"


def _with_last_good(error: TrainingError, spec: ModelSpec, subject: Subject, folder: Path | None) -> TrainingError:
    """The error with what is left of the training, which is written as a checkpoint to be used."""
    remedy = "run it again with another --seed or --recipe"
    before = None
    if folder:
        try:
            before = load_unfinished(folder)
        except ValueError:
            before = None
    if not folder or not before:
        return TrainingError(f"{error}; no epoch was finished; {remedy}")
    probe = subject.make()
    variables = {f"model/{n}": variable for n, variable in enumerate(probe.variables)}
    for name, variable in variables.items():
        variable.assign(before.arrays[name])
    if best := [before.arrays[name] for name in before.arrays if name.startswith("best/")]:
        probe.set_weights(best)
    path = folder / LAST_GOOD
    save_network(subject.finish(probe), spec, path)
    return TrainingError(
        f"{error}; {remedy}, or use the weights after {_stands(before)}: --weights or --fine-tune {path}"
    )


def _describe(trainer: Trainer, policy: str) -> dict[str, Any]:
    """`trained.json`, without what vouches for the weights."""
    spec, dataset, settings = trainer.spec, trainer.dataset, trainer.settings
    return {
        "model": spec.name,
        "dataset": {
            "name": dataset.name,
            "source": dataset.source,
            "sha256": dataset.digest,
            "images": {split: len(indices) for split, indices in dataset.splits.items()},
        },
        "preprocessing": spec.preprocessing.to_json(),
        "settings": settings.to_json(),
        # As it was then: the file may have changed since.
        "started_from_sha256": trainer.run_of["starts from"],
        "computed_in": policy,
        **trainer.subject.describe(trainer.model),
        "devices": {"workers": trainer.devices.workers, "replicas": trainer.devices.replicas},
        "accuracy": {
            **({} if trainer.at.start_top1 is None else {"start_validation_top1": trainer.at.start_top1}),
            "validation_top1": trainer.at.best_top1,
            "test_top1": trainer.top1("test", trainer.pixels("test", spec.resolution_px)),
        },
        "seconds": round(trainer.at.seconds, 1),
        "history": trainer.at.history,
        "versions": _versions(),
    }
