"""What counts as latencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def latencies(values_us: Sequence[float]) -> NDArray[np.float64]:
    """The values as float64 `[N]`.

    Raises:
        ValueError: there is none, or one that is not positive and finite.
    """
    values = np.asarray(values_us, np.float64)
    if values.ndim != 1 or not len(values) or not bool(np.all(np.isfinite(values) & (values > 0))):
        shown = ", ".join(f"{value:g}" for value in values.ravel()[:6])
        raise ValueError(f"no latencies: [{shown}]; they are positive and finite")
    return values
