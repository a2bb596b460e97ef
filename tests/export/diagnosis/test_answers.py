"""Accuracy by class, confidence and flips."""

import io

import numpy as np
import pytest
from PIL import Image

from export.diagnosis.answers import compare_accuracy, compare_classes, compare_confidence, ece, show_flips

NAMES = ["a", "b", "c"]
CLASSES = np.repeat([0, 1, 2], 40)


def certain(top: list[int] | np.ndarray, confidence: float = 0.8) -> np.ndarray:
    rest = (1 - confidence) / 2
    return np.where(np.eye(3)[top] > 0, confidence, rest)


def test_a_class_that_lost_many_pictures_is_marked_and_stands_first() -> None:
    other = CLASSES.copy()
    other[40:60] = 2
    rows = compare_classes(certain(CLASSES), certain(other), CLASSES, NAMES)
    assert [row.name for row in rows] == ["b", "a", "c"]
    assert [row.regressed for row in rows] == [True, False, False]
    assert (rows[0].float_top1, rows[0].int8_top1) == (1.0, 0.5)
    assert rows[0].drop_ci95[0] < 0.5 < rows[0].drop_ci95[1]
    assert rows[0].drop_ci95[0] > 0.3


def test_three_lost_pictures_are_chance() -> None:
    other = CLASSES.copy()
    other[:3] = 2
    assert not any(row.regressed for row in compare_classes(certain(CLASSES), certain(other), CLASSES, NAMES))


def test_gains_are_no_regression() -> None:
    before = CLASSES.copy()
    before[40:60] = 2
    assert not any(row.regressed for row in compare_classes(certain(before), certain(CLASSES), CLASSES, NAMES))


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    right = np.array([True] * 6 + [False] * 4)
    assert ece(np.full(10, 0.9), right) == pytest.approx(0.3)
    assert ece(np.full(10, 0.6), right) == pytest.approx(0.0)
    assert ece(np.array([1.0]), np.array([True])) == 0.0


def test_drift_of_confidence_has_an_interval_and_ties_are_counted() -> None:
    other = certain(CLASSES, 0.4)
    other[:30] = [0.45, 0.45, 0.1]
    found = compare_confidence(certain(CLASSES, 0.95), other, CLASSES)
    assert found.float_ece == pytest.approx(0.05)
    assert found.int8_ece > 0.5
    assert found.drift_ci95[0] > 0.4
    assert found.ties == 0.25
    assert sum(row[1] for row in found.bins) == sum(row[3] for row in found.bins) == 120


def test_flips_show_what_was_lost_first() -> None:
    exact, other = CLASSES.copy(), CLASSES.copy()
    other[5] = 1  # lost
    exact[50] = 0  # won
    exact[90], other[90] = 0, 1  # both wrong
    pixels = np.zeros((120, 300, 300, 3), np.uint8)
    flips = show_flips(certain(exact), certain(other), CLASSES, NAMES, pixels, np.arange(120) + 1000)
    assert [(flip.number, flip.verdict) for flip in flips] == [(1005, "lost"), (1050, "won"), (1090, "both wrong")]
    assert flips[0].float_top[0][0] == "a"
    assert flips[0].float_top[0][1] == pytest.approx(0.8)
    assert flips[0].int8_top[0][0] == "b"
    assert Image.open(io.BytesIO(flips[0].png)).size == (160, 160)
    assert compare_accuracy(certain(exact), certain(other), CLASSES).flips == 3
