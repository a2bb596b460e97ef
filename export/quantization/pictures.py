"""Some pictures of the representative data set, the same ones in any order of it."""

from __future__ import annotations

import hashlib

from models.data import Pixels


def some_pictures(pixels: Pixels, count: int, *, from_end: bool = False) -> Pixels:
    """At most so many pictures, in an order of their own.

    Args:
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        count: How many.
        from_end: Others than without, as far as there are enough.
    """
    order = sorted(range(len(pixels)), key=lambda number: hashlib.sha256(pixels[number].tobytes()).digest())
    return pixels[order[::-1][:count] if from_end else order[:count]]
