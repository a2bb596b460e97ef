"""One picture file as RGB bytes: four formats, every colour mode they have, upright, and nothing hostile let in."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from models.data.dataset import Pixels
from models.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
"""Pillow's names. Its other readers, some of which start programs, are never asked."""

MAX_PIXELS = 64_000_000
"""192 MB decoded. A larger claim in the header of a small file is a decompression bomb, or no job for 224 px."""

MAX_FILE_BYTES = 256 * 2**20

BACKGROUND = (255, 255, 255)
"""White, as most viewers and web pages show transparent pictures."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
"""By EXIF orientation: what undoes how the camera was held."""


def read_picture(path: Path) -> Pixels:
    """Like `decode_picture`, as an array: uint8 `[H, W, 3]`, RGB, 0..255.

    Raises:
        DataError: as there.
    """
    return np.array(decode_picture(path))


def decode_picture(path: Path, at_least_px: int | None = None) -> Image.Image:
    """The picture, upright, in Pillow's mode RGB.

    With `at_least_px`, a JPEG is halved once, twice or thrice while it is decoded, as long as both sides stay that
    long: a photograph of 12 megapixels takes a third of the time.

    Transparent pictures are laid over white, 16-bit ones keep their upper byte, CMYK is converted without a colour
    profile, and of an animation the first frame is taken.

    Raises:
        DataError: with the reason only, not the path: the file is missing, no regular file, no picture of the four
            formats, damaged, cut off, or too large.
    """
    with _opened(path) as file:
        try:
            with Image.open(file, formats=FORMATS) as image:
                return _decoded(image, at_least_px)
        except DataError:
            raise
        except UnidentifiedImageError as error:
            raise DataError("is no JPEG, PNG, WebP or BMP picture") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise DataError(f"claims more than {MAX_PIXELS} pixels") from error
        except Exception as error:  # whatever a damaged file makes a decoder raise
            raise DataError(f"is damaged: {' '.join(str(error).split())[:200] or type(error).__name__}") from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file of a bearable size; a pipe or a device is never read from, nor waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DataError("is no regular file")
        if status.st_size == 0:
            raise DataError("is empty")
        if status.st_size > MAX_FILE_BYTES:
            raise DataError(f"has {status.st_size} bytes, more than the {MAX_FILE_BYTES} allowed")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _decoded(image: Image.Image, at_least_px: int | None) -> Image.Image:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(f"claims {width} x {height} pixels, more than the {MAX_PIXELS} allowed")
    orientation = _orientation(image)
    if at_least_px:
        image.draft(image.mode, (at_least_px, at_least_px))
    # Decodes, and finds out what is cut off.
    image.load()
    upright = image
    for turn in _UPRIGHT.get(orientation, ()):
        upright = upright.transpose(turn)
    return _rgb(upright, transparent="transparency" in image.info)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - EXIF is written by anything; a picture is no worse without it
        return 1


def _rgb(image: Image.Image, *, transparent: bool) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow's own conversion would clip 16 bits at 255.
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if transparent or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), layer).convert("RGB")
    # The file is closed when this returns; a converted or copied picture needs it no more, nor does a loaded one.
    return image if image.mode == "RGB" else image.convert("RGB")


# Our own limit is lower and an error; and what Pillow finds odd in a picture that it can read is of no interest. Both
# would go to the terminal, from many threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
