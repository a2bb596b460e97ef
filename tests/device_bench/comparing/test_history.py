"""Courses over time: order, changes, what is not comparable."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.comparing.history import Course, courses
from device_bench.comparing.records import Stored
from device_bench.measuring.record import BenchRecord
from tests.device_bench.comparing.stored import CASE, QUIET, make_record, with_facts, with_twins


def at(day: int, factor: float = 1.0, **changes: object) -> Stored:
    # Each day has its noise in another order.
    noise = [*QUIET[day % len(QUIET) :], *QUIET[: day % len(QUIET)]]
    record = make_record({CASE: [2000.0 * factor * value for value in noise]}, started=f"2026-11-{day:02}", **changes)
    return Stored(path=Path(f"{day}.json"), record=record)


def one(stored: Sequence[Stored]) -> Course:
    (course,) = courses(stored)
    return course


def days(course: Course) -> list[tuple[str, str | None]]:
    return [(point.stored.record.started[-2:], point.change) for point in course.changes]


def test_a_steady_course_has_no_change_and_is_drawn_flat() -> None:
    course = one([at(day) for day in range(1, 9)])
    assert days(course) == []
    assert [point.since for point in course.points] == [None, *(f"2026-11-0{day}" for day in (1,) * 7)]
    assert set(course.bars) <= {"▁", "▂", "▃"}


def test_a_step_is_found_where_it_is_and_once() -> None:
    course = one([at(day, 1.06 if day >= 5 else 1.0) for day in range(1, 10)])
    assert days(course) == [("05", "slower")]
    assert course.changes[0].ratio is not None
    assert course.changes[0].ratio.ratio == pytest.approx(1.06, rel=0.003)
    assert course.changes[0].since == "2026-11-04"
    assert (course.bars[3], course.bars[4]) == ("▁", "█")


def test_there_and_back_are_two_changes() -> None:
    assert days(one([at(1), at(2, 0.9), at(3)])) == [("02", "faster"), ("03", "slower")]


def test_a_creep_of_steps_too_small_to_show_is_found_against_the_last_change() -> None:
    course = one([at(day, 1.004**day) for day in range(1, 8)])
    assert days(course)
    assert {change for _, change in days(course)} == {"slower"}
    assert course.changes[0].since == "2026-11-01"


def test_a_noise_floor_silences_what_it_exceeds() -> None:
    def noisy(stored: Stored) -> Stored:
        return replace(stored, record=with_twins(stored.record, 1.08))

    assert days(one([noisy(at(1)), noisy(at(2, 1.06))])) == []
    assert days(one([at(1), at(2, 1.06)])) == [("02", "slower")]


def test_across_a_change_of_conditions_nothing_is_compared() -> None:
    other = with_facts(os_release="15")
    course = one([at(1), at(2, 1.5, target=other), at(3, 1.5, target=other)])
    assert days(course) == []
    assert course.points[1].unlike == ("os: Android 14 UQ1A against Android 15 UQ1A",)
    assert [point.unlike for point in course.points if point is not course.points[1]] == [(), ()]
    assert course.points[2].since == "2026-11-02"


def test_invalid_numbers_are_a_gap() -> None:
    bad = at(2, 3.0)
    bad.record.attempts[0] = replace(bad.record.attempts[0], failure="killed")
    course = one([at(1), bad, at(3)])
    assert days(course) == []
    assert course.points[1].failure == "killed"
    assert course.points[1].latency is None
    assert course.bars[1] == "×"
    assert course.points[2].since == "2026-11-01"


def test_too_few_processes_say_nothing() -> None:
    stored = [Stored(path=Path(str(level)), record=make_record({CASE: [level] * 3})) for level in (1000.0, 5000.0)]
    point = one(stored).points[1]
    assert (point.change, point.ratio) == (None, None)
    assert point.latency is not None


def test_models_units_and_cases_have_courses_of_their_own() -> None:
    def of(model: str, unit: str) -> BenchRecord:
        values = [2000.0 * noise for noise in QUIET]
        return make_record(
            {CASE: values, CASE.replace("int8", "float32"): values},
            model={"name": model},
            target={**with_facts(), "identity": unit},
        )

    stored = [Stored(path=Path("r"), record=of(model, unit)) for model, unit in ("ma", "mb", "na", "ma")]
    found = [(course.model, course.unit, course.case[:4], len(course.points)) for course in courses(stored)]
    assert found == [
        ("m", "a", "floa", 2), ("m", "a", "int8", 2), ("m", "b", "floa", 1), ("m", "b", "int8", 1),
        ("n", "a", "floa", 1), ("n", "a", "int8", 1),
    ]  # fmt: skip


def test_a_course_is_plain_json() -> None:
    value = one([at(1), at(2, 1.2)]).to_json()
    assert (value["model"], value["device"], value["case"]) == ("mobilenet_v1_0.25_128", "Google Pixel 8", CASE)
    assert [point["change"] for point in value["points"]] == [None, "slower"]
    assert value["points"][1]["commit"].startswith("40e80a4f1")
    assert value["points"][1]["latency"]["median_us"] == pytest.approx(2400, rel=0.001)
