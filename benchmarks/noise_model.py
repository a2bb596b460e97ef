"""Synthetic latencies with the noise of real ones; the numbers are those of `docs/measuring.md`, section 6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Sizes of the parts of the noise, each relative to the latency; 0 switches a part off."""

    between: float = 0.0125
    """Standard deviation between processes: memory layout, clocks, neighbours."""
    within: float = 0.005
    """Standard deviation of the runs within a process …"""
    correlation: float = 0.3
    """… each of which resembles the one before by that much."""
    spike_share: float = 0.15
    """Of runs that something interrupted …"""
    spike: float = 0.1
    """… for that much on average, exponentially distributed."""
    disturbed_share: float = 0.02
    """Of processes beside which something else ran all the time …"""
    disturbance: float = 0.1
    """… and slowed them by this."""
    between_rounds: float = 0.0
    """Standard deviation of what the processes of one round have in common, such as warmth."""


REALISTIC = Noise()


def draw(
    noise: Noise, rng: np.random.Generator, *, experiments: int, processes: int, runs: int, cases: Sequence[float]
) -> NDArray[np.float64]:
    """Latencies in microseconds `[experiments, cases, processes, runs]`; a case is given by its true latency."""
    shape = (experiments, len(cases), processes)
    level = rng.normal(0, noise.between, shape) + rng.normal(0, noise.between_rounds, (experiments, 1, processes))
    level += np.where(rng.random(shape) < noise.disturbed_share, np.log1p(noise.disturbance), 0.0)
    wiggle = np.empty((*shape, runs))
    wiggle[..., 0] = rng.normal(0, noise.within, shape)
    fresh = noise.within * np.sqrt(1 - noise.correlation**2)
    for run in range(1, runs):
        wiggle[..., run] = noise.correlation * wiggle[..., run - 1] + rng.normal(0, fresh, shape)
    spiked = rng.random((*shape, runs)) < noise.spike_share
    wiggle += np.where(spiked, rng.exponential(noise.spike, (*shape, runs)), 0.0)
    truth = np.log(np.asarray(cases, np.float64))[None, :, None, None]
    found: NDArray[np.float64] = np.exp(truth + level[..., None] + wiggle)
    return found
