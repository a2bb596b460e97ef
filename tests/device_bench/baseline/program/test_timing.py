"""The timing of phases, on a network that only keeps a log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from device_bench.baseline.case import Placement
from device_bench.baseline.program.request import Settings
from device_bench.baseline.program.timing import is_steady, time_phases, warm_up

VALUE = np.zeros((1, 2), np.float32)


class Sleeper:
    """Takes its time: 1 ms to copy, 3 ms to compute, as much as `first_s` more at first."""

    shape = (1, 2)
    parameters: Mapping[str, Any] = {}
    versions: Mapping[str, str] = {}

    def __init__(self, missing: Mapping[str, str] | None = None) -> None:
        self.missing: Mapping[str, str] = missing or {}
        self.log: Counter[str] = Counter()
        self.fresh = False

    def put(self, value: NDArray[Any]) -> None:
        assert value is VALUE
        self.log["put"] += 1
        time.sleep(0.001)

    def run(self) -> None:
        self.log["run"] += 1
        self.fresh = True
        time.sleep(0.003)

    def take(self) -> NDArray[Any]:
        assert self.fresh, "an output that was read before may cost nothing to read"
        self.fresh = False
        self.log["take"] += 1
        time.sleep(0.001)
        return VALUE

    def whole(self, value: NDArray[Any]) -> NDArray[Any]:
        self.put(value)
        self.run()
        return self.take()

    def placement(self) -> Placement:
        raise NotImplementedError


def test_each_phase_is_timed_by_itself_and_as_often_as_asked() -> None:
    samples = time_phases(Sleeper(), VALUE, Settings(runs=5, min_s=0.0, max_s=5.0))
    rows = {phase: row or () for phase, row in samples.items()}
    assert {phase: len(row) for phase, row in rows.items()} == dict.fromkeys(rows, 5)
    for phase, least_us in (("compute", 3000), ("copy_in", 1000), ("copy_out", 1000), ("end_to_end", 5000)):
        assert min(rows[phase]) >= least_us
    # The run before each copy out is not in its time.
    assert np.median(rows["copy_out"]) < np.median(rows["compute"])


def test_a_phase_that_a_network_does_not_have_is_none_and_never_run() -> None:
    network = Sleeper(missing={"copy_in": "no device", "copy_out": "no device"})
    samples = time_phases(network, VALUE, Settings(runs=4, min_s=0.0, max_s=5.0))
    assert samples["copy_in"] is samples["copy_out"] is None
    assert network.log == {"run": 8, "put": 4, "take": 4}


def test_time_ends_a_phase_before_it_has_all_its_runs() -> None:
    samples = time_phases(Sleeper(), VALUE, Settings(runs=10_000, min_s=0.0, max_s=0.02))
    assert all(row is not None and 1 <= len(row) < 100 for row in samples.values())


def test_the_warm_up_ends_when_it_is_steady_or_out_of_time() -> None:
    samples, steady = warm_up(Sleeper(), VALUE, Settings(warmup_min_s=0.0, warmup_max_s=0.01))
    assert not steady
    assert 1 <= len(samples) <= 3
    network = Sleeper()
    _, steady = warm_up(network, VALUE, Settings(warmup_min_s=0.0, warmup_max_s=20.0))
    assert steady
    assert network.log["run"] >= 15


@pytest.mark.parametrize(
    ("blocks", "steady"),
    [([], False), ([1.0, 1.0], False), ([9.0, 1.0, 1.0, 1.01], True), ([1.0, 1.0, 1.1], False), ([3, 2, 1], False)],
)
def test_steady_means_that_the_last_three_blocks_agree(blocks: list[float], steady: bool) -> None:
    assert is_steady(blocks) is steady


@given(st.floats(1, 1e6), st.lists(st.floats(0, 0.019), min_size=3, max_size=3))
def test_noise_of_less_than_a_fiftieth_counts_as_steady(level: float, noise: list[float]) -> None:
    assert is_steady([level * (1 + part) for part in noise])
