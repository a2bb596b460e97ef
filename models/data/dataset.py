"""What a data set is: labelled pictures with fixed splits, held in memory or read when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

SPLIT_SEED = 20_170_417
"""Fixed for ever: the `--seed` of a run must not move test images into another run's training set."""


class Images(Protocol):
    """Pictures by number, each uint8 `[H, W, 3]`, RGB, 0..255, at its own size. Safe to read from many threads."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Pixels: ...


@runtime_checkable
class DecodedImages(Images, Protocol):
    """Images that can also be had as Pillow decodes them: between it and an array lies a copy that takes as long."""

    def decoded(self, index: int, /, at_least_px: int) -> Image.Image:
        """The picture in mode RGB; one much larger may be smaller than it is, with no side below that length."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Labelled pictures with a fixed split."""

    name: str
    """Part of file names: letters, digits, `-` and `_`."""
    source: str
    """Where the pictures come from, for people."""
    labels: tuple[str, ...]
    """Class names; the position is the class index."""
    images: Images
    classes: NDArray[np.int64]
    """Class index per picture, `[N]`."""
    splits: Mapping[Split, NDArray[np.int64]]
    """Picture indices, ascending, disjoint."""
    content: str | None = None
    """SHA-256 that stands for the pictures, where there are too many to read them all at each start."""

    @property
    def digest(self) -> str:
        """SHA-256 over labels, pictures, classes and splits: equal digests, equal data."""
        sha = hashlib.sha256("\0".join(self.labels).encode())
        if self.content is None:
            for number in range(len(self.images)):
                image = self.images[number]
                sha.update(repr(image.shape).encode() + image.tobytes())
        else:
            sha.update(self.content.encode())
        sha.update(self.classes.astype("<i8").tobytes())
        for split in SPLITS:
            sha.update(split.encode() + self.splits[split].astype("<i8").tobytes())
        return sha.hexdigest()
