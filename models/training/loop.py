"""The training loop: phases of epochs of steps, validated, kept and told of after every epoch. Imports TensorFlow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.build import build
from models.data import Dataset, LazyPixels, Pixels, Split, batches_of, normalise, open_pixels
from models.errors import TrainingError
from models.spec import ModelSpec
from models.training.augment import Augmenter, balanced_weights
from models.training.devices import Devices
from models.training.keep import Position, Unfinished
from models.training.learner import Learner
from models.training.pace import Pace
from models.training.predict import Predict, predict_logits
from models.training.settings import Phase, TrainSettings
from models.training.subject import Subject, Weights, nothing
from models.training.together import make_predictor
from models.worker import Progress, Report


class Trainer:
    """One run: a network, the seeded order of the pictures, and how far it is."""

    def __init__(
        self,
        spec: ModelSpec,
        dataset: Dataset,
        settings: TrainSettings,
        report: Report,
        *,
        subject: Subject | None = None,
        run: Mapping[str, Any] | None = None,
        after_epoch: Callable[[Trainer], None] = nothing,
        devices: Devices | None = None,
    ) -> None:
        """A training that has not begun.

        Args:
            spec: The network, with as many classes as the data has.
            dataset: The data.
            settings: How to train.
            report: Receives the progress.
            subject: What is trained; the network of `spec` from random weights, if not given.
            run: What this is a training of, for `unfinished`.
            after_epoch: Called after every epoch.
            devices: That learn together; one, if not given.
        """
        keras.utils.set_random_seed(settings.seed)
        self.spec, self.dataset, self.settings, self.report = spec, dataset, settings, report
        self.run_of, self.after_epoch = run or {}, after_epoch
        self.rng = np.random.default_rng(settings.seed)
        # One model and one compilation for all picture sizes: each further one costs 20 s of tracing.
        self.devices = devices or Devices()
        self.subject = subject or Subject(make=partial(build, spec, resolution_px=0))
        with self.devices.scope():
            self.model: keras.Model = self.subject.make()
        self.subject.start(self.model)
        self.classes = {split: dataset.classes[indices] for split, indices in dataset.splits.items()}
        self.learner = Learner(
            self.model,
            settings.method,
            steps=sum(self._steps(phase) for phase in settings.phases),
            keeps_norms=settings.fine_tune is not None,
            devices=self.devices,
        )
        weights = None
        if settings.method.class_weights == "balanced":
            weights = balanced_weights(self.classes["train"], spec.num_classes)
        self.augmenter = Augmenter(
            settings.method, spec.preprocessing, weights, class_count=spec.num_classes, seed=settings.seed
        )
        self.at = Position()
        self.best: Weights | None = None
        self._predict: tuple[keras.Model, Predict] | None = None
        self.pace = Pace(sum(map(self._cost, settings.phases)))

    def _steps(self, phase: Phase) -> int:
        """In one epoch."""
        return math.ceil(len(self.classes["train"]) / phase.batch)

    def _cost(self, phase: Phase) -> float:
        """Of a phase, in a unit of its own: time goes with the pixels."""
        return phase.epochs * len(self.classes["train"]) * phase.resolution_px**2

    def pixels(self, split: Split, size_px: int) -> Pixels | LazyPixels:
        """Raw pictures of a split, uint8 `[N, size_px, size_px, 3]`."""
        return open_pixels(self.dataset, split, self.spec.preprocessing, size_px)

    def run(self) -> list[dict[str, Any]]:
        """Trains all phases, leaves the model with the best weights of the last one, and returns a row per epoch.

        Raises:
            TrainingError: the loss is not finite any more.
        """
        if not self.settings.phases:
            self._settle_batch_norm()
        if self.subject.keeps_start and self.at.best_top1 is None:
            self.at.start_top1 = self.top1("validation", self.pixels("validation", self.spec.resolution_px))
            self.at.best_top1, self.best = self.at.start_top1, self.model.get_weights()
        for phase in self.settings.phases[self.at.phase :]:
            self.learner.freeze(phase.frozen)
            train, validation = (self.pixels(split, phase.resolution_px) for split in ("train", "validation"))
            while self.at.epochs < phase.epochs:
                self._epoch(phase, train, validation)
                self.after_epoch(self)
            self.at.phase, self.at.epochs = self.at.phase + 1, 0
        if self.best is not None:
            self.model.set_weights(self.best)
        return self.at.history

    def _epoch(self, phase: Phase, train: Pixels | LazyPixels, validation: Pixels | LazyPixels) -> None:
        """One epoch with its validation."""
        started = time.monotonic()
        row = self._learn(phase, train)
        with self.learner.averaged():
            row["validation_top1"] = self.top1("validation", validation)
            # Of equals the later, which is the more settled.
            is_last = self.at.phase == len(self.settings.phases) - 1
            if is_last and (self.at.best_top1 is None or row["validation_top1"] >= self.at.best_top1):
                self.at.best_top1, self.best = row["validation_top1"], self.model.get_weights()
        row["seconds"] = round(time.monotonic() - started, 1)
        self.at.epochs += 1
        self.at.step += self._steps(phase)
        self.at.seconds += time.monotonic() - started
        self.at.history.append(row)

    def _learn(self, phase: Phase, pixels: Pixels | LazyPixels) -> dict[str, Any]:
        order = self.rng.permutation(len(pixels))
        steps = self._steps(phase)
        first, total = self.at.epochs * steps, phase.epochs * steps
        # A step tells of its own batch, so the epoch's means are made here.
        sums, seen, rate = np.zeros(2), 0, 0.0
        shares = [self.devices.share(order[start : start + phase.batch]) for start in range(0, len(order), phase.batch)]
        rng = self._chance()
        for step, raw in enumerate(batches_of(pixels, [share.indices for share in shares])):
            share = shares[step]
            batch = self.augmenter.batch(raw, self.classes["train"][share.indices], phase.shift, rng)
            rate = phase.rate(first + step, total)
            loss, top1 = self.learner.step(batch, rate, share)
            if not math.isfinite(loss):
                raise TrainingError(
                    f"training diverged in epoch {self.at.epochs + 1} at {phase.resolution_px} px: the loss is {loss}"
                )
            sums += np.array([loss, top1]) * share.batch
            seen += share.batch
            self.pace.advance(share.batch * phase.resolution_px**2)
            self._tell(phase, first + step + 1, total, rate, *(float(mean) for mean in sums / seen))
        loss, top1 = (float(mean) for mean in sums / seen)
        return {
            "resolution_px": phase.resolution_px,
            "epoch": self.at.epochs + 1,
            "loss": loss,
            "train_top1": top1,
            "learning_rate": rate,
        }

    def _chance(self) -> np.random.Generator:
        """What decides how pictures are changed in this epoch.

        Of several workers each draws for its own pictures, by the number of the epoch: the one that keeps the files
        knows nothing of the others' generators.
        """
        if self.devices.workers == 1:
            return self.rng
        rng = np.random.default_rng((self.settings.seed, self.devices.index, self.at.phase, self.at.epochs))
        self.augmenter.reseed(rng)
        return rng

    def _tell(self, phase: Phase, done: int, total: int, rate: float, loss: float, top1: float) -> None:
        last = self.at.history[-1]["validation_top1"] if self.at.history else None
        validated = "" if last is None else f"validation {last:.1%}, "
        detail = f"{validated}top-1 {top1:.1%}, loss {loss:.3f}"
        self.report(Progress(stage=f"train at {phase.resolution_px} px", done=done, total=total, detail=detail))
        whole = self.pace.progress(f"learning rate {rate:.1e}")
        if whole.done:
            self.report(whole)

    def top1(self, split: Split, pixels: Pixels | LazyPixels) -> float:
        """Top-1 accuracy on a split, 0..1."""
        stage = f"{split} accuracy"
        model, classes = self.model, self.classes[split]
        if self.devices.alone:
            logits = predict_logits(model, pixels, self.spec.preprocessing, self.report, stage)
            return float(np.mean(logits.argmax(axis=1) == classes))
        if self._predict is None or self._predict[0] is not model:
            self._predict = model, make_predictor(self.devices, model)
        # Every worker looks at its part of them.
        own = np.arange(len(pixels))[self.devices.index :: self.devices.workers]
        logits = predict_logits(self._predict[1], pixels, self.spec.preprocessing, self.report, stage, indices=own)
        right = np.count_nonzero(logits.argmax(axis=1) == classes[own])
        return float(self.devices.total(np.array([right]))[0] / len(classes))

    def unfinished(self) -> Unfinished:
        """Where it stands, between two epochs."""
        arrays = {
            **self.learner.state(),
            **{f"augment/{n}": np.array(variable) for n, variable in enumerate(self.augmenter.variables)},
            **{f"best/{n}": values for n, values in enumerate(self.best or ())},
        }
        return Unfinished(run=self.run_of, position=self.at, random=self.rng.bit_generator.state, arrays=arrays)

    def go_on(self, unfinished: Unfinished) -> None:
        """Continues from there.

        Raises:
            ValueError: it is the state of another kind of run.
        """
        groups: dict[str, dict[str, NDArray[Any]]] = {"augment": {}, "best": {}, "learner": {}}
        for name, values in unfinished.arrays.items():
            group = name.partition("/")[0]
            groups[group if group in groups else "learner"][name] = values
        at = unfinished.position
        self.learner.freeze(self.settings.phases[at.phase].frozen)
        self.learner.restore(groups["learner"])
        if len(groups["augment"]) != len(self.augmenter.variables):
            raise ValueError("it holds the state of another augmentation")
        for number, variable in enumerate(self.augmenter.variables):
            variable.assign(groups["augment"][f"augment/{number}"])
        self.best = [groups["best"][f"best/{n}"] for n in range(len(groups["best"]))] or None
        self.rng.bit_generator.state = dict(unfinished.random)
        self.at = at
        done = sum(map(self._cost, self.settings.phases[: at.phase]))
        self.pace.skip(done + self._cost(replace(self.settings.phases[at.phase], epochs=at.epochs)))

    def _settle_batch_norm(self) -> None:
        """Sets the moving statistics to those of one batch, so that an untrained network has activations of size 1.

        Without it they shrink from layer to layer to nothing, and nothing can be quantized in a meaningful way.
        """
        norms = [layer for layer in self.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        for layer in norms:
            layer.momentum = 0.0
        pixels = self.pixels("train", self.spec.resolution_px)
        chosen = self.rng.choice(len(pixels), size=min(32, len(pixels)), replace=False)
        self.model(normalise(pixels[chosen], self.spec.preprocessing), training=True)
