"""The statistics line of the native runners, in every layout that a build is known to print."""

import pytest

from device_bench.parse.count_line import parse_count_line
from device_bench.result import LatencySummary
from models.errors import RunnerOutputError

NO_PERCENTILES = dict.fromkeys(("p5_us", "median_us", "p95_us"), "this build prints no percentiles")


def numbers(summary: LatencySummary) -> tuple[float | None, ...]:
    """Runs, mean, min, max, std, p5, median, p95."""
    return (
        summary.runs,
        summary.mean_us,
        summary.min_us,
        summary.max_us,
        summary.std_us,
        summary.p5_us,
        summary.median_us,
        summary.p95_us,
    )


def summary(line: str) -> LatencySummary:
    statistics = parse_count_line(line)
    assert statistics is not None
    return statistics.summary


KNOWN: dict[str, tuple[float | None, ...]] = {
    # Android, LiteRT of 2025.
    "count=50 first=591245 curr=917186 min=502355 max=2270688 avg=699438 std=325425 p5=502674 median=576856 p95=1373207": (  # noqa: E501
        (50, 699438, 502355, 2270688, 325425, 502674, 576856, 1373207)
    ),
    # Qualcomm RB1, Linux.
    "count=50 first=106022 curr=105780 min=105416 max=106528 avg=105784 std=260 p5=105485 median=105718 p95=106281": (
        (50, 105784, 105416, 106528, 260, 105485, 105718, 106281)
    ),
    # TF 2.14.
    "count=20 first=100564 curr=124953 min=98372 max=124953 avg=108764 std=11178": (
        (20, 108764, 98372, 124953, 11178, None, None, None)
    ),
    # The app, 2022.
    "count=40 first=32942 curr=12594 min=11340 max=32942 avg=12581.9 std=3331": (
        (40, 12581.9, 11340, 32942, 3331, None, None, None)
    ),
    "count=2 first=1309340 curr=1309360 min=1309340 max=1309360 avg=1.30935e+06 std=10": (
        (2, 1309350, 1309340, 1309360, 10, None, None, None)
    ),
    "count=1 curr=670083 p5=670083 median=670083 p95=670083": (1, 670083, 670083, 670083, None, 670083, 670083, 670083),
    "count=1 curr=4368": (1, 4368, 4368, 4368, None, 4368, 4368, 4368),
    "count=5 curr=120(all same)": (5, 120, 120, 120, 0, 120, 120, 120),
    "count=5 curr=120(all same) p5=120 median=120 p95=120": (5, 120, 120, 120, 0, 120, 120, 120),
}


@pytest.mark.parametrize(("line", "expected"), KNOWN.items())
def test_every_layout_gives_its_numbers(line: str, expected: tuple[float | None, ...]) -> None:
    assert numbers(summary(line)) == expected


def test_absent_percentiles_are_unknown_with_a_reason() -> None:
    line = "count=20 first=100564 curr=124953 min=98372 max=124953 avg=108764 std=11178"
    assert summary(line).missing == NO_PERCENTILES


def test_one_run_has_no_spread() -> None:
    assert summary("count=1 curr=4368").missing == {"std_us": "one run has no spread"}


def test_the_first_run_is_told() -> None:
    statistics = parse_count_line("count=40 first=32942 curr=12594 min=11340 max=32942 avg=12581.9 std=3331")
    assert statistics is not None
    assert statistics.first_us == 32942


@pytest.mark.parametrize("line", ["count=0", "count=0 p5=0 median=0 p95=0"])
def test_no_runs_are_no_numbers(line: str) -> None:
    assert parse_count_line(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "count=20 first=100564 curr=124953 min=98372 max=124953 avg=108764",
        "count=20 first=100564 curr=124953 min=98372 max=124953 avg=nan std=11178",
        "count=20 first=100564 curr=124953 min=98372 max=124953 avg=108764 std=11178 p50=7",
        "count=3",
    ],
)
def test_an_unknown_layout_is_refused(line: str) -> None:
    with pytest.raises(RunnerOutputError) as error:
        parse_count_line(line)
    assert str(error.value) == f"statistics of an unknown layout: {line!r}"


@pytest.mark.parametrize("line", ["count=5 curr=120", "count=0 curr=5", "count=1 curr=120(all same)"])
def test_a_number_of_runs_that_does_not_fit_all_same_is_refused(line: str) -> None:
    with pytest.raises(RunnerOutputError, match=r"`\(all same\)` belongs to more than one run, in line 'count="):
        parse_count_line(line)


@pytest.mark.parametrize(
    ("was", "cut"),
    [
        ("std=325425", "std=32542"),
        ("p95=1373207", "p95=137320"),
        ("max=2270688", "max=227068"),
        ("min=502355", "min=602355"),
        ("median=576856", "median=57685"),
        ("avg=699438", "avg=69943"),
    ],
)
def test_numbers_that_no_sample_can_have_are_refused(was: str, cut: str) -> None:
    line = next(iter(KNOWN)).replace(was, cut)
    with pytest.raises(RunnerOutputError, match=r"contradict each other|outside minimum and maximum"):
        parse_count_line(line)
