"""Whether the float file wants other numbers for a picture than it is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from export.diagnosis.evidence import OtherInput
from export.verify import Predict
from models.data import Pixels, normalise
from models.presets import PRESETS
from models.spec import Preprocessing

LEAST_GAIN = 0.05
CHANCE = 1e-3


def find_other_input(
    predict: Predict, pixels: Pixels, classes: NDArray[np.int64], preprocessing: Preprocessing
) -> OtherInput | None:
    """The normalisation that serves the float file better than its own; None if its own is the best.

    Args:
        predict: The float file, one picture at a time.
        pixels: Raw pictures, uint8 `[N, H, W, 3]`.
        classes: The true ones, `[N]`.
        preprocessing: What the file is said to take.
    """
    own = _right(predict, pixels, classes, preprocessing)
    best: OtherInput | None = None
    for name, other in _others(preprocessing, pixels):
        given = pixels[..., ::-1] if other.channel_order != preprocessing.channel_order else pixels
        right = _right(predict, given, classes, other)
        won, lost = int(np.sum(right & ~own)), int(np.sum(own & ~right))
        gain = (won - lost) / len(classes)
        sure = gain >= LEAST_GAIN and binomtest(won, won + lost, 0.5, alternative="greater").pvalue < CHANCE
        if sure and (best is None or right.mean() > best.top1):
            best = OtherInput(
                name=name,
                preprocessing=other,
                images=len(classes),
                own_top1=float(own.mean()),
                top1=float(right.mean()),
            )
    return best


def _others(preprocessing: Preprocessing, pixels: Pixels) -> Iterator[tuple[str, Preprocessing]]:
    for name, preset in PRESETS.items():
        if (preset.mean, preset.std) != (preprocessing.mean, preprocessing.std):
            yield name, replace(preprocessing, mean=preset.mean, std=preset.std)
    turned = "BGR" if preprocessing.channel_order == "RGB" else "RGB"
    if not np.array_equal(pixels[..., 0], pixels[..., 2]):
        yield f"{turned} instead of {preprocessing.channel_order}", replace(preprocessing, channel_order=turned)


def _right(
    predict: Predict, pixels: Pixels, classes: NDArray[np.int64], preprocessing: Preprocessing
) -> NDArray[np.bool_]:
    top = [int(predict(normalise(picture[None], preprocessing))[0].argmax()) for picture in pixels]
    return np.asarray(np.array(top) == classes)
