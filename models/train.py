"""`train`: a network from scratch, by progressive resizing. Imports TensorFlow: call it in a worker."""

from __future__ import annotations

import json
import math
import re
import time
import zipfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.build import build
from models.data import Dataset, LazyPixels, Pixels, Split, batches, load_dataset, normalise, open_pixels
from models.errors import TrainingError
from models.files import output_errors
from models.schedule import Phase, TrainSettings
from models.spec import ModelSpec, Preprocessing
from models.worker import Progress, Report

EVALUATION_BATCH = 16
"""Keeps the activations of one batch at 224 px below 0.5 GB."""


def predict_logits(
    model: keras.Model, pixels: Pixels | LazyPixels, preprocessing: Preprocessing, report: Report, stage: str
) -> NDArray[np.float32]:
    """Logits, float32 `[N, classes]`, for raw pictures, uint8 `[N, H, W, 3]`."""
    logits = []
    for number, batch in enumerate(batches(pixels, np.arange(len(pixels)), EVALUATION_BATCH)):
        report(Progress(stage=stage, done=number * EVALUATION_BATCH, total=len(pixels)))
        logits.append(model.predict_on_batch(normalise(batch, preprocessing)))
    report(Progress(stage=stage, done=len(pixels), total=len(pixels)))
    return np.concatenate(logits)


def shifted(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """The pictures, uint8 `[N, size, size, 3]`, each moved by up to that share of its size, its edges drawn out."""
    size_px = pixels.shape[1]
    reach_px = int(share * size_px)
    if not reach_px:
        return pixels
    wide = np.pad(pixels, ((0, 0), (reach_px, reach_px), (reach_px, reach_px), (0, 0)), mode="edge")
    starts = rng.integers(0, 2 * reach_px + 1, size=(len(pixels), 2))
    return np.stack([image[y : y + size_px, x : x + size_px] for image, (y, x) in zip(wide, starts, strict=True)])


class Trainer:
    """One run: the model, its optimizer and the seeded order of the pictures."""

    def __init__(self, spec: ModelSpec, dataset: Dataset, settings: TrainSettings, report: Report) -> None:
        keras.utils.set_random_seed(settings.seed)
        self.spec, self.dataset, self.settings, self.report = spec, dataset, settings, report
        self.rng = np.random.default_rng(settings.seed)
        # One model and one compilation for all picture sizes: each further one costs 20 s of tracing.
        self.model = build(spec, resolution_px=0)
        self.model.compile(
            optimizer=keras.optimizers.Adam(),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            # XLA computes on one core when there is no GPU.
            jit_compile=bool(tf.config.list_physical_devices("GPU")),
        )

    def pixels(self, split: Split, size_px: int) -> Pixels | LazyPixels:
        """Raw pictures of a split, uint8 `[N, size_px, size_px, 3]`."""
        return open_pixels(self.dataset, split, self.spec.preprocessing, size_px)

    def run(self) -> list[dict[str, Any]]:
        """Trains all phases, leaves the model with the best weights of the last one, and returns a row per epoch."""
        if not self.settings.phases:
            self._settle_batch_norm()
        history: list[dict[str, Any]] = []
        best: tuple[float, list[NDArray[np.float32]]] | None = None
        for phase in self.settings.phases:
            train, validation = (self.pixels(split, phase.resolution_px) for split in ("train", "validation"))
            for number in range(phase.epochs):
                row = self._epoch(phase, number, train)
                row["validation_top1"] = self.top1("validation", validation)
                history.append(row)
                # Of equals the later, which is the more settled.
                if phase is self.settings.phases[-1] and (best is None or row["validation_top1"] >= best[0]):
                    best = row["validation_top1"], self.model.get_weights()
        if best:
            self.model.set_weights(best[1])
        return history

    def _epoch(self, phase: Phase, number: int, pixels: Pixels | LazyPixels) -> dict[str, Any]:
        started = time.monotonic()
        classes = self.dataset.classes[self.dataset.splits["train"]]
        order = self.rng.permutation(len(pixels))
        steps = math.ceil(len(order) / phase.batch)
        total = phase.epochs * steps
        # `train_on_batch` forgets earlier batches, so the epoch's means are made here.
        sums, seen = np.zeros(2), 0
        for step, raw in enumerate(batches(pixels, order, phase.batch)):
            done = number * steps + step
            # Cosine decay over the phase, down to a fiftieth.
            decay = 0.02 + 0.98 * (1 + math.cos(math.pi * done / total)) / 2
            self.model.optimizer.learning_rate = phase.learning_rate * decay
            chosen = order[step * phase.batch : (step + 1) * phase.batch]
            batch = normalise(shifted(raw, phase.shift, self.rng), self.spec.preprocessing)
            metrics = self.model.train_on_batch(batch, classes[chosen], return_dict=True)
            sums += np.array([metrics["loss"], metrics["accuracy"]]) * len(chosen)
            seen += len(chosen)
            loss, top1 = (float(mean) for mean in sums / seen)
            detail = f"loss {loss:.3f}, top-1 {top1:.1%}"
            self.report(Progress(stage=f"train at {phase.resolution_px} px", done=done + 1, total=total, detail=detail))
        if not math.isfinite(loss):
            raise TrainingError(
                f"training diverged in epoch {number + 1} at {phase.resolution_px} px: the loss is {loss}; "
                "run it again with another --seed"
            )
        return {
            "resolution_px": phase.resolution_px,
            "epoch": number + 1,
            "loss": loss,
            "train_top1": top1,
            "seconds": round(time.monotonic() - started, 1),
        }

    def top1(self, split: Split, pixels: Pixels | LazyPixels) -> float:
        """Top-1 accuracy on a split, 0..1."""
        stage = f"{split} accuracy"
        logits = predict_logits(self.model, pixels, self.spec.preprocessing, self.report, stage)
        return float(np.mean(logits.argmax(axis=1) == self.dataset.classes[self.dataset.splits[split]]))

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


def make_reproducible(path: Path) -> None:
    """Writes a `.keras` archive anew without the time of day and the memory addresses that Keras puts into it.

    Equal weights then give equal bytes.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    members["metadata.json"] = json.dumps({**json.loads(members["metadata.json"]), "date_saved": ""}).encode()
    numbers: dict[bytes, int] = {}
    members["config.json"] = re.sub(
        rb'("shared_object_id": )(\d+)',
        lambda match: match[1] + str(numbers.setdefault(match[2], len(numbers) + 1)).encode(),
        members["config.json"],
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def train(report: Report, spec: ModelSpec, dataset_name: str, settings: TrainSettings, made: Path) -> dict[str, Any]:
    """Trains, writes the best checkpoint to `made` at the network's own size, and returns the record of the run.

    No phases in the settings: random weights, with batch normalization settled on training pictures.

    Raises:
        TrainingError: the loss is not finite any more.
        OutputError: `made` cannot be written.
    """
    tf.config.experimental.enable_op_determinism()
    started = time.monotonic()
    dataset = load_dataset(dataset_name, report)
    spec = replace(spec, num_classes=len(dataset.labels))
    trainer = Trainer(spec, dataset, settings, report)
    history = trainer.run()
    with output_errors(made):
        fixed = build(spec)
        fixed.set_weights(trainer.model.get_weights())
        fixed.save(made)
        make_reproducible(made)
    last = history[-settings.phases[-1].epochs :] if settings.phases else []
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
        "accuracy": {
            "validation_top1": max((row["validation_top1"] for row in last), default=None),
            "test_top1": trainer.top1("test", trainer.pixels("test", spec.resolution_px)),
        },
        "seconds": round(time.monotonic() - started, 1),
        "history": history,
        "versions": {
            name: metadata.version(name) for name in ("tensorflow", "keras", "numpy", "scikit-learn", "pillow")
        },
    }
