"""What the method promises, by simulation: few false alarms, slowdowns found, intervals that hold the truth.

`benchmarks/statistics_power.py` prints the same for more settings. Seeds are fixed: a failure is no bad luck.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.noise_model import REALISTIC, Noise, draw
from benchmarks.statistics_power import usual_verdict
from device_bench.stats import judge, noise_floor, paired_ratio, unpaired_ratio

EXPERIMENTS = 200


def medians(
    noise: Noise, processes: int, cases: Sequence[float], seed: int = 0, experiments: int = EXPERIMENTS
) -> list[list[list[float]]]:
    """Per experiment and case, the processes' medians."""
    rng = np.random.default_rng(seed)
    runs = draw(noise, rng, experiments=experiments, processes=processes, runs=50, cases=cases)
    found: list[list[list[float]]] = np.median(runs, axis=-1).tolist()
    return found


@pytest.mark.parametrize("processes", [5, 10])
def test_false_alarms_are_at_most_one_in_twenty(processes: int) -> None:
    alarms = [0, 0, 0]
    for case, twin, same in medians(REALISTIC, processes, (1000.0,) * 3, experiments=1000):
        floor = noise_floor(paired_ratio(case, twin))
        verdicts = (
            judge(paired_ratio(case, same), floor),
            judge(unpaired_ratio(case, same), floor),
            judge(unpaired_ratio(case, same), 0.0),
        )
        alarms = [count + (said != "no difference shown") for count, said in zip(alarms, verdicts, strict=True)]
    # Of 200, chance alone would make this one in twenty or more now and then.
    assert max(alarms) <= 0.05 * 1000


@pytest.mark.parametrize("processes", [7, 10])
def test_a_slowdown_of_five_percent_is_found_nine_times_in_ten(processes: int) -> None:
    found = [0, 0]
    for case, twin, slower in medians(REALISTIC, processes, (1000.0, 1000.0, 1050.0)):
        floor = noise_floor(paired_ratio(case, twin))
        verdicts = (judge(paired_ratio(case, slower), floor), judge(unpaired_ratio(case, slower), floor))
        found = [count + (said == "slower") for count, said in zip(found, verdicts, strict=True)]
    assert min(found) >= 0.9 * EXPERIMENTS


def test_five_processes_do_where_none_is_disturbed() -> None:
    noise = Noise(disturbed_share=0.0)
    verdicts = [judge(unpaired_ratio(*pair), 0.0) for pair in medians(noise, 5, (1000.0, 1050.0))]
    assert verdicts.count("slower") >= 0.95 * EXPERIMENTS


def test_the_usual_mean_of_fifty_runs_sees_differences_that_are_not_there() -> None:
    rng = np.random.default_rng(0)
    runs = draw(REALISTIC, rng, experiments=EXPERIMENTS, processes=1, runs=50, cases=(1000.0, 1000.0))[:, :, 0]
    alarms = [usual_verdict(old, new) != "no difference shown" for old, new in runs]
    assert sum(alarms) > 0.15 * EXPERIMENTS


def test_what_it_says_could_be_found_is_found_nine_times_in_ten() -> None:
    noise = Noise(disturbed_share=0.0)
    limit = float(np.mean([unpaired_ratio(*pair).detectable(0.0) for pair in medians(noise, 8, (1000.0, 1000.0))]))
    pairs = medians(noise, 8, (1000.0, 1000.0 * (1 + limit)), seed=1)
    power = sum(judge(unpaired_ratio(*pair), 0.0) == "slower" for pair in pairs) / EXPERIMENTS
    assert 0.82 <= power <= 0.98


@settings(max_examples=10, derandomize=True, deadline=None)
@given(
    correlation=st.floats(0.0, 0.95),
    between=st.floats(0.001, 0.03),
    rounds=st.floats(0.0, 0.03),
    spikes=st.floats(0.0, 0.3),
    processes=st.integers(4, 12),
    effect=st.floats(0.8, 1.25),
    seed=st.integers(0, 2**32 - 1),
)
def test_intervals_hold_the_true_ratio_however_the_noise_hangs_together(
    correlation: float, between: float, rounds: float, spikes: float, processes: int, effect: float, seed: int
) -> None:
    noise = Noise(
        between=between, correlation=correlation, between_rounds=rounds, spike_share=spikes, disturbed_share=0.02
    )
    pairs = medians(noise, processes, (1000.0, 1000.0 * effect), seed)
    for measure in (paired_ratio, unpaired_ratio):
        ratios = [measure(*pair) for pair in pairs]
        held = sum(ratio.low <= effect <= ratio.high for ratio in ratios) / EXPERIMENTS
        # 95 % less 3.2 standard errors of 200 trials.
        assert held >= 0.90, measure.__name__
