"""Which files a budget is about, and what it cannot be combined with. Light: it is asked before anything heavy."""

from __future__ import annotations

from collections.abc import Sequence

from export.budget.rungs import Rung
from export.precision import PRECISIONS, Precision
from models.errors import UsageError

MIXED = "int8_mixed"
_REPLACED = {"int8": MIXED, "int8_npu": MIXED}
"""What stands for a precision that has no float islands, once only those keep the budget."""


def check_budget(
    max_drop: float | None, words: str, precisions: Sequence[Precision], weights: str, *, allow_qat: bool, own: bool
) -> None:
    """Refuses what a budget cannot be combined with, before anything is made.

    Raises:
        UsageError: it cannot.
    """
    if max_drop is None:
        if allow_qat:
            raise UsageError("--allow-qat is about how --max-drop may be met; name the points with --max-drop")
        return
    if allow_qat and (own or weights == "imagenet"):
        raise UsageError("--allow-qat is for networks of the zoo that were trained on the data set; leave it out")
    if words:
        raise UsageError("--max-drop chooses the levers itself; leave --quantization out")
    if weights == "random":
        raise UsageError("--max-drop: random weights have no accuracy to lose; train the network first")
    if not any(precision.has_bytes for precision in precisions):
        raise UsageError("--max-drop is about int8 files, of which none is asked for; add int8 to --precision")


def may_mix(precisions: Sequence[Precision]) -> bool:
    """Whether the files asked for may have float islands: those for NPUs alone may not."""
    return any(precision.name in ("int8", MIXED) for precision in precisions)


def with_islands(precisions: Sequence[Precision], taken: Rung) -> tuple[Precision, ...]:
    """The precisions to make: where only float islands keep the budget, files with them stand for those without."""
    if taken.precision != MIXED:
        return tuple(precisions)
    wanted = {(p.format, _REPLACED.get(p.name, p.name)) for p in precisions}
    return tuple(row for key, row in PRECISIONS.items() if key in wanted)
