"""The one `preprocess` that training, calibration, verification and benchmarks share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.data.dataset import Images, Pixels
from models.errors import DataError
from models.spec import FITS, Preprocessing

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Pillow's; all but `nearest` antialias when they shrink."""

CHANNEL_ORDERS = ("RGB", "BGR")


def check_preprocessing(preprocessing: Preprocessing) -> None:
    """Refuses what cannot be executed, instead of doing something like it.

    Raises:
        DataError: an unknown filter, fit or channel order, or a crop of nothing.
    """
    known = (
        preprocessing.resize in FILTERS
        and preprocessing.fit in FITS
        and preprocessing.channel_order in CHANNEL_ORDERS
        and 0 < preprocessing.crop_share <= 1
    )
    if not known:
        raise DataError(
            f"cannot execute the preprocessing {preprocessing}: known are resize {', '.join(FILTERS)}; fit "
            f"{', '.join(FITS)}; channel_order {', '.join(CHANNEL_ORDERS)}; crop_share above 0, at most 1"
        )


def prepare_picture(image: Pixels, preprocessing: Preprocessing, size_px: int) -> Pixels:
    """One picture, uint8 `[H, W, 3]`, as the network's raw input: uint8 `[size_px, size_px, 3]`, 0..255.

    Raises:
        DataError: the preprocessing is not known.
    """
    check_preprocessing(preprocessing)
    picture, resample = Image.fromarray(image), FILTERS[preprocessing.resize]
    if preprocessing.fit == "pad":
        scale = size_px / max(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        made = Image.new("RGB", (size_px, size_px))
        made.paste(picture.resize((width, height), resample), ((size_px - width) // 2, (size_px - height) // 2))
    else:
        box = None
        if preprocessing.fit == "crop":
            side = min(picture.size) * preprocessing.crop_share
            left, top = ((length - side) / 2 for length in picture.size)
            box = (left, top, left + side, top + side)
        made = picture.resize((size_px, size_px), resample, box=box)
    pixels = np.asarray(made)
    return pixels[:, :, ::-1] if preprocessing.channel_order == "BGR" else pixels


def preprocess(images: Images, preprocessing: Preprocessing, size_px: int) -> Pixels:
    """Pictures as the network's raw input: uint8 `[N, size_px, size_px, 3]`, 0..255, channels in the network's order.

    Raises:
        DataError: the preprocessing is not known.
    """
    batch = np.empty((len(images), size_px, size_px, 3), np.uint8)
    for number, row in enumerate(batch):
        row[:] = prepare_picture(images[number], preprocessing, size_px)
    return batch


def normalise(pixels: Pixels, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Raw input as the float network takes it: float32, same shape, `(pixel - mean) / std` per channel."""
    mean = np.asarray(preprocessing.mean, np.float32)
    std = np.asarray(preprocessing.std, np.float32)
    return (pixels.astype(np.float32) - mean) / std
