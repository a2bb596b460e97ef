"""Pictures that are the same or nearly: another size, another compression, a few grey levels brighter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from models.data.dataset import Pixels

SIDE = 8
MAX_BITS = 4
"""Of 64 in which two fingerprints may differ."""
MAX_LEVELS = 5.0
"""Mean difference of two thumbnails, at most. Bits alone would call all pictures of one plain form equal."""
MAX_CANDIDATES = 500
"""Pictures with a part in common that are compared with a new one, the latest first: keeps plain pictures, which have
most parts in common, from taking a time that grows with the square of their number."""

_BANDS = MAX_BITS + 1
_BAND_EDGES = [round(64 * band / _BANDS) for band in range(_BANDS + 1)]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How a picture looks from afar."""

    bits: int
    """64: whether each of 8 x 8 fields is brighter than its right neighbour (difference hash)."""
    thumbnail: bytes
    """9 x 8 grey levels, row by row."""


def fingerprint(image: Pixels | Image.Image) -> Fingerprint:
    """The look of a picture, uint8 `[H, W, 3]` or Pillow's RGB, that survives scaling and compression."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    small = picture.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    levels = np.asarray(small).astype(np.int16)
    falling = (levels[:, :-1] > levels[:, 1:]).ravel()
    return Fingerprint(int.from_bytes(np.packbits(falling).tobytes(), "big"), small.tobytes())


def group_duplicates(contents: Sequence[str], looks: Sequence[Fingerprint]) -> list[int]:
    """Group number per picture: the number of the first picture that it equals or nearly equals.

    A picture is compared with the first of each group alone, so that a chain of small differences, such as the frames
    of a film, does not make one group of very different pictures.

    Args:
        contents: SHA-256 of each file.
        looks: Fingerprint of each picture.
    """
    by_content: dict[str, int] = {}
    by_band: dict[tuple[int, int], list[int]] = {}
    groups: list[int] = []
    for number, (content, look) in enumerate(zip(contents, looks, strict=True)):
        group = by_content.get(content)
        if group is None:
            keys = _band_keys(look.bits)
            near = sorted({leader for key in keys for leader in by_band.get(key, [])[-MAX_CANDIDATES:]})
            group = next((leader for leader in near if _alike(look, looks[leader])), number)
            by_content[content] = group
            if group == number:
                for key in keys:
                    by_band.setdefault(key, []).append(number)
        groups.append(group)
    return groups


def _band_keys(bits: int) -> list[tuple[int, int]]:
    """Parts of the bits; two that differ in at most `MAX_BITS` bits have one part in common, there being one more."""
    return [
        (band, bits >> start & (1 << (stop - start)) - 1) for band, (start, stop) in enumerate(pairwise(_BAND_EDGES))
    ]


def _alike(one: Fingerprint, other: Fingerprint) -> bool:
    if (one.bits ^ other.bits).bit_count() > MAX_BITS:
        return False
    levels = (np.frombuffer(look.thumbnail, np.uint8).astype(np.int16) for look in (one, other))
    return float(np.abs(next(levels) - next(levels)).mean()) <= MAX_LEVELS
