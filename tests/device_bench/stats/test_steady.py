"""Where warm-up ends, on series with a known beginning."""

import numpy as np
import pytest

from benchmarks.noise_model import REALISTIC, draw
from device_bench.stats import block_medians, steady_from


def noise(seed: int, runs: int = 100) -> list[float]:
    rng = np.random.default_rng(seed)
    found: list[float] = draw(REALISTIC, rng, experiments=1, processes=1, runs=runs, cases=(1000.0,)).ravel().tolist()
    return found


@pytest.mark.parametrize("slow", [10, 20, 40])
@pytest.mark.parametrize("excess", [0.1, 1.0])
def test_a_slow_beginning_is_found_to_a_block_and_hardly_more_is_cut(slow: int, excess: float) -> None:
    found = [
        steady_from([value * (1 + excess) if at < slow else value for at, value in enumerate(noise(seed))])
        for seed in range(200)
    ]
    assert sum(slow - 5 <= cut <= slow + 10 for cut in found) >= 0.9 * len(found)


def test_a_clock_that_rises_at_first_is_found() -> None:
    samples = [value * (1 + 0.5 * np.exp(-at / 10)) for at, value in enumerate(noise(3))]
    # After 25 runs 4 % of excess are left, after 50 less than the noise.
    assert 25 <= steady_from(samples) <= 50


def test_a_fast_beginning_such_as_a_boost_that_ends_is_found_too() -> None:
    assert steady_from([value * 0.8 if at < 30 else value for at, value in enumerate(noise(4))]) in (25, 30)


def test_of_pure_noise_hardly_anything_is_cut() -> None:
    cut = [steady_from(noise(seed)) for seed in range(400)]
    assert sum(runs > 0 for runs in cut) / len(cut) < 0.15
    assert sum(cut) / len(cut) < 2


@pytest.mark.parametrize("at", [0, 12, 60, 99])
def test_a_lone_spike_is_no_warm_up(at: int) -> None:
    samples = [1000.0] * 100
    samples[at] = 9000.0
    assert steady_from(samples) == 0


def test_what_slows_down_for_good_in_the_middle_is_not_cut_beyond_half() -> None:
    assert steady_from([1000.0 if at < 70 else 1500.0 for at in range(100)]) <= 50


@pytest.mark.parametrize("count", [1, 5, 29])
def test_few_runs_tell_nothing(count: int) -> None:
    assert steady_from([9000.0, *[1000.0] * (count - 1)]) == 0


def test_block_medians_leave_out_what_fills_no_block() -> None:
    assert block_medians([1.0, 9.0, 2.0, 3.0, 3.0, 4.0, 99.0], 3).tolist() == [2.0, 3.0]
    with pytest.raises(ValueError, match=r"^2 runs fill no block of 5$"):
        block_medians([1.0, 2.0])
