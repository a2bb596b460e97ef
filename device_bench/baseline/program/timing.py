"""Times the phases of a network that is ready."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable
from statistics import median
from typing import Any

from numpy.typing import NDArray

from device_bench.baseline.case import PHASES
from device_bench.baseline.program.network import Network
from device_bench.baseline.program.request import Settings

STEADY_RATIO = 0.02
"""The warm-up ends when the medians of its last three blocks lie this close: a tenth of what is called a difference."""

_BLOCK_S = 0.05
_BLOCK_RUNS = 5
_TURNS = 4
"""Each phase is measured in so many turns, one phase after the other, so that a drift meets all of them."""

Sample = Callable[[], int]
"""One timed call, in nanoseconds."""


def time_phases(network: Network, value: NDArray[Any], settings: Settings) -> dict[str, tuple[float, ...] | None]:
    """Latencies by phase in microseconds; None for what the network does not have."""
    samplers = _samplers(network, value)
    taken = {phase: array("q") for phase in samplers if phase not in network.missing}
    spent_ns = dict.fromkeys(taken, 0)
    gc.disable()
    try:
        for turn in range(1, _TURNS + 1):
            for phase, samples in taken.items():
                share = turn / _TURNS
                runs, least_ns = settings.runs * share, settings.min_s * share * 1e9
                while (len(samples) < runs or spent_ns[phase] < least_ns) and (
                    not samples or spent_ns[phase] < settings.max_s * share * 1e9
                ):
                    before = time.perf_counter_ns()
                    samples.append(samplers[phase]())
                    # With what a sample needs before its clock starts, so that the bound holds for the process.
                    spent_ns[phase] += time.perf_counter_ns() - before
    finally:
        gc.enable()
    return {phase: tuple(ns / 1000 for ns in taken[phase]) if phase in taken else None for phase in PHASES}


def warm_up(network: Network, value: NDArray[Any], settings: Settings) -> tuple[tuple[float, ...], bool]:
    """End to end latencies in microseconds until they no longer fall, and whether they came so far."""
    sample = _samplers(network, value)["end_to_end"]
    samples: list[float] = []
    blocks: list[float] = []
    started, block_started, block_at = time.perf_counter(), time.perf_counter(), 0
    while True:
        samples.append(sample() / 1000)
        now = time.perf_counter()
        if len(samples) - block_at >= _BLOCK_RUNS and now - block_started >= _BLOCK_S:
            blocks.append(median(samples[block_at:]))
            block_started, block_at = now, len(samples)
            if now - started >= settings.warmup_min_s and is_steady(blocks):
                return tuple(samples), True
        if now - started >= settings.warmup_max_s:
            return tuple(samples), False


def is_steady(blocks: list[float]) -> bool:
    """Whether the last three medians agree within `STEADY_RATIO` of their smallest."""
    last = blocks[-3:]
    return len(last) == 3 and max(last) - min(last) <= STEADY_RATIO * min(last)


def _samplers(network: Network, value: NDArray[Any]) -> dict[str, Sample]:
    clock = time.perf_counter_ns

    def timed(call: Callable[..., Any], *arguments: Any) -> Sample:
        def sample() -> int:
            before = clock()
            call(*arguments)
            return clock() - before

        return sample

    def copy_out() -> int:
        # A fresh output each time: JAX keeps the host's copy of one that was read before.
        network.run()
        return take()

    take = timed(network.take)
    return {
        "compute": timed(network.run),
        "copy_in": timed(network.put, value),
        "copy_out": copy_out,
        "end_to_end": timed(network.whole, value),
    }
