"""Whether a goal is met."""

from dataclasses import replace

import pytest

from benchmarks.peers.goals import Goal, formats_goal, goals, latency_goal, pictures_goal, size_goal, twin_goal
from benchmarks.peers.measures import Loss
from device_bench.stats.ratios import paired_ratio

OURS = Loss(
    top1=0.8, drop=0.001, drop_low=-0.001, drop_high=0.003, disagreement=0.01, sqnr_db=33.0, picture_sqnr_db=34.0
)
PEERS = {
    "near": replace(OURS, disagreement=0.02, sqnr_db=25.0),
    "clear": replace(OURS, disagreement=0.03, sqnr_db=30.0),
}


def met(*verdicts: Goal) -> list[bool]:
    return [verdict.met for verdict in verdicts]


def test_what_just_meets_the_goals_meets_them() -> None:
    verdicts = goals("v2", PEERS, OURS)
    assert met(*verdicts) == [True] * 3
    assert verdicts[1].text == "disagreement at most 0.5 x the best peer's: 0.50 x near's"
    assert verdicts[2].text == "SQNR at least 3 dB above the best peer's: +3.0 dB to clear's"


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"drop": 0.0011}, 0),
        ({"drop_high": 0.0031}, 0),
        ({"disagreement": 0.0101}, 1),
        ({"sqnr_db": 32.9}, 2),
    ],
)
def test_what_is_a_little_worse_misses_one(change: dict[str, float], missed: int) -> None:
    verdicts = met(*goals("v2", PEERS, replace(OURS, **change)))
    assert verdicts == [row != missed for row in range(3)]


def test_v3_small_and_twins_may_lose_half_a_point() -> None:
    worse = replace(OURS, drop=0.005, drop_high=0.01)
    assert met(goals("mobilenet_v3_small_1.0", PEERS, worse)[0]) == [True]
    assert met(goals("mobilenet_v2_1.0", PEERS, worse)[0]) == [False]
    assert met(twin_goal("v2 twin", worse)) == [True]
    assert met(twin_goal("v2 twin", replace(worse, drop=0.0051))) == [False]


def test_peers_that_agree_with_the_float_network_always_cannot_be_halved() -> None:
    perfect = {"near": replace(OURS, disagreement=0.0)}
    missed = goals("v2", perfect, OURS)[1]
    assert (missed.text, missed.met) == ("disagreement at most 0.5 x the best peer's: 1.00%, near's 0", False)
    assert goals("v2", perfect, perfect["near"])[1].met


def test_size_is_held_against_the_smallest_peer() -> None:
    assert met(size_goal("v2", {"a": 1000, "b": 1200}, 950), size_goal("v2", {"a": 1000, "b": 1200}, 951)) == [
        True,
        False,
    ]


def test_latency_is_a_paired_ratio() -> None:
    times = [100.0, 101.0, 99.0, 100.0, 102.0, 98.0, 100.0]
    slower = [1.02 * value for value in times]
    verdict = latency_goal("v2", "ours", "TFLiteConverter", paired_ratio(times, slower))
    assert not verdict.met
    assert "1.020" in verdict.text
    assert latency_goal("v2", "ours", "TFLiteConverter", paired_ratio(times, times)).met


def test_formats_and_few_pictures_may_differ_by_a_tenth_of_a_point() -> None:
    assert met(formats_goal("v2", 0.001), formats_goal("v2", 0.0011)) == [True, False]
    assert met(
        pictures_goal("v2", replace(OURS, top1=0.801), OURS), pictures_goal("v2", replace(OURS, top1=0.798), OURS)
    ) == [True, False]
