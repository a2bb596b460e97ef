"""What a network says of pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.data import LazyPixels, Pixels, batches, normalise
from models.spec import Preprocessing
from models.worker import Progress, Report

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]

EVALUATION_BATCH = 16
"""Keeps the activations of one batch at 224 px below 0.5 GB."""


def predict_logits(
    model: keras.Model | Predict,
    pixels: Pixels | LazyPixels,
    preprocessing: Preprocessing,
    report: Report,
    stage: str,
    *,
    indices: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Logits, float32 `[N, classes]`, for raw pictures, uint8 `[N, H, W, 3]`: all, or those of the indices."""
    predict = model.predict_on_batch if isinstance(model, keras.Model) else model
    order = np.arange(len(pixels)) if indices is None else indices
    logits = []
    for number, batch in enumerate(batches(pixels, order, EVALUATION_BATCH)):
        report(Progress(stage=stage, done=number * EVALUATION_BATCH, total=len(order)))
        logits.append(predict(normalise(batch, preprocessing)))
    report(Progress(stage=stage, done=len(order), total=len(order)))
    return np.concatenate(logits).astype(np.float32, copy=False)
