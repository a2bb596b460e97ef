"""Quantization-aware training by the trainer: what it keeps, that it goes on, and what stands in its record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import models.train
from models.data import Dataset
from models.errors import WeightsError
from models.load import load_checkpoint
from models.qat.network import build_twin, take_ranges, take_weights
from models.spec import ModelSpec
from models.train import Places, train
from models.training.keep import read_position
from models.training.loop import Trainer
from models.training.predict import predict_logits
from models.training.settings import Phase, TrainSettings
from models.worker import Progress
from tests.models.qat.networks import LEAST, random_network


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("float") / "float.keras"
    random_network(LEAST).save(path)
    return path


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch, few: Dataset) -> ModelSpec:
    monkeypatch.setattr(models.train, "load_dataset", lambda _name, _report: few)
    return LEAST


def settings(checkpoint: Path, epochs: int, learning_rate: float) -> TrainSettings:
    phase = Phase(resolution_px=16, epochs=epochs, learning_rate=learning_rate, batch=16)
    return TrainSettings(seed=0, phases=(phase,), fine_tune=str(checkpoint), quantization_aware=True)


def run(folder: Path, spec: ModelSpec, given: TrainSettings) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    places = Places(made=folder / "trained.keras", unfinished=folder / "training")
    return train(ignore, spec, "digits", given, places)


def test_it_learns_and_its_record_makes_the_twin_again(
    tmp_path: Path, spec: ModelSpec, few: Dataset, checkpoint: Path
) -> None:
    record = run(tmp_path, spec, settings(checkpoint, 6, 1e-2))
    accuracy = record["accuracy"]
    # Random weights name one digit in ten.
    assert accuracy["validation_top1"] > accuracy["start_validation_top1"] + 0.1
    twin = build_twin(spec)
    take_weights(twin, load_checkpoint(tmp_path / "trained.keras", spec), spec)
    take_ranges(twin, {name: tuple(ends) for name, ends in record["quantization"]["ranges"].items()})
    trainer = Trainer(spec, few, settings(checkpoint, 1, 1e-2), ignore)
    logits = predict_logits(twin, trainer.pixels("test", 16), spec.preprocessing, ignore, "test")
    assert np.mean(logits.argmax(axis=1) == trainer.classes["test"]) == accuracy["test_top1"]


def test_what_does_harm_is_not_kept(tmp_path: Path, spec: ModelSpec, checkpoint: Path) -> None:
    better = run(tmp_path / "better", spec, settings(checkpoint, 6, 1e-2))
    start = tmp_path / "better" / "trained.keras"
    record = run(tmp_path / "worse", spec, settings(start, 1, 10.0))
    assert record["history"][0]["validation_top1"] < better["accuracy"]["validation_top1"] - 0.1
    assert record["accuracy"]["validation_top1"] == record["accuracy"]["start_validation_top1"]
    weights = [load_checkpoint(path, spec).get_weights() for path in (start, tmp_path / "worse" / "trained.keras")]
    # The start was folded and unfolded, which a network without gates survives to the last bit.
    assert np.abs(weights[0][0] - weights[1][0]).max() < 1e-6


class Killed(Exception):  # noqa: N818 - it is no error
    """Ends a training between two epochs."""


@pytest.mark.slow
def test_it_goes_on_after_the_last_finished_epoch_and_ends_with_the_same_bytes(
    tmp_path: Path, spec: ModelSpec, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(checkpoint, 3, 1e-2)
    whole = run(tmp_path / "whole", spec, given)
    epoch = Trainer._epoch  # noqa: SLF001 - the only place between two epochs

    def killing(self: Trainer, *arguments: Any) -> None:
        if self.at.epochs == 2:
            raise Killed
        epoch(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_epoch", killing)
        with pytest.raises(Killed):
            run(tmp_path / "killed", spec, given)
    assert read_position(tmp_path / "killed" / "training") is not None
    resumed = run(tmp_path / "killed", spec, given)
    assert resumed["accuracy"] == whole["accuracy"]
    assert resumed["quantization"] == whole["quantization"]
    made = [(tmp_path / name / "trained.keras").read_bytes() for name in ("whole", "killed")]
    assert made[0] == made[1]


def test_weights_of_other_classes_are_refused(tmp_path: Path, spec: ModelSpec) -> None:
    path = tmp_path / "other.keras"
    random_network(replace(spec, num_classes=7)).save(path)
    with pytest.raises(WeightsError, match="has 7 classes"):
        run(tmp_path, spec, settings(path, 1, 1e-3))
