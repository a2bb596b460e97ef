"""Student's quantiles, against printed tables and the symmetry that defines them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.stats.student import student_quantile

TABLE = {
    # Fisher & Yates, table III: 90 %, 97.5 %, 99.5 % points.
    1: (3.0777, 12.7062, 63.6567), 2: (1.8856, 4.3027, 9.9248), 3: (1.6377, 3.1824, 5.8409),
    4: (1.5332, 2.7764, 4.6041), 5: (1.4759, 2.5706, 4.0321), 8: (1.3968, 2.3060, 3.3554),
    10: (1.3722, 2.2281, 3.1693), 15: (1.3406, 2.1314, 2.9467), 30: (1.3104, 2.0423, 2.7500),
    120: (1.2886, 1.9799, 2.6174),
}  # fmt: skip


@pytest.mark.parametrize("freedom", TABLE)
def test_quantiles_are_those_of_the_tables(freedom: int) -> None:
    found = [student_quantile(probability, freedom) for probability in (0.9, 0.975, 0.995)]
    assert found == pytest.approx(TABLE[freedom], abs=6e-5)


@given(st.floats(0.51, 0.999))
def test_one_and_two_degrees_have_their_closed_forms(probability: float) -> None:
    assert student_quantile(probability, 1) == pytest.approx(math.tan(math.pi * (probability - 0.5)), rel=1e-9)
    share = 4 * probability * (1 - probability)
    assert student_quantile(probability, 2) == pytest.approx(2 * (probability - 0.5) * math.sqrt(2 / share), rel=1e-9)


@given(st.floats(0.51, 0.999), st.integers(1, 60))
def test_more_freedom_means_a_smaller_quantile(probability: float, freedom: int) -> None:
    assert student_quantile(probability, freedom + 1) < student_quantile(probability, freedom)


@pytest.mark.parametrize(("probability", "freedom"), [(0.5, 4), (1.0, 4), (0.2, 4), (0.975, 0)])
def test_impossible_questions_are_refused(probability: float, freedom: int) -> None:
    with pytest.raises(ValueError, match=f"^probability {probability} with {freedom} degrees"):
        student_quantile(probability, freedom)
