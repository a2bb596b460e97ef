"""What a file loses, from its answers."""

import math

import numpy as np
import pytest

from benchmarks.peers.measures import EXACT_DB, loss, sqnr_db

WANTED = np.array([[2, 1], [0, 3], [5, 4], [1, 2]], np.float32)
CLASSES = np.array([0, 1, 0, 0])


def test_sqnr_is_the_energy_of_the_signal_over_that_of_the_error() -> None:
    assert sqnr_db(WANTED, WANTED * np.float32(1.1)) == pytest.approx(20, abs=1e-4)
    assert math.isinf(sqnr_db(WANTED, WANTED))


def test_a_flipped_picture_counts_as_a_disagreement_and_as_a_drop_if_it_was_right() -> None:
    found = WANTED.copy()
    found[0] = (1, 2)
    lost = loss(WANTED, found, CLASSES)
    assert (lost.top1, lost.drop, lost.disagreement) == (0.5, 0.25, 0.25)
    assert lost.drop_low < 0.25 < lost.drop_high


def test_a_picture_that_was_wrong_may_be_won() -> None:
    found = WANTED.copy()
    found[3] = (2, 1)
    lost = loss(WANTED, found, CLASSES)
    assert (lost.top1, lost.drop, lost.disagreement) == (1.0, -0.25, 0.25)


def test_the_sqnr_of_pictures_counts_each_alike_however_large_its_logits_are() -> None:
    wanted = np.array([[1000, 0], [1, 0]], np.float32)
    found = np.array([[900, 0], [0.99, 0]], np.float32)
    lost = loss(wanted, found, np.array([0, 0]))
    assert lost.sqnr_db == pytest.approx(20, abs=1e-3)
    assert lost.picture_sqnr_db == pytest.approx((20 + 40) / 2, abs=1e-3)


def test_a_picture_without_any_difference_does_not_make_the_mean_infinite() -> None:
    assert loss(WANTED, WANTED, CLASSES).picture_sqnr_db == EXACT_DB
