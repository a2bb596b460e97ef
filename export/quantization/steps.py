"""How int8 stores a range: 256 levels, a scale and a zero point."""

from __future__ import annotations

import numpy as np

LEVELS = 256


def scale_and_zero_point(low: float, high: float) -> tuple[np.float32, np.int8]:
    """How int8 stores a range, in litert-quantizer's float32 arithmetic, so that every format has the same numbers."""
    scale = (np.float32(high) - np.float32(low)) / np.float32(LEVELS - 1)
    return scale, np.int8(np.rint(-128 - np.float32(low) / scale))
