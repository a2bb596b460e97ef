"""Where warming up ends in the latencies of one process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from device_bench.stats.latencies import latencies

BLOCK = 5
"""Runs per block: the batch size of MSER-5."""
_FEWEST_BLOCKS = 6
_CLIP = 5.0


def block_medians(samples_us: Sequence[float], block: int = BLOCK) -> NDArray[np.float64]:
    """Medians of consecutive blocks; what does not fill the last block is left out.

    Raises:
        ValueError: not one block is full, or a sample is no latency.
    """
    samples = latencies(samples_us)
    whole = len(samples) // block
    if not whole:
        raise ValueError(f"{len(samples)} runs fill no block of {block}")
    medians: NDArray[np.float64] = np.median(samples[: whole * block].reshape(whole, block), axis=1)
    return medians


def steady_from(samples_us: Sequence[float]) -> int:
    """Number of runs at the start that are still warm-up; 0 if there is no such beginning, or too little to tell.

    MSER-5 (White, Cobb & Spratt 2000): the truncation after which the mean has the smallest standard error. Unlike
    the original it takes blocks' medians, clipped logarithms and the first truncation within twice the smallest error,
    as a spike is no warm-up and pure noise is not to be cut. So it is exact to a block. At most half is cut: what
    settles later is drift.

    Raises:
        ValueError: a sample is no latency.
    """
    if len(latencies(samples_us)) < _FEWEST_BLOCKS * BLOCK:
        return 0
    blocks = np.log(block_medians(samples_us))
    late = blocks[len(blocks) // 2 :]
    centre = float(np.median(late))
    # Between equal blocks a difference of one part in a thousand counts: clocks are no finer.
    scale = max(1.4826 * float(np.median(np.abs(late - centre))), 1e-3)
    blocks = np.clip(blocks, centre - _CLIP * scale, centre + _CLIP * scale)
    errors = np.array([float(np.var(blocks[cut:])) / (len(blocks) - cut) for cut in range(len(blocks) // 2 + 1)])
    return int(np.argmax(errors <= 2 * errors.min())) * BLOCK
