"""What a network says of pictures."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from models.data import LazyPixels, Pixels, batches, normalise
from models.spec import Preprocessing
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
    return np.concatenate(logits).astype(np.float32, copy=False)
