"""`climb`: up the ladder, until a rung is proven to keep the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from export.budget.rungs import FIRST, Climbed, Lever, Rung, RungResult
from models.errors import ConversionError

Measure = Callable[[Rung], RungResult | None]
"""None: the rung's file cannot be made, or its runtime refuses it."""


def climb(
    max_drop: float, levers: Sequence[Lever], measure: Measure, more: Callable[[Rung], Sequence[Rung]]
) -> Climbed:
    """Tries rung after rung, the cheapest first, and stops at the first that is proven to keep the budget.

    A lever that does not lower the mean error is let go before the next is tried.

    Args:
        max_drop: The budget, as a share.
        levers: By name, in the order they are tried.
        measure: Makes a rung's file and looks at it.
        more: The costlier rungs beyond the levers, given the best that the levers came to.

    Raises:
        ConversionError: no rung gave a file.
    """
    tried: list[tuple[Rung, RungResult]] = []
    best = FIRST

    def attempt(rung: Rung) -> bool:
        nonlocal best
        result = measure(rung)
        if result is None:
            return False
        if not tried or result.meets(max_drop) or result.mean_error < dict(tried)[best].mean_error:
            best = rung
        tried.append((rung, result))
        return result.meets(max_drop)

    met = attempt(FIRST)
    for name, pull in levers:
        met = met or attempt(replace(best, name=name, settings=pull(best.settings)))
    if not met:
        met = any(attempt(rung) for rung in more(best))
    if not tried:
        raise ConversionError("no rung of --max-drop gave an int8 file; leave the option out to see what was refused")
    # Of those that fail, the one that comes nearest.
    taken = best if met else min(tried, key=lambda pair: (pair[1].drop_ci95[1], pair[1].mean_error))[0]
    return Climbed(max_drop=max_drop, tried=tuple(result for _, result in tried), taken=taken, met=met)
