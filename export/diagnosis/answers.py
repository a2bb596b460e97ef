"""What both files answer on the test pictures: accuracy, classes that got worse, confidence, and flipped pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import binomtest

from export.diagnosis.values import Accuracy, ClassChange, Confidence, Flip
from export.verify import paired_interval
from models.data import Pixels

Scores = NDArray[np.float64]
Classes = NDArray[np.int64]

BINS = 15
RESAMPLES = 400
SEED = 20_170_417
SIGNIFICANT = 0.05
MOST_FLIPS = 48
"""Pictures on the page."""
MOST_SIDE_PX = 160
"""Of a picture on the page."""


def compare_accuracy(exact: Scores, other: Scores, classes: Classes) -> Accuracy:
    """Accuracy of both and how often they agree.

    Args:
        exact: Probabilities by the float file, `[N, classes]`.
        other: By the int8 file.
        classes: The true ones, `[N]`.
    """
    float_top, int8_top = exact.argmax(axis=1), other.argmax(axis=1)
    return Accuracy(
        images=len(classes),
        float_top1=float(np.mean(float_top == classes)),
        int8_top1=float(np.mean(int8_top == classes)),
        drop_ci95=paired_interval(float_top == classes, int8_top == classes),
        agreement=float(np.mean(float_top == int8_top)),
        flips=int(np.sum(float_top != int8_top)),
    )


def compare_classes(exact: Scores, other: Scores, classes: Classes, names: Sequence[str]) -> tuple[ClassChange, ...]:
    """Each class that has test pictures, the largest loss first."""
    float_right, int8_right = exact.argmax(axis=1) == classes, other.argmax(axis=1) == classes
    present = np.unique(classes)
    chances = [_chance(float_right[classes == index], int8_right[classes == index]) for index in present]
    regressed = _holm(chances)
    found = []
    for index, real in zip(present, regressed, strict=True):
        mine = classes == index
        found.append(
            ClassChange(
                index=int(index),
                name=names[index],
                images=int(mine.sum()),
                float_top1=float(float_right[mine].mean()),
                int8_top1=float(int8_right[mine].mean()),
                drop_ci95=paired_interval(float_right[mine], int8_right[mine]),
                regressed=real,
            )
        )
    return tuple(sorted(found, key=lambda row: (row.int8_top1 - row.float_top1, row.index)))


def _chance(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> float:
    """Probability of so many losses among the changed pictures if losses and gains were equally likely."""
    lost, won = int(np.sum(before & ~after)), int(np.sum(~before & after))
    return float(binomtest(lost, lost + won, 0.5, alternative="greater").pvalue) if lost + won else 1.0


def _holm(chances: Sequence[float]) -> list[bool]:
    """Which of many tests hold together at 5 %, by Holm's step-down correction."""
    kept = [False] * len(chances)
    for rank, index in enumerate(np.argsort(chances)):
        if chances[index] > SIGNIFICANT / (len(chances) - rank):
            break
        kept[index] = True
    return kept


def compare_confidence(exact: Scores, other: Scores, classes: Classes) -> Confidence:
    """Calibration errors of both, and how far they drifted apart."""
    sides = [(scores.max(axis=1), scores.argmax(axis=1) == classes) for scores in (exact, other)]
    eces = [ece(confidence, right) for confidence, right in sides]
    rng = np.random.default_rng(SEED)
    drifts = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(classes), len(classes))
        before, after = (ece(confidence[drawn], right[drawn]) for confidence, right in sides)
        drifts.append(after - before)
    best = np.sort(other, axis=1)
    columns = [_bins(confidence, right) for confidence, right in sides]
    return Confidence(
        float_ece=eces[0],
        int8_ece=eces[1],
        drift_ci95=(float(np.quantile(drifts, 0.025)), float(np.quantile(drifts, 0.975))),
        float_mean=float(sides[0][0].mean()),
        int8_mean=float(sides[1][0].mean()),
        ties=float(np.mean(best[:, -1] == best[:, -2])) if best.shape[1] > 1 else 0.0,
        bins=tuple((n / BINS, *mine, *theirs) for n, (mine, theirs) in enumerate(zip(*columns, strict=True))),
    )


def _bin_numbers(confidence: Scores) -> NDArray[np.int64]:
    return np.asarray(np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1), np.int64)


def ece(confidence: Scores, right: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean over 15 equal bins, by their pictures, of |accuracy - confidence|."""
    gaps = np.bincount(_bin_numbers(confidence), weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _bins(confidence: Scores, right: NDArray[np.bool_]) -> list[tuple[int, float | None]]:
    numbers = _bin_numbers(confidence)
    counts = np.bincount(numbers, minlength=BINS)
    hits = np.bincount(numbers, weights=right.astype(float), minlength=BINS)
    return [(int(n), float(h / n) if n else None) for n, h in zip(counts, hits, strict=True)]


def show_flips(
    exact: Scores, other: Scores, classes: Classes, names: Sequence[str], pixels: Pixels, numbers: Classes
) -> tuple[Flip, ...]:
    """Pictures that the files name differently: those that only float names right first, the surest first."""
    float_top, int8_top = exact.argmax(axis=1), other.argmax(axis=1)
    rows = np.flatnonzero(float_top != int8_top)
    lost, won = float_top[rows] == classes[rows], int8_top[rows] == classes[rows]
    kinds = np.where(lost, 0, np.where(won, 1, 2))
    order = np.lexsort((-exact[rows].max(axis=1), kinds))[:MOST_FLIPS]
    return tuple(
        Flip(
            number=int(numbers[row]),
            true=names[classes[row]],
            float_top=_best(exact[row], names),
            int8_top=_best(other[row], names),
            verdict=("lost", "won", "both wrong")[kind],
            png=_png(pixels[row]),
        )
        for row, kind in zip(rows[order], kinds[order], strict=True)
    )


def _best(scores: Scores, names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    return tuple((names[n], float(scores[n])) for n in np.argsort(-scores, kind="stable")[:3])


def _png(picture: Pixels) -> bytes:
    image = Image.fromarray(picture)
    image.thumbnail((MOST_SIDE_PX, MOST_SIDE_PX))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
