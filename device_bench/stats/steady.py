"""Where warming up ends in the latencies of one process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from device_bench.stats.latencies import latencies

BLOCK = 5
"""Runs per block; its median withstands two spikes."""
_FEWEST_BLOCKS = 6
_REACH = 3.0


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
    """Number of runs at the start that are still warm-up, to a block; 0 if there is none, or too little to tell.

    Warm-up ends with the first two blocks in a row that lie among those of the second half: within three of its robust
    standard deviations of its median. Blocks and pairs, as a spike is neither warm-up nor its end; each process for
    itself, as processes warm up differently (Kalibera & Jones, ISMM 2013; Barrett et al., OOPSLA 2017). At most half is
    cut: what settles later, or never, is drift.

    Raises:
        ValueError: a sample is no latency.
    """
    if len(latencies(samples_us)) < _FEWEST_BLOCKS * BLOCK:
        return 0
    blocks = np.log(block_medians(samples_us))
    half = len(blocks) // 2
    centre = float(np.median(blocks[half:]))
    # Between equal blocks a difference of one part in a thousand counts: clocks are no finer.
    scale = max(1.4826 * float(np.median(np.abs(blocks[half:] - centre))), 1e-3)
    among = np.abs(blocks - centre) <= _REACH * scale
    return next((at for at in range(half) if among[at] and among[at + 1]), half) * BLOCK
