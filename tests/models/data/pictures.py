"""Picture files for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.data import Pixels


def blobs(seed: int, *, width: int = 48, height: int = 40) -> Pixels:
    """A picture of soft coloured blobs, different for each seed: uint8 `[height, width, 3]`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def save(path: Path, pixels: Pixels, **options: Any) -> Path:
    """Writes the pixels in the format of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def make_folder(root: Path, counts: dict[str, int], *, ending: str = "png", start: int = 0) -> Path:
    """`root/class/number.ending`, all pictures different."""
    number = start
    for label, count in counts.items():
        (root / label).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            save(root / label / f"{number:04}.{ending}", blobs(number))
            number += 1
    return root
