"""Pictures as apps meet them, drawn by code: odd sizes, transparent, turned by EXIF, grey, and all that is sharp."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, PngImagePlugin

from models.data.scenes import LABELS, render

ORIENTATION = 0x0112
SEED = 20_170_417


def scene(number: int, width: int, height: int) -> Image.Image:
    """A scene of the data set `shapes`, rendered at this size."""
    side = max(width, height)
    pixels = render(number % len(LABELS), size_px=side, seed=SEED, stream=2, number=number)
    left, top = (side - width) // 2, (side - height) // 2
    return Image.fromarray(pixels[top : top + height, left : left + width])


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards, blue against both: tells a shift of a part of a pixel."""
    across, down = np.linspace(0, 255, width)[None, :], np.linspace(0, 255, height)[:, None]
    planes = (across + 0 * down, 0 * across + down, 255 - (across + down) / 2)
    return Image.fromarray(np.stack(planes, axis=2).round().astype(np.uint8))


def text(width: int, height: int) -> Image.Image:
    """Black lines of text on white: nothing is sharper."""
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for line in range(0, height, 11):
        draw.text((1, line), "The quick brown fox jumps over the lazy dog 0123456789 " * 4, fill="black")
    return page


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def _see_through(picture: Image.Image, alpha: NDArray[np.uint8]) -> Image.Image:
    made = picture.convert("RGBA")
    made.putalpha(Image.fromarray(alpha))
    return made


def _alpha(width: int, height: int) -> NDArray[np.uint8]:
    return np.tile(np.linspace(0, 255, width).round().astype(np.uint8), (height, 1))


def _disc(width: int, height: int) -> NDArray[np.uint8]:
    """Opaque within a disc, nothing outside."""
    y, x = np.mgrid[:height, :width]
    inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 2.2) ** 2
    return np.where(inside, 255, 0).astype(np.uint8)


def _gamma(value: int) -> PngImagePlugin.PngInfo:
    """A PNG's statement that its numbers mean another brightness than usual."""
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", value.to_bytes(4, "big"))
    return info


Make = Callable[[], tuple[Image.Image, dict[str, Any]]]

PICTURES: Mapping[str, Make] = {
    "odd.png": lambda: (scene(0, 301, 187), {}),
    "large.png": lambda: (scene(1, 769, 577), {}),
    "small.png": lambda: (scene(2, 61, 37), {}),
    "strip.png": lambda: (gradient(501, 33), {}),
    "gradient.png": lambda: (gradient(333, 251), {}),
    "text.png": lambda: (text(641, 427), {}),
    "photo.jpg": lambda: (scene(3, 641, 427), {"quality": 90}),
    "fine.jpg": lambda: (scene(4, 301, 299), {"quality": 95, "subsampling": 0}),
    "turned.jpg": lambda: (scene(5, 417, 293), {"exif": _exif(6), "quality": 90}),
    "mirrored.jpg": lambda: (scene(6, 255, 333), {"exif": _exif(5), "quality": 90}),
    "upside-down.png": lambda: (scene(7, 255, 333), {"exif": _exif(3)}),
    "transparent.png": lambda: (_see_through(scene(8, 299, 201), _alpha(299, 201)), {}),
    "cut-out.png": lambda: (_see_through(scene(9, 277, 277), _disc(277, 277)), {}),
    "transparent.webp": lambda: (_see_through(scene(0, 299, 201), _disc(299, 201)), {"lossless": True, "exact": True}),
    "grey.png": lambda: (scene(1, 215, 143).convert("L"), {}),
    "grey.jpg": lambda: (scene(2, 215, 143).convert("L"), {"quality": 90}),
    "grey-alpha.png": lambda: (_see_through(scene(3, 215, 143), _alpha(215, 143)).convert("LA"), {}),
    "palette.png": lambda: (scene(4, 215, 143).convert("P"), {}),
    "deep.png": lambda: (Image.fromarray(np.asarray(scene(5, 215, 143).convert("L")).astype(np.uint16) * 257), {}),
    "gamma.png": lambda: (scene(6, 215, 143), {"pnginfo": _gamma(100_000)}),
    "cmyk.jpg": lambda: (scene(7, 215, 143).convert("CMYK"), {"quality": 95}),
}
"""By the file's name: what is drawn, and how it is saved."""


def write_picture(folder: Path, name: str) -> Path:
    """The picture of that name in a file."""
    picture, options = PICTURES[name]()
    picture.save(folder / name, **options)
    return folder / name


def write_digits(golden: Path, folder: Path) -> list[Path]:
    """A golden picture once more in five files of other sizes and kinds; white on black, it stays what it shows."""
    with Image.open(golden) as file:
        digit = file.convert("RGB")
    number, (width, height) = golden.stem, digit.size
    odd = digit.resize((width * 17 // 10 | 1, height * 17 // 10 | 1), Image.Resampling.BICUBIC)
    files: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        f"{number}-large.png": (odd, {}),
        # Held with the right side up: EXIF 6 turns it back.
        f"{number}-turned.jpg": (odd.transpose(Image.Transpose.ROTATE_90), {"exif": _exif(6), "quality": 92}),
        f"{number}-grey.jpg": (digit.convert("L"), {"quality": 92}),
        f"{number}-thin.png": (_see_through(digit, np.full((height, width), 230, np.uint8)), {}),
        f"{number}-grey.png": (odd.convert("LA"), {}),
    }
    for name, (picture, options) in files.items():
        picture.save(folder / name, **options)
    return [folder / name for name in files]
