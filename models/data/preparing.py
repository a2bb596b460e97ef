"""The one `preprocess` that training, calibration, verification and benchmarks share."""

from __future__ import annotations

import math

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


def least_side_px(preprocessing: Preprocessing, size_px: int) -> int:
    """Sides below which a picture may not be scaled while it is decoded: twice what is left of them in the end."""
    return math.ceil(2 * size_px / preprocessing.crop_share)


def prepare_picture(image: Pixels | Image.Image, preprocessing: Preprocessing, size_px: int) -> Pixels:
    """One picture, uint8 `[H, W, 3]` or Pillow's RGB, as raw input of a network: uint8 `[size_px, size_px, 3]`.

    Raises:
        DataError: the preprocessing is not known.
    """
    check_preprocessing(preprocessing)
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    resample = FILTERS[preprocessing.resize]
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
    mean, std = (_scalar_if_alike(np.asarray(side, np.float32)) for side in (preprocessing.mean, preprocessing.std))
    values = np.subtract(pixels, mean, dtype=np.float32)
    values /= std
    return values


def _scalar_if_alike(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    # NumPy goes through the last axis in steps of three otherwise, which takes six times as long.
    return channels[:1] if (channels == channels[0]).all() else channels
