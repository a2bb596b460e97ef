"""Rungs as JSON, and the smallest drop that a test split can prove."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.budget.rungs import FIRST, Climbed, RungResult, check_provable, smallest_provable_drop
from export.verify import paired_interval
from models.errors import DataError

RESULT = RungResult(
    name="ranges", size_bytes=3, top1=0.9, drop=-0.01, drop_ci95=(-0.03, 0.01), agreement=0.9, mean_error=0.02,
    relative_latency=0.4,
)  # fmt: skip


def test_a_result_survives_json() -> None:
    assert RungResult.from_json(json.loads(json.dumps(RESULT.to_json()))) == RESULT


def test_the_record_of_a_climb_names_budget_and_choice() -> None:
    climbed = Climbed(max_drop=0.005, tried=(RESULT,), taken=FIRST, met=False)
    assert json.loads(json.dumps(climbed.to_json())) == {
        "max_drop": 0.005, "met": False, "taken": "per-channel", "rungs": [RESULT.to_json()],
    }  # fmt: skip


@given(st.integers(1, 20_000))
def test_the_smallest_provable_drop_is_the_bound_of_a_file_without_any_difference(images: int) -> None:
    right = np.arange(images) % 3 > 0
    assert smallest_provable_drop(images) == pytest.approx(paired_interval(right, right)[1], rel=1e-12)


def test_a_budget_below_what_the_pictures_prove_is_refused_with_both_ways_out() -> None:
    with pytest.raises(DataError) as refusal:
        check_provable(0.005, 359)
    assert str(refusal.value) == (
        "--max-drop 0.5: 359 test pictures prove a drop of 0.77 points at best, even of a file without any difference; "
        "take --max-drop 0.77 or at least 555 test pictures"
    )
    check_provable(0.0077, 359)
    check_provable(0.005, 555)


@given(st.floats(1e-4, 0.5))
def test_the_number_of_pictures_named_is_enough(max_drop: float) -> None:
    with pytest.raises(DataError) as refusal:
        check_provable(max_drop, 1)
    needed = int(str(refusal.value).split(" at least ")[1].split()[0])
    check_provable(max_drop, needed)


def test_the_budget_named_is_one_that_can_be_proven() -> None:
    for images in (1, 10, 359, 10_000):
        with pytest.raises(DataError) as refusal:
            check_provable(1e-6, images)
        check_provable(float(str(refusal.value).split("take --max-drop ")[1].split()[0]) / 100, images)
