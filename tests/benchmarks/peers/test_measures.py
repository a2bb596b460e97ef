"""What a file loses, from its answers."""

import math

import numpy as np
import pytest

from benchmarks.peers.measures import loss, sqnr_db

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
