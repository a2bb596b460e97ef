"""Time left."""

import pytest

from models.training.pace import Pace, format_duration


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def test_time_left_goes_by_the_speed_after_the_first_piece() -> None:
    clock = Clock()
    pace = Pace(100.0, clock)
    assert pace.left_s() is None
    clock.s += 60  # tracing
    pace.advance(10)
    assert pace.left_s() is None
    clock.s += 5
    pace.advance(10)
    assert pace.left_s() == pytest.approx(80 * 5 / 10)
    assert pace.progress().detail == "about 40 s left"
    assert (pace.progress().done, pace.progress().total) == (200, 1000)


def test_what_an_earlier_run_did_is_done_but_says_nothing_of_the_speed() -> None:
    clock = Clock()
    pace = Pace(100.0, clock)
    pace.skip(50)
    assert pace.progress().done == 500
    pace.advance(10)
    clock.s += 20
    pace.advance(10)
    assert pace.left_s() == pytest.approx(60)


def test_all_is_done_when_all_is_done() -> None:
    pace = Pace(0.3)
    for _ in range(3):
        pace.advance(0.1)
    assert pace.progress().done == 1000


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3599, "60 min"), (11_100, "3 h 5 min")]
)
def test_durations_are_told_as_people_tell_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
