"""A run from data to checkpoint: what is recorded, what a divergence leaves, and that a killed run goes on.

Runs by the command line's own processes are in `test_weights.py`.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import models.train
from models.build import build
from models.data import Dataset, Split, preprocess
from models.errors import TrainingError
from models.files import sha256_file
from models.load import load_checkpoint
from models.spec import ModelSpec
from models.train import LAST_GOOD, STAGE, Places, train
from models.training.keep import FILE, read_position
from models.training.learner import Learner
from models.training.predict import predict_logits
from models.training.settings import Method, Phase, TrainSettings
from models.worker import Progress, Report
from tests.models.interrupted_training import SETTINGS, train_in

ROOT = Path(__file__).parents[2]


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


def settings(*phases: tuple[int, int], learning_rate: float = 1e-2, **more: Any) -> TrainSettings:
    return TrainSettings(
        phases=tuple(
            Phase(resolution_px=size_px, epochs=epochs, learning_rate=learning_rate, batch=32)
            for size_px, epochs in phases
        ),
        **{"seed": 0} | more,
    )


def loader(dataset: Dataset) -> Callable[[str, Report], Dataset]:
    return lambda _name, _report: dataset


@pytest.fixture(autouse=True)
def digits_are_few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "few" in request.fixturenames:
        monkeypatch.setattr(models.train, "load_dataset", loader(request.getfixturevalue("few")))


def places(folder: Path) -> Places:
    return Places(made=folder / "trained.keras", curves=folder, unfinished=folder / "training")


@pytest.mark.usefixtures("few")
def test_a_diverging_training_says_where_and_writes_nothing(tmp_path: Path, least: ModelSpec) -> None:
    with pytest.raises(TrainingError) as raised:
        train(ignore, least, "digits", settings((8, 1), (16, 3), learning_rate=1e38), places(tmp_path))
    assert str(raised.value) in {
        f"training diverged in epoch 1 at {size_px} px: the loss is nan; {after}run it again with another --seed or "
        "--recipe"
        for size_px, after in ((8, "no epoch was finished; "),)
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few")
def test_of_a_training_that_diverges_later_the_best_weights_until_then_can_be_used(
    tmp_path: Path, least: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, steps, seen = Learner.step, 0, []

    def diverge(self: Learner, *args: Any) -> tuple[float, float]:
        nonlocal steps
        steps += 1
        if steps == 6:  # two in each epoch
            seen.append([np.array(weight) for weight in self.model.weights])
            return float("nan"), 0.0
        return step(self, *args)

    monkeypatch.setattr(Learner, "step", diverge)
    with pytest.raises(TrainingError) as raised:
        train(ignore, least, "digits", settings((16, 4)), places(tmp_path))
    good = tmp_path / "training" / LAST_GOOD
    assert str(raised.value) == (
        "training diverged in epoch 3 at 16 px: the loss is nan; run it again with another --seed or --recipe, or use "
        f"the weights after epoch 2 at 16 px (2 in all): --weights or --fine-tune {good}"
    )
    model = load_checkpoint(good, least)
    assert all(np.isfinite(values).all() for values in model.get_weights())
    assert not all(map(np.array_equal, model.get_weights(), seen[0]))


def test_the_accuracy_recorded_is_that_of_the_checkpoint_written(
    tmp_path: Path, least: ModelSpec, few: Dataset
) -> None:
    # Two phases of one size: the first may be better by chance, and is not what is kept.
    record = train(ignore, least, "digits", settings((16, 2), (16, 3), recipe="scratch"), places(tmp_path))
    last = [row["validation_top1"] for row in record["history"][2:]]
    assert record["accuracy"]["validation_top1"] == max(last)
    assert (record["settings"]["recipe"], record["computed_in"]) == ("scratch", "float32")
    assert record["curves"] == {"json": "curves.json", "png": "curves.png"}
    assert {path.name for path in tmp_path.iterdir()} == {"trained.keras", "curves.json", "curves.png", "training"}
    assert_accuracy(tmp_path / "trained.keras", least, few, record)


def test_what_was_computed_in_float16_is_kept_and_tested_in_float32(
    tmp_path: Path, least: ModelSpec, few: Dataset
) -> None:
    record = train(
        ignore, least, "digits", settings((16, 1), method=Method(mixed_precision="on")), places(tmp_path)
    )  # fmt: skip
    assert record["computed_in"] == "mixed_float16"
    model = assert_accuracy(tmp_path / "trained.keras", least, few, record)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.mixed_precision.dtype_policy().name == "float32"


@pytest.mark.usefixtures("few")
def test_fine_tuning_starts_from_the_weights_given_and_keeps_their_normalization(
    tmp_path: Path, least: ModelSpec
) -> None:
    source = build(replace(least, num_classes=3))
    norm = source.get_layer("conv_1_norm")
    norm.set_weights([values + 0.25 for values in norm.get_weights()])
    given = tmp_path / "theirs.keras"
    source.save(given)
    head, whole = settings((16, 1), (16, 1)).phases
    plan = TrainSettings(seed=0, phases=(replace(head, frozen=True), whole), fine_tune=str(given))
    record = train(ignore, least, "digits", plan, places(tmp_path))
    model = load_checkpoint(tmp_path / "trained.keras", least)
    assert all(map(np.array_equal, model.get_layer("conv_1_norm").get_weights(), norm.get_weights()))
    kernel, theirs = (np.array(network.get_layer("conv_1").kernel) for network in (model, source))
    assert 0 < np.abs(kernel - theirs).max() < 0.1
    assert record["started_from_sha256"] == sha256_file(given)
    assert record["settings"]["fine_tune"] == str(given)


def assert_accuracy(path: Path, spec: ModelSpec, data: Dataset, record: dict[str, Any]) -> keras.Model:
    """The test accuracy recorded is that of the file."""
    model = keras.saving.load_model(path, compile=False)
    assert model.input_shape == (None, 16, 16, 3)
    splits: dict[Split, str] = {"test": "test_top1"}
    for split, key in splits.items():
        indices = data.splits[split]
        pixels = preprocess(tuple(data.images[i] for i in indices), spec.preprocessing, 16)
        logits = predict_logits(model, pixels, spec.preprocessing, ignore, split)
        assert np.mean(logits.argmax(axis=1) == data.classes[indices]) == record["accuracy"][key]
    return model


# Runs that were killed.


def kill(folder: Path, where: str, count: int) -> None:
    """A training in a process of its own that ends by SIGKILL."""
    program = str(ROOT / "tests" / "models" / "interrupted_training.py")
    done = subprocess.run(
        [sys.executable, program, str(folder), where, str(count)],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr[-2000:]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], bytes]:
    """Record and checkpoint of a training that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    record = train_in(folder)
    return record, (folder / "trained.keras").read_bytes()


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("write", 3),
        *(
            pytest.param(where, count, marks=pytest.mark.slow)
            for where in ("epoch", "write")
            for count in (1, 2, 3, 4)
            if (where, count) != ("write", 3)
        ),
    ],
)
def test_a_training_killed_anywhere_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, undisturbed: tuple[dict[str, Any], bytes], where: str, count: int
) -> None:
    folder = tmp_path / "run"
    kill(folder, where, count)
    kept = read_position(folder / "training")
    epochs = len(kept[1].history) if kept else 0
    # The epoch that was under way, or being written, is lost; the ones before are not.
    assert epochs == count - 1
    reports: list[Progress] = []
    record = train_in(folder, reports.append)
    told = [progress.detail for progress in reports if progress.stage == STAGE]
    last = record["history"][epochs - 1]
    assert told == (
        [f"goes on after epoch {last['epoch']} at {last['resolution_px']} px ({epochs} in all)"] if epochs else []
    )
    expected, checkpoint = undisturbed
    assert (folder / "trained.keras").read_bytes() == checkpoint
    assert record["accuracy"] == expected["accuracy"]
    untimed = [[{**row, "seconds": 0} for row in made["history"]] for made in (record, expected)]
    assert untimed[0] == untimed[1]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory, least: ModelSpec, few: Dataset) -> Path:
    """A folder in which a training of two epochs was interrupted in its second."""
    folder = tmp_path_factory.mktemp("interrupted")
    step, steps = Learner.step, 0

    def interrupt(self: Learner, *args: Any) -> tuple[float, float]:
        nonlocal steps
        steps += 1
        if steps > 3:
            raise KeyboardInterrupt
        return step(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "step", interrupt)
        patch.setattr(models.train, "load_dataset", loader(few))
        with pytest.raises(KeyboardInterrupt):
            train(ignore, least, "digits", settings((16, 2)), places(folder))
    return folder


@pytest.fixture
def begun(interrupted: Path, few: Dataset, tmp_path: Path) -> Path:
    """A copy of it."""
    assert len(few.images) == 100
    return Path(shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True))


def train_again(folder: Path, spec: ModelSpec, changed: TrainSettings) -> tuple[list[str], int]:
    """What is told of the beginning, and how many epochs were trained."""
    reports: list[Progress] = []
    train(reports.append, spec, "digits", changed, places(folder))
    steps = [progress for progress in reports if progress.stage.startswith("train at")]
    return [progress.detail for progress in reports if progress.stage == STAGE], len(steps) // 2


def test_an_interrupted_training_goes_on(begun: Path, least: ModelSpec) -> None:
    assert train_again(begun, least, settings((16, 2))) == (["goes on after epoch 1 at 16 px (1 in all)"], 1)


def test_with_another_seed_it_starts_anew_and_says_so(begun: Path, least: ModelSpec) -> None:
    told, epochs = train_again(begun, least, settings((16, 2), seed=1))
    folder = begun / "training"
    assert told == [f"starts anew, {folder} is no use: it is of another training: settings seed 0 is now 1"]
    assert epochs == 2


def test_with_other_data_it_starts_anew_and_says_so(
    begun: Path, least: ModelSpec, few: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(few, labels=tuple(f"the {label}" for label in few.labels))
    monkeypatch.setattr(models.train, "load_dataset", loader(other))
    told, epochs = train_again(begun, least, settings((16, 2)))
    assert told[0].startswith(f"starts anew, {begun / 'training'} is no use: it is of another training: data ")
    assert epochs == 2


def test_a_damaged_state_is_told_of_and_not_used(begun: Path, least: ModelSpec) -> None:
    path = begun / "training" / FILE
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    told, epochs = train_again(begun, least, settings((16, 2)))
    assert told[0].startswith(f"starts anew, {begun / 'training'} is no use: {path} is damaged (")
    assert epochs == 2


def test_the_settings_of_the_killed_runs_have_every_kind_of_state() -> None:
    method = SETTINGS.method
    assert method.ema_momentum
    assert method.mixup
    assert method.colour
    assert {phase.frozen for phase in SETTINGS.phases} == {True, False}
    assert len({phase.resolution_px for phase in SETTINGS.phases}) == 2
