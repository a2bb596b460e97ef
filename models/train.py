"""`train(spec, dataset, settings)`: a network from scratch, by progressive resizing. Imports Keras; run it in a worker."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.build import build
from models.data import Dataset, Pixels, normalise, preprocess
from models.errors import ToolchainError
from models.schedule import Phase, TrainSettings
from models.spec import ModelSpec, Preprocessing
from models.worker import Progress, Report


class Batches(keras.utils.PyDataset):
    """Shuffled, normalised training batches; bytes stay bytes until their batch is due."""

    def __init__(self, pixels: Pixels, classes: np.ndarray, preprocessing: Preprocessing, batch: int, seed: int) -> None:
        super().__init__()
        self.pixels, self.classes, self.preprocessing, self.batch = pixels, classes, preprocessing, batch
        self.rng = np.random.default_rng(seed)
        self.order = self.rng.permutation(len(pixels))

    def __len__(self) -> int:
        return math.ceil(len(self.pixels) / self.batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[index * self.batch : (index + 1) * self.batch]
        return normalise(self.pixels[chosen], self.preprocessing), self.classes[chosen]

    def on_epoch_end(self) -> None:
        self.order = self.rng.permutation(len(self.pixels))
