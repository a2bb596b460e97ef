"""An estimate of what a rung costs in time: interleaved blocks on this desktop, as a ratio."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from ai_edge_litert.interpreter import Interpreter

BLOCKS = 25
BLOCK_S = 0.02


def relative_latency(reference: Path, made: Path) -> float:
    """Latency of `made` as a multiple of that of `reference`: median of the ratios of neighbouring blocks.

    One thread, XNNPACK, whatever the inputs hold. Blocks of both alternate, so that what slows the machine slows both.
    """
    runs = [_runner(path) for path in (reference, made)]
    times = [_timed(run, 5) for run in runs]
    counts = [max(1, round(BLOCK_S / each)) for each in times]
    ratios = []
    for _ in range(BLOCKS):
        slow, fast = (_timed(run, count) for run, count in zip(runs, counts, strict=True))
        ratios.append(fast / slow)
    return median(ratios)


def _runner(path: Path) -> Callable[[], None]:
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.invoke()
    return interpreter.invoke  # type: ignore[no-any-return]


def _timed(run: Callable[[], None], count: int) -> float:
    """Seconds per call, the mean of some."""
    started = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - started) / count
