"""The loop: which epochs, in which order, what is kept of them, and what is told."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

import models.training.loop
from models.data import Dataset, Split, normalise, preprocess
from models.spec import ModelSpec
from models.training.augment import Batch
from models.training.loop import Trainer
from models.training.pace import STAGE
from models.training.predict import EVALUATION_BATCH, predict_logits
from models.training.settings import Phase, TrainSettings
from models.worker import Progress
from models.zoo import MODELS


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


def settings(*phases: tuple[int, int], learning_rate: float = 1e-2, batch: int = 32) -> TrainSettings:
    return TrainSettings(
        seed=0,
        phases=tuple(
            Phase(resolution_px=size_px, epochs=epochs, learning_rate=learning_rate, batch=batch)
            for size_px, epochs in phases
        ),
    )


def script_steps(monkeypatch: pytest.MonkeyPatch, trainer: Trainer) -> None:
    """Lets each step change the weights at once, without the seconds of tracing that a real one begins with."""

    def step(_batch: Batch, _rate: float, *_share: object) -> tuple[float, float]:
        trainer.model.set_weights([values + 1 for values in trainer.model.get_weights()])
        return 1.0, 0.5

    monkeypatch.setattr(trainer.learner, "step", step)


def script_top1(monkeypatch: pytest.MonkeyPatch, trainer: Trainer, values: list[float]) -> list[list[Any]]:
    """Lets validation give the values in turn; the list returned receives the weights it was asked about."""
    seen: list[list[Any]] = []
    turns = iter(values)

    def top1(split: Split, _pixels: object) -> float:
        assert split == "validation"
        seen.append(trainer.model.get_weights())
        return next(turns)

    monkeypatch.setattr(trainer, "top1", top1)
    return seen


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([0.99, 0.2, 0.9, 0.5], 2),
        ([0.99, 0.2, 0.5, 0.9], 3),
        ([0.99, 0.9, 0.5, 0.2], 1),
        ([0.99, 0.9, 0.9, 0.4], 2),  # of equals the last: the more settled
        ([0.99, 0.0, 0.0, 0.0], 3),
    ],
)
def test_the_best_checkpoint_of_the_last_phase_is_kept(
    monkeypatch: pytest.MonkeyPatch, tiny: ModelSpec, few: Dataset, values: list[float], best: int
) -> None:
    trainer = Trainer(tiny, few, settings((8, 1), (16, 3)), ignore)
    script_steps(monkeypatch, trainer)
    seen = script_top1(monkeypatch, trainer, values)
    history = trainer.run()
    assert [row["validation_top1"] for row in history] == values
    assert [(row["resolution_px"], row["epoch"]) for row in history] == [(8, 1), (16, 1), (16, 2), (16, 3)]
    kept = [
        number for number, weights in enumerate(seen) if all(map(np.array_equal, weights, trainer.model.get_weights()))
    ]
    assert kept == [best]


def test_an_epochs_figures_are_means_over_all_its_pictures(
    monkeypatch: pytest.MonkeyPatch, tiny: ModelSpec, few: Dataset
) -> None:
    trainer = Trainer(tiny, few, settings((16, 1), batch=25), ignore)
    losses = iter([4.0, 2.0, 1.0])
    sizes = []

    def step(batch: Batch, _rate: float, *_share: object) -> tuple[float, float]:
        assert len(batch.images) == len(batch.targets)
        sizes.append(len(batch.images))
        loss = next(losses)
        return loss, loss / 4

    monkeypatch.setattr(trainer.learner, "step", step)
    (row,) = trainer.run()
    assert sizes == [25, 25, 10]
    mean = (4 * 25 + 2 * 25 + 1 * 10) / 60
    assert (row["loss"], row["train_top1"]) == pytest.approx((mean, mean / 4))


def test_every_picture_is_seen_once_an_epoch_in_another_order(
    monkeypatch: pytest.MonkeyPatch, tiny: ModelSpec, few: Dataset
) -> None:
    trainer = Trainer(tiny, few, settings((16, 2)), ignore)
    seen: list[Any] = []

    def step(batch: Batch, _rate: float, *_share: object) -> tuple[float, float]:
        pairs = zip(batch.images, batch.targets, strict=True)
        seen.extend((picture.tobytes(), int(label)) for picture, label in pairs)
        return 1.0, 0.0

    monkeypatch.setattr(trainer.learner, "step", step)
    trainer.run()
    train_set = few.splits["train"]
    pixels = preprocess(tuple(few.images[i] for i in train_set), tiny.preprocessing, 16)
    pairs = [
        (picture.tobytes(), int(few.classes[i]))
        for picture, i in zip(normalise(pixels, tiny.preprocessing), train_set, strict=True)
    ]
    first, second = seen[: len(pairs)], seen[len(pairs) :]
    assert sorted(first) == sorted(second) == sorted(pairs)
    assert first != second


def test_a_phase_shifts_the_pictures_it_trains_on_and_no_other(
    monkeypatch: pytest.MonkeyPatch, tiny: ModelSpec, few: Dataset
) -> None:
    phases = tuple(
        replace(phase, shift=shift) for phase, shift in zip(settings((16, 1), (32, 1)).phases, (0, 1 / 8), strict=True)
    )
    trainer = Trainer(tiny, few, TrainSettings(seed=0, phases=phases), ignore)
    seen: list[Any] = []

    def step(batch: Batch, _rate: float, *_share: object) -> tuple[float, float]:
        seen.extend(batch.images)
        return 1.0, 0.0

    monkeypatch.setattr(trainer.learner, "step", step)
    trainer.run()
    for size_px, same in ((16, True), (32, False)):
        plain = {picture.tobytes() for picture in normalise(trainer.pixels("train", size_px)[:], tiny.preprocessing)}
        assert ({picture.tobytes() for picture in seen if len(picture) == size_px} == plain) is same


def test_the_learning_rate_falls_by_a_cosine_to_a_fiftieth_in_every_phase(
    monkeypatch: pytest.MonkeyPatch, tiny: ModelSpec, few: Dataset
) -> None:
    trainer = Trainer(tiny, few, settings((8, 2), (16, 2), learning_rate=0.5, batch=2), ignore)
    rates: list[float] = []

    def step(_batch: Batch, rate: float, *_share: object) -> tuple[float, float]:
        rates.append(rate)
        return 1.0, 0.0

    monkeypatch.setattr(trainer.learner, "step", step)
    trainer.run()
    one, other = rates[: len(rates) // 2], rates[len(rates) // 2 :]
    assert one == other == sorted(one, reverse=True)
    assert one[0] == pytest.approx(0.5)
    assert one[len(one) // 2] == pytest.approx(0.51 * 0.5, rel=1e-5)
    assert 0.02 * 0.5 < one[-1] < 0.025 * 0.5


def test_progress_counts_the_steps_of_each_phase_to_their_end(
    monkeypatch: pytest.MonkeyPatch, tiny: ModelSpec, few: Dataset
) -> None:
    reports: list[Progress] = []
    trainer = Trainer(tiny, few, settings((8, 1), (16, 2)), reports.append)
    script_steps(monkeypatch, trainer)
    trainer.run()
    for size_px, total in ((8, 2), (16, 4)):
        steps = [report for report in reports if report.stage == f"train at {size_px} px"]
        assert [report.done for report in steps] == list(range(1, total + 1))
        assert {report.total for report in steps} == {total}
        first, last = steps[0].detail, steps[-1].detail
        assert first.endswith("top-1 50.0%, loss 1.000")
        assert last.startswith("validation ") is (size_px == 16)
    whole = [report for report in reports if report.stage == STAGE]
    assert (whole[-1].done, whole[-1].total, whole[-1].detail) == (1000, 1000, "about 0 s left, learning rate 1.6e-03")
    checks = [report for report in reports if report.stage == "validation accuracy"]
    assert (checks[0].done, checks[-1].done, checks[-1].total) == (0, 20, 20)


@pytest.mark.parametrize("count", [1, EVALUATION_BATCH, EVALUATION_BATCH + 1])
def test_logits_do_not_depend_on_the_batches_they_are_computed_in(tiny: ModelSpec, few: Dataset, count: int) -> None:
    model = Trainer(tiny, few, settings(), ignore).model
    pixels = preprocess([few.images[i] for i in range(count)], tiny.preprocessing, 16)
    logits = predict_logits(model, pixels, tiny.preprocessing, ignore, "logits")
    assert logits.shape == (count, 10)
    assert logits == pytest.approx(np.asarray(model(normalise(pixels, tiny.preprocessing))), abs=1e-5)


def test_top1_is_the_share_of_pictures_whose_largest_logit_is_their_class(
    monkeypatch: pytest.MonkeyPatch, tiny: ModelSpec, few: Dataset
) -> None:
    classes = few.classes[few.splits["test"]]
    answers = np.eye(10, dtype=np.float32)[classes]
    answers[:3] = np.roll(answers[:3], 1, axis=1)

    def predict(*_args: object) -> Any:
        return answers

    monkeypatch.setattr(models.training.loop, "predict_logits", predict)
    trainer = Trainer(tiny, few, settings(), ignore)
    assert trainer.top1("test", trainer.pixels("test", 16)) == pytest.approx(1 - 3 / len(classes))


def test_random_weights_have_normalizations_that_fit_the_pictures(few: Dataset) -> None:
    spec = replace(MODELS["mobilenet_v2_0.35_96"], num_classes=10)

    def spread(model: keras.Model, pixels: Any) -> float:
        features = keras.Model(model.input, model.get_layer("pool").output)
        values = features.predict_on_batch(normalise(pixels, spec.preprocessing))
        return float(np.std(values, axis=0).mean())

    trainer = Trainer(spec, few, settings(), ignore)
    pixels = trainer.pixels("test", 96)
    fresh = spread(trainer.model, pixels)
    assert trainer.run() == []
    # Untouched, 17 blocks shrink the features of different pictures to the same; settled, they differ as trained ones.
    assert fresh < 1e-3
    assert spread(trainer.model, pixels) > 0.03


def test_initial_weights_are_decided_by_the_seed(tiny: ModelSpec, few: Dataset) -> None:
    def weights(seed: int) -> list[Any]:
        trainer = Trainer(tiny, few, TrainSettings(seed=seed, phases=()), ignore)
        trainer.run()
        values: list[Any] = trainer.model.get_weights()
        return values

    assert all(map(np.array_equal, weights(0), weights(0)))
    kernels = [(a, b) for a, b in zip(weights(0), weights(1), strict=True) if a.ndim > 1]
    assert not any(np.array_equal(a, b) for a, b in kernels)
