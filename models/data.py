"""Data sets, their fixed splits, and the one `preprocess` that training, calibration and verification share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.errors import DataError, UnknownNameError
from models.spec import Preprocessing

Pixels = NDArray[np.uint8]
Split = Literal["train", "validation", "test"]

SPLIT_SEED = 20_170_417
"""Fixed for ever: the `--seed` of a run must not move test images into another run's training set."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Labelled pictures with a fixed, stratified split."""

    name: str
    source: str
    """Where the pictures come from, for people."""
    labels: tuple[str, ...]
    """Class names; the position is the class index."""
    images: tuple[Pixels, ...]
    """Each uint8 `[H, W, 3]`, RGB, 0..255, at its own size."""
    classes: NDArray[np.int64]
    """Class index per picture, `[N]`."""
    splits: Mapping[Split, NDArray[np.int64]]
    """Picture indices, ascending, disjoint."""

    @property
    def digest(self) -> str:
        """SHA-256 over labels, pictures, classes and splits: equal digests, equal data."""
        sha = hashlib.sha256("\0".join(self.labels).encode())
        for image in self.images:
            sha.update(repr(image.shape).encode() + image.tobytes())
        sha.update(self.classes.astype("<i8").tobytes())
        for split in ("train", "validation", "test"):
            sha.update(split.encode() + self.splits[split].astype("<i8").tobytes())
        return sha.hexdigest()


def stratified_split(
    classes: NDArray[np.int64], *, validation: float, test: float, seed: int
) -> dict[Split, NDArray[np.int64]]:
    """Disjoint index sets in which every class has the same share.

    Args:
        classes: Class index per picture, `[N]`.
        validation: Share of each class, 0..1.
        test: Share of each class, 0..1.
        seed: Decides which pictures go where.
    """
    rng = np.random.default_rng(seed)
    parts: dict[Split, list[NDArray[np.int64]]] = {"train": [], "validation": [], "test": []}
    for label in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == label))
        ends = np.round(np.cumsum([test, validation]) * len(members)).astype(int)
        for split, part in zip(("test", "validation", "train"), np.split(members, ends), strict=True):
            parts[split].append(part)  # type: ignore[index]
    return {split: np.sort(np.concatenate(indices)) for split, indices in parts.items()}


def stratified_sample(
    classes: NDArray[np.int64], indices: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.int64]:
    """`count` of `indices`, ascending, spread over the classes as evenly as their sizes allow.

    Raises:
        DataError: fewer pictures than asked for, or not even one asked for.
    """
    if not 1 <= count <= len(indices):
        raise DataError(
            f"cannot take {count} calibration images from a split of {len(indices)}; ask for 1 to {len(indices)}"
        )
    rng = np.random.default_rng(seed)
    queues = [list(rng.permutation(indices[classes[indices] == label])) for label in np.unique(classes[indices])]
    chosen: list[int] = []
    while len(chosen) < count:
        # One of each class in turn, the classes in random order, until there are enough.
        for position in rng.permutation(len(queues)):
            if queues[position] and len(chosen) < count:
                chosen.append(queues[position].pop())
    return np.sort(np.array(chosen, dtype=np.int64))


def preprocess(images: tuple[Pixels, ...], preprocessing: Preprocessing, size_px: int) -> Pixels:
    """Pictures as the network's raw input: uint8 `[N, size_px, size_px, 3]`, RGB, 0..255, stretched to the square."""
    if (preprocessing.resize, preprocessing.fit, preprocessing.channel_order) != ("bilinear", "stretch", "RGB"):
        raise DataError(f"cannot execute the preprocessing {preprocessing}: only bilinear, stretch, RGB is known")
    batch = np.empty((len(images), size_px, size_px, 3), np.uint8)
    for row, image in zip(batch, images, strict=True):
        row[:] = np.asarray(Image.fromarray(image).resize((size_px, size_px), Image.Resampling.BILINEAR))
    return batch


def normalise(pixels: Pixels, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Raw input as the float network takes it: float32, same shape, `(pixel - mean) / std` per channel."""
    mean = np.asarray(preprocessing.mean, np.float32)
    std = np.asarray(preprocessing.std, np.float32)
    return (pixels.astype(np.float32) - mean) / std


def load_digits() -> Dataset:
    """1797 handwritten digits of 8 x 8 grey levels, embedded in scikit-learn; no download.

    Source: the test part of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (1998), UCI Machine
    Learning Repository. Levels 0..16 become bytes 0..255, grey becomes RGB.
    """
    # Takes more than a second to import, and `--help` has no use for it.
    from sklearn.datasets import load_digits as load

    bunch = load()
    grey = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    classes = bunch.target.astype(np.int64)
    return Dataset(
        name="digits",
        source="scikit-learn load_digits (UCI Optical Recognition of Handwritten Digits)",
        labels=tuple(str(name) for name in bunch.target_names),
        images=tuple(np.repeat(image[:, :, None], 3, axis=2) for image in grey),
        classes=classes,
        splits=MappingProxyType(stratified_split(classes, validation=0.1, test=0.2, seed=SPLIT_SEED)),
    )


DATASETS: Mapping[str, Callable[[], Dataset]] = MappingProxyType({"digits": load_digits})


def dataset_loader(name: str) -> Callable[[], Dataset]:
    """What loads the data set called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS)
    return DATASETS[name]


def load_dataset(name: str) -> Dataset:
    """The data set called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    return dataset_loader(name)()
