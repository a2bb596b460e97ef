"""Offset and swapped classes are told from a bad network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.diagnosis.labels import find_label_fault

NAMES = [f"class {n}" for n in range(6)]
CLASSES = np.repeat(np.arange(6), 20)


def scores(top: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.eye(6)[top]


@pytest.mark.parametrize("offset", [1, -1])
def test_all_classes_one_place_further_are_an_offset(offset: int) -> None:
    fault = find_label_fault(scores((CLASSES + offset) % 6), CLASSES, NAMES, NAMES)
    assert fault is not None
    assert fault.offset == offset
    assert not fault.of_file
    assert "float top-1 is 0.0%" in fault.evidence[1]


def test_two_classes_for_each_other_are_swapped_and_named() -> None:
    top = CLASSES.copy()
    top[CLASSES == 1], top[CLASSES == 4] = 4, 1
    fault = find_label_fault(scores(top), CLASSES, NAMES, NAMES)
    assert fault is not None
    assert fault.offset is None
    assert fault.evidence[0].endswith("'class 1' as 'class 4', 'class 4' as 'class 1'")
    assert fault.mended_top1 == 1.0


def test_a_class_that_is_taken_for_another_is_no_swap() -> None:
    top = CLASSES.copy()
    top[CLASSES == 1] = 4
    assert find_label_fault(scores(top), CLASSES, NAMES, NAMES) is None


def test_a_network_that_names_one_class_only_is_no_label_fault() -> None:
    assert find_label_fault(scores(np.full_like(CLASSES, 3)), CLASSES, NAMES, NAMES) is None


@given(st.integers(0, 2**32 - 1))
def test_chance_raises_no_alarm(seed: int) -> None:
    top = np.random.default_rng(seed).integers(0, 6, len(CLASSES))
    assert find_label_fault(scores(top), CLASSES, NAMES, NAMES) is None


def test_names_of_the_users_own_are_no_fault() -> None:
    assert find_label_fault(scores(CLASSES), CLASSES, NAMES, ["a", "b", "c", "d", "e", "f"]) is None


def test_names_in_another_order_are_a_fault_of_the_file() -> None:
    fault = find_label_fault(scores(CLASSES), CLASSES, NAMES, [*NAMES[:4], NAMES[5], NAMES[4]])
    assert fault is not None
    assert fault.of_file
    assert fault.offset is None


def test_a_background_class_in_front_is_an_offset_of_the_file() -> None:
    fault = find_label_fault(scores(CLASSES), CLASSES, NAMES, ["background", *NAMES[:-1]])
    assert fault is not None
    assert fault.of_file
    assert fault.offset == 1
