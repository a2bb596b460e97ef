"""Latency of several TFLite files, interleaved in one process, so that whatever disturbs one disturbs all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

BLOCK_S = 0.02
"""A file runs for so long before the next has its turn."""
WARM_UP = 20


def interleaved(files: Mapping[str, bytes], rounds: int, seed: int = 0) -> dict[str, list[float]]:
    """Microseconds per inference of each file: the median of a block, one per round, in random order, one thread.

    Args:
        files: TFLite files by name.
        rounds: How often each has its turn.
        seed: Of the order.
    """
    from ai_edge_litert.interpreter import Interpreter

    runs: dict[str, Any] = {}
    rng = np.random.default_rng(seed)
    for name, content in files.items():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        (source,) = interpreter.get_input_details()
        picture = rng.integers(0, 128, source["shape"]).astype(source["dtype"])
        interpreter.set_tensor(source["index"], picture)
        for _ in range(WARM_UP):
            interpreter.invoke()
        runs[name] = interpreter.invoke
    found: dict[str, list[float]] = {name: [] for name in files}
    names = list(files)
    for _ in range(rounds):
        for number in rng.permutation(len(names)):
            found[names[number]].append(_block(runs[names[number]]))
    return found


def _block(invoke: Any) -> float:
    samples: list[float] = []
    ends = time.perf_counter() + BLOCK_S
    while len(samples) < 3 or time.perf_counter() < ends:
        started = time.perf_counter_ns()
        invoke()
        samples.append((time.perf_counter_ns() - started) / 1e3)
    return statistics.median(samples)
