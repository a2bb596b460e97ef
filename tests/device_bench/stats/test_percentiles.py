"""Percentiles of all runs, and how often their intervals hold the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.noise_model import Noise, draw
from device_bench.stats import pooled_percentiles


def test_percentiles_are_those_of_the_pool() -> None:
    pool = np.random.default_rng(0).permutation(np.arange(1.0, 401.0))
    found = pooled_percentiles(pool.reshape(4, 100).tolist(), (5, 50, 95))
    assert [row.value_us for row in found] == [20.0, 200.0, 380.0]
    assert all(row.low_us < row.value_us < row.high_us for row in found)


def test_a_process_with_many_runs_counts_no_more_than_one_with_few() -> None:
    # By runs, 9 of 10 are 1 us; by processes, half are.
    fast, slow = [1.0] * 900, [2.0] * 100
    assert [row.value_us for row in pooled_percentiles([fast, slow], (49, 51))] == [1.0, 2.0]


def test_the_same_runs_give_the_same_interval() -> None:
    processes = np.random.default_rng(1).lognormal(5, 0.1, (5, 60)).tolist()
    assert pooled_percentiles(processes) == pooled_percentiles(processes)
    assert pooled_percentiles(processes, seed=1) != pooled_percentiles(processes)


def test_processes_that_differ_widen_the_interval_and_runs_that_differ_hardly_do() -> None:
    def width(noise: Noise) -> float:
        rng = np.random.default_rng(5)
        (found,) = pooled_percentiles(
            draw(noise, rng, experiments=1, processes=5, runs=200, cases=(1.0,))[0, 0].tolist(), (50,)
        )
        return found.high_us / found.low_us - 1

    quiet = Noise(between=0.0, within=0.02, spike_share=0, disturbed_share=0)
    assert width(Noise(between=0.02, within=0.02, spike_share=0, disturbed_share=0)) > 3 * width(quiet)


@settings(max_examples=6, derandomize=True, deadline=None)
@given(
    correlation=st.floats(0.0, 0.9),
    within=st.floats(0.002, 0.03),
    between=st.floats(0.0, 0.02),
    processes=st.integers(4, 10),
    seed=st.integers(0, 2**32 - 1),
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(
    correlation: float, within: float, between: float, processes: int, seed: int
) -> None:
    noise = Noise(between=between, within=within, correlation=correlation, spike_share=0.05, disturbed_share=0)
    rng = np.random.default_rng(seed)
    # The distribution of all runs of all processes, from a great many short ones.
    truth = np.percentile(draw(noise, rng, experiments=1, processes=50_000, runs=2, cases=(1.0,)), 50)
    trials = draw(noise, rng, experiments=60, processes=processes, runs=60, cases=(1.0,))[:, 0]
    held = 0
    for trial in trials.tolist():
        (found,) = pooled_percentiles(trial, (50,), resamples=40)
        held += bool(found.low_us <= truth <= found.high_us)
    # 95 % less three standard errors of 60 trials.
    assert held / len(trials) >= 0.86


@pytest.mark.parametrize("percent", [0.0, 100.0, 99.0, 1.0])
def test_percentiles_beyond_the_runs_are_refused(percent: float) -> None:
    with pytest.raises(ValueError, match=rf"^percentile {percent:g} of 100 runs; at least 5 must lie beyond it$"):
        pooled_percentiles([[1.0] * 50] * 2, (percent,))


def test_one_process_tells_nothing_of_others() -> None:
    with pytest.raises(ValueError, match=r"^1 processes tell nothing of the difference between processes"):
        pooled_percentiles([[1.0] * 50])
