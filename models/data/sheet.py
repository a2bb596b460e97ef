"""A contact sheet: some pictures of each class in one picture."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.data.dataset import Dataset
from models.files import output_errors, write_file

CELL_PX, GAP_PX, LABEL_PX = 96, 4, 150
COLUMNS = 10
MAX_CLASSES = 20
LABEL_LETTERS = 18


def draw_sheet(dataset: Dataset) -> Image.Image:
    """A row per class, numbered, with up to ten of its pictures, undistorted; of many classes, some evenly chosen.

    Raises:
        DataError: a picture can no longer be read.
    """
    shown = np.unique(np.linspace(0, len(dataset.labels) - 1, min(MAX_CLASSES, len(dataset.labels))).astype(int))
    rng = np.random.default_rng(0)
    step = CELL_PX + GAP_PX
    sheet = Image.new("RGB", (LABEL_PX + COLUMNS * step + GAP_PX, len(shown) * step + GAP_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, label in enumerate(shown.tolist()):
        top = GAP_PX + row * step
        name = drawable(f"{label} {dataset.labels[label]}", font)
        draw.text((GAP_PX, top), _short(name), fill="black", font=font)
        members = np.flatnonzero(dataset.classes == label)
        draw.text((GAP_PX, top + 20), f"{len(members)} pictures", fill="grey", font=font)
        for column, index in enumerate(rng.permutation(members)[:COLUMNS].tolist()):
            picture = Image.fromarray(dataset.images[index])
            scale = CELL_PX / max(picture.size)
            width, height = (max(1, round(side * scale)) for side in picture.size)
            small = picture.resize((width, height), Image.Resampling.BICUBIC)
            sheet.paste(small, (LABEL_PX + column * step + (CELL_PX - width) // 2, top + (CELL_PX - height) // 2))
    return sheet


def drawable(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text without what the font has no shapes for: its letters lose their accents, or become question marks."""
    missing = _shape("\uffff", font)
    return "".join(
        char
        if _shape(char, font) != missing
        else unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode() or "?"
        for char in text
    )


def _shape(char: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> bytes:
    return bytes(font.getmask(char))


def _short(label: str) -> str:
    return label if len(label) <= LABEL_LETTERS else f"{label[: LABEL_LETTERS - 3]}..."


def write_sheet(dataset: Dataset, path: Path) -> None:
    """Writes the contact sheet as PNG.

    Raises:
        DataError: a picture can no longer be read.
        OutputError: the file cannot be written.
    """
    buffer = io.BytesIO()
    draw_sheet(dataset).save(buffer, "PNG")
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, buffer.getvalue())
