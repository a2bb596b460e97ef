"""The embedded data set: handwritten digits, for the first run and for tests."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from models.data.dataset import SPLIT_SEED, Dataset
from models.data.split import stratified_split


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
