"""Batches as the network learns from them: pictures moved, mirrored, recoloured and mixed. Imports TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.data import Pixels, normalise
from models.spec import Preprocessing
from models.training.settings import Method

RANGE = (0.0, 255.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What one step learns from."""

    images: NDArray[np.float32]
    """`[N, H, W, 3]`, normalised."""
    targets: NDArray[Any]
    """Class indices, int64 `[N]`, or the share of each class, float32 `[N, classes]`."""
    weights: NDArray[np.float32] | None
    """Of each picture in the loss, `[N]`; None for 1."""


def shifted(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """The pictures, uint8 `[N, size, size, 3]`, each moved by up to that share of its size, its edges drawn out.

    By whole pixels, which blurs nothing; Keras' RandomTranslation interpolates.
    """
    size_px = pixels.shape[1]
    reach_px = int(share * size_px)
    if not reach_px:
        return pixels
    wide = np.pad(pixels, ((0, 0), (reach_px, reach_px), (reach_px, reach_px), (0, 0)), mode="edge")
    starts = rng.integers(0, 2 * reach_px + 1, size=(len(pixels), 2))
    return np.stack([image[y : y + size_px, x : x + size_px] for image, (y, x) in zip(wide, starts, strict=True)])


def balanced_weights(classes: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Weight per class, `[count]`: inverse to how many of the pictures are of it, 1 on average over the pictures.

    A class without pictures, as most of `imagenet:DIR` are, has none and takes none of the others'.
    """
    members = np.bincount(classes, minlength=count)
    there = members > 0
    weights = np.zeros(count, np.float32)
    weights[there] = len(classes) / (np.count_nonzero(there) * members[there])
    return weights


class Augmenter:
    """Makes batches of raw pictures and their classes, in the way of a method; all chance in it is decided by seeds."""

    def __init__(
        self, method: Method, preprocessing: Preprocessing, class_weights: NDArray[np.float32] | None, *,
        class_count: int, seed: int,
    ) -> None:  # fmt: skip
        self.preprocessing, self.class_weights, self.class_count = preprocessing, class_weights, class_count
        self.layers: list[keras.Layer] = []
        if method.flip:
            self.layers.append(keras.layers.RandomFlip("horizontal", seed=seed))
        if method.colour:
            share = method.colour
            self.layers.append(
                keras.layers.RandomColorJitter(
                    value_range=RANGE,
                    brightness_factor=share,
                    contrast_factor=share,
                    saturation_factor=(0.5 - share / 2, 0.5 + share / 2),
                    seed=seed + 1,
                )
            )
        if method.rand_augment:
            self.layers.append(keras.layers.RandAugment(RANGE, num_ops=2, factor=method.rand_augment, seed=seed + 2))
        self.mixer = keras.layers.MixUp(alpha=method.mixup, seed=seed + 3) if method.mixup else None
        # One-hot targets, only where something is spread over classes: indices are cheaper.
        self.spreads = bool(method.mixup or method.label_smoothing)

    @property
    def variables(self) -> list[Any]:
        """Where the layers' random numbers stand."""
        layers = [*self.layers, *([self.mixer] if self.mixer else [])]
        return [variable for layer in layers for variable in layer.variables]

    def reseed(self, rng: np.random.Generator) -> None:
        """Starts the layers' random numbers anew."""
        for variable in self.variables:
            variable.assign(np.array([rng.integers(2**32), 0], np.uint32))

    def batch(self, raw: Pixels, classes: NDArray[np.int64], shift: float, rng: np.random.Generator) -> Batch:
        """The pictures, uint8 `[N, H, W, 3]`, with their class indices `[N]`, as the network learns from them."""
        values: Any = shifted(raw, shift, rng)
        if self.layers:
            values = values.astype(np.float32)
            for layer in self.layers:
                values = layer(values, training=True)
            # Keras' saturation leaves the range of pictures.
            values = np.clip(values, *RANGE)
        images = normalise(values, self.preprocessing)
        if not self.spreads:
            weights = None if self.class_weights is None else self.class_weights[classes]
            return Batch(images=images, targets=classes, weights=weights)
        targets = np.eye(self.class_count, dtype=np.float32)[classes]
        if self.mixer:
            mixed = self.mixer({"images": images, "labels": targets}, training=True)
            images, targets = np.asarray(mixed["images"]), np.asarray(mixed["labels"])
        weights = None if self.class_weights is None else targets @ self.class_weights
        return Batch(images=images, targets=targets, weights=weights)
