"""`climb`: up the ladder, until a rung is proven to keep the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from export.budget.rungs import FIRST, Climbed, Lever, Rung, RungResult

Measure = Callable[[Rung], RungResult]


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
    """
    tried = [(FIRST, measure(FIRST))]
    best = tried[0]

    def attempt(rung: Rung) -> bool:
        nonlocal best
        result = measure(rung)
        tried.append((rung, result))
        if result.meets(max_drop) or result.mean_error < best[1].mean_error:
            best = tried[-1]
        return result.meets(max_drop)

    done = best[1].meets(max_drop)
    for name, pull in levers:
        done = done or attempt(replace(best[0], name=name, settings=pull(best[0].settings)))
    if not done:
        for rung in more(best[0]):
            if attempt(rung):
                break
    met = best[1].meets(max_drop)
    # Of those that fail, the one that comes nearest.
    taken = best if met else min(tried, key=lambda pair: (pair[1].drop_ci95[1], pair[1].mean_error))
    return Climbed(max_drop=max_drop, tried=tuple(result for _, result in tried), taken=taken[0], met=met)
