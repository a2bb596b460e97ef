"""Batches, doubled until they no longer pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LARGEST_BATCH = 256
WORTH_IT = 0.05
"""Images per second that doubling the batch must add, as a share: below it, latency doubles for next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KneePoint:
    """Where a sweep ended."""

    batch: int
    images_per_s: float
    reason: str


def find_knee(rates: Sequence[tuple[int, float]], failure: str | None = None) -> KneePoint | None:
    """The last batch that was worth doubling to; None while the sweep should go on, or if it has nothing.

    Args:
        rates: Batch and images per second, in the order measured.
        failure: Why the next batch could not be measured.
    """
    if not rates:
        return None
    batch, rate = rates[-1]
    if len(rates) > 1:
        before, slower = rates[-2]
        gain = rate / slower - 1
        if gain < WORTH_IT:
            reason = f"batch {batch} gives {gain:+.1%} images/s, less than {WORTH_IT:+.0%}"
            return KneePoint(batch=before, images_per_s=slower, reason=reason)
    if failure is not None:
        return KneePoint(batch=batch, images_per_s=rate, reason=f"batch {2 * batch} failed: {failure}")
    if batch >= LARGEST_BATCH:
        return KneePoint(batch=batch, images_per_s=rate, reason=f"{LARGEST_BATCH} is the largest batch tried")
    return None
