"""Whether outputs and class names belong together, judged by what the float file answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from export.diagnosis.evidence import LabelFault

CHANCE = 1e-3
MOST_NAMED = 6


def find_label_fault(
    scores: NDArray[np.float64], classes: NDArray[np.int64], dataset: Sequence[str], file: Sequence[str]
) -> LabelFault | None:
    """What is wrong with the order of the classes; None if nothing is.

    Args:
        scores: Of the float file, `[N, classes]`.
        classes: The data set's class of each picture, `[N]`.
        dataset: The data set's class names.
        file: Those in `labels.txt`.
    """
    return _by_name(dataset, file) or _by_answer(scores.argmax(axis=1), classes, dataset)


def _by_name(dataset: Sequence[str], file: Sequence[str]) -> LabelFault | None:
    """The names themselves: the same ones in another order."""
    count = len(dataset)
    if len(file) != count or tuple(file) == tuple(dataset) or count < 2:
        return None
    moved = [index for index in range(count) if file[index] != dataset[index]]
    for offset in (1, -1):
        shifted = sum(0 <= n - offset < count and file[n] == dataset[n - offset] for n in range(count))
        if shifted >= 0.9 * (count - 1) and len(moved) >= 0.9 * count:
            return LabelFault(
                offset=offset,
                of_file=True,
                evidence=(
                    (
                        f"{shifted} of {count} names in labels.txt stand {_places(offset)} the data set's "
                        f"(line 1 is {file[0]!r}, class 0 of the data set is {dataset[0]!r})"
                    ),
                ),
            )
    if set(file) != set(dataset):
        # Names of the user's own, such as translations.
        return None
    pairs = ", ".join(f"{n} is {file[n]!r} and not {dataset[n]!r}" for n in moved[:MOST_NAMED])
    return LabelFault(
        offset=None,
        of_file=True,
        evidence=(
            f"labels.txt has the data set's {count} names in another order: {len(moved)} stand elsewhere ({pairs})",
        ),
    )


def _by_answer(top: NDArray[np.int64], classes: NDArray[np.int64], names: Sequence[str]) -> LabelFault | None:
    """The answers: most pictures of a class get the name of one other, and that goes round."""
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (classes, top), 1)
    totals = confusion.sum(axis=1)
    favourite = confusion.argmax(axis=1)
    # A class whose pictures get one name more often than all others together.
    sure = (totals >= 3) & (2 * confusion.max(axis=1) > totals)
    moved = {int(n): int(favourite[n]) for n in np.flatnonzero(sure & (favourite != np.arange(len(names))))}
    for offset in (1, -1):
        shifted = [n for n, other in moved.items() if other - n == offset]
        if len(shifted) >= 2 and len(shifted) >= 0.8 * np.count_nonzero(totals) - 1 and _certain(confusion, moved):
            share = float(sum(confusion[n, n + offset] for n in shifted) / totals.sum())
            return LabelFault(
                offset=offset,
                mended_top1=share,
                of_file=False,
                evidence=(
                    (
                        f"{len(shifted)} of {np.count_nonzero(totals)} classes get the name one place "
                        f"{'after' if offset > 0 else 'before'} theirs from most of their pictures"
                    ),
                    (
                        f"float top-1 is {np.trace(confusion) / totals.sum():.1%}; with all classes one place "
                        f"{'on' if offset > 0 else 'back'} it would be {share:.1%}"
                    ),
                ),
            )
    rounds = {n: other for n, other in moved.items() if _comes_back(n, moved)}
    if not rounds or not _certain(confusion, rounds):
        return None
    pairs = ", ".join(f"{names[n]!r} as {names[other]!r}" for n, other in list(rounds.items())[:MOST_NAMED])
    gain = sum(int(confusion[n, other] - confusion[n, n]) for n, other in rounds.items()) / totals.sum()
    right = float(np.trace(confusion) / totals.sum())
    return LabelFault(
        mended_top1=right + gain,
        offset=None,
        of_file=False,
        evidence=(
            f"{len(rounds)} classes are named as one another by most of their pictures: {pairs}",
            f"float top-1 is {right:.1%}; with those classes exchanged it would be {right + gain:.1%}",
        ),
    )


def _comes_back(start: int, moved: dict[int, int]) -> bool:
    place = moved[start]
    for _ in range(len(moved)):
        if place == start:
            return True
        if place not in moved:
            return False
        place = moved[place]
    return False


def _certain(confusion: NDArray[np.int64], moved: dict[int, int]) -> bool:
    """Whether so many pictures would hardly get the other name by chance."""
    other = sum(int(confusion[n, to]) for n, to in moved.items())
    own = sum(int(confusion[n, n]) for n in moved)
    return bool(other + own and binomtest(other, other + own, 0.5, alternative="greater").pvalue < CHANCE)


def _places(offset: int) -> str:
    return "one line after" if offset > 0 else "one line before"
