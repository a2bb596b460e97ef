"""What the activations of a float TFLite file hold over the representative data set, found in one pass."""

from __future__ import annotations

import copy
import math
import os
import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export.deployed import FRONT
from export.quantization.histogram import BINS, Bins, Counts, Histogram, bins_of, count_bins, histogram, loudness
from export.tflite_file import read_model, write_model
from models.data import Pixels, normalise
from models.errors import DataError
from models.spec import Preprocessing
from models.worker import Progress, Report

STAGE = "calibrate"

COUNTED_VALUES = 1 << 13
"""Of each tensor and picture, about, that go into its histogram; its extremes are those of all values."""

COUNTED_TOGETHER = 16
"""Pictures whose bins are kept until they are counted: to count those of one alone takes longer than to find them."""

THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The values of one tensor over all pictures."""

    least: float
    greatest: float
    histogram: Histogram
    """Of the same positions in every picture."""


Observations = Mapping[str, Observed]
"""By the name of the tensor, in the order of their computation."""


class Activations:
    """A float TFLite file that shows every tensor it computes, one picture at a time, with XNNPACK."""

    def __init__(self, tflite: bytes, preprocessing: Preprocessing) -> None:
        model = read_model(tflite)
        graph = model.subgraphs[0]
        self.indices = [int(index) for operator in graph.operators for index in operator.outputs]
        self.names: list[str] = [graph.tensors[index].name.decode() for index in self.indices]
        # As outputs: kept otherwise (`experimental_preserve_all_tensors`), they would keep XNNPACK away.
        graph.outputs, model.signatureDefs = self.indices, []
        self._content, self._input, self._preprocessing = write_model(model), int(graph.inputs[0]), preprocessing
        self._start()

    def _start(self) -> None:
        self._interpreter = Interpreter(model_content=self._content, num_threads=1)
        self._interpreter.allocate_tensors()

    def another(self) -> Activations:
        """The same file in an interpreter of its own, for another thread."""
        twin = copy.copy(self)
        twin._start()  # noqa: SLF001 - its own class
        return twin

    def compute(self, image: Pixels) -> list[NDArray[np.float32]]:
        """Every computed tensor for one picture, uint8 `[H, W, 3]`: views, to be let go before the next picture."""
        self._interpreter.set_tensor(self._input, normalise(image[None], self._preprocessing))
        self._interpreter.invoke()
        return [self._interpreter.tensor(index)() for index in self.indices]


class _Tally:
    """What one thread has seen. Least, greatest and whole numbers: no order of the pictures changes their union."""

    def __init__(self, activations: Activations) -> None:
        self.activations = activations
        tensors = len(self.activations.names)
        self.least, self.greatest = np.full(tensors, np.inf), np.full(tensors, -np.inf)
        self._counts: list[dict[int, Counts]] = [{} for _ in range(tensors)]
        self._uncounted: list[dict[int, list[Bins]]] = [{} for _ in range(tensors)]
        self._pictures = 0

    def add(self, image: Pixels) -> None:
        with np.errstate(invalid="ignore"):
            for row, values in enumerate(self.activations.compute(image)):
                self.least[row] = np.minimum(self.least[row], values.min())
                self.greatest[row] = np.maximum(self.greatest[row], values.max())
                sample = np.ascontiguousarray(_sample(values)).reshape(-1)
                self._uncounted[row].setdefault(loudness(sample), []).append(bins_of(sample))
        self._pictures += 1
        if self._pictures % COUNTED_TOGETHER == 0:
            self._count()

    def counts(self) -> list[dict[int, Counts]]:
        """Of every tensor, `[BINS]` by the loudness of the pictures."""
        self._count()
        return self._counts

    def _count(self) -> None:
        for counts, uncounted in zip(self._counts, self._uncounted, strict=True):
            for loud, bins in uncounted.items():
                _add(counts, loud, count_bins(np.concatenate(bins)))
            uncounted.clear()


def _add(counts: dict[int, Counts], loud: int, more: Counts) -> None:
    # Only what is used, so that the rest of so many bins takes no memory.
    used = np.flatnonzero(more)
    counts.setdefault(loud, np.zeros(BINS, np.int64))[used] += more[used]


def _sample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The values at some positions, all channels of each, spread over the whole map; the same in every picture."""
    rows = values.reshape(-1, values.shape[-1])
    step = max(1, values.size // COUNTED_VALUES)
    # Without a common divisor with the width, or some columns would never be looked at.
    while values.ndim == 4 and math.gcd(step, values.shape[2]) > 1:
        step += 1
    return rows[::step]


def observe(tflite: bytes, pixels: Pixels, preprocessing: Preprocessing, report: Report) -> Observations:
    """Extremes and histogram of every activation over the pictures, the same to the last bit in any order of them.

    Args:
        tflite: A float32 file with batch 1.
        pixels: Raw pictures, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        report: Receives the progress.

    Raises:
        DataError: no pictures, or activations that are not finite.
    """
    if not len(pixels):
        raise DataError("calibration needs at least one image")
    first = Activations(tflite, preprocessing)
    tallies = [_Tally(first), *(_Tally(first.another()) for _ in range(min(THREADS, len(pixels)) - 1))]
    for number, _ in enumerate(_in_threads(tallies, pixels)):
        report(Progress(stage=STAGE, done=number + 1, total=len(pixels)))
    names = tallies[0].activations.names
    counts = tallies[0].counts()
    for tally in tallies[1:]:
        for mine, others in zip(counts, tally.counts(), strict=True):
            for loud, more in others.items():
                _add(mine, loud, more)
    least = np.minimum.reduce([tally.least for tally in tallies])
    greatest = np.maximum.reduce([tally.greatest for tally in tallies])
    if FRONT in names:
        row = names.index(FRONT)
        least[row], greatest[row] = _front_range(tallies[0].activations, pixels)
    unfinished = [n for n, low, high in zip(names, least, greatest, strict=True) if not np.isfinite([low, high]).all()]
    if unfinished:
        raise DataError(
            f"activations of {unfinished[0]} are not finite on the calibration images; check the checkpoint"
        )
    return {
        name: Observed(
            least=float(least[row]),
            greatest=float(greatest[row]),
            histogram=histogram(counts[row]),
        )
        for row, name in enumerate(names)
    }


def _in_threads(tallies: Sequence[_Tally], pixels: Pixels) -> Any:
    """One item per picture, as they are done. NumPy and LiteRT let other threads run while they compute."""
    idle: queue.SimpleQueue[_Tally] = queue.SimpleQueue()
    for tally in tallies:
        idle.put(tally)

    def add(image: Pixels) -> None:
        tally = idle.get()
        try:
            tally.add(image)
        finally:
            idle.put(tally)

    with ThreadPoolExecutor(len(tallies)) as threads:
        yield from threads.map(add, pixels)


def _front_range(activations: Activations, pixels: Pixels) -> tuple[float, float]:
    """Exact as the input's: what the layer in front gives for black and white bounds what it gives for any picture."""
    row = activations.names.index(FRONT)
    ends = [activations.compute(np.full_like(pixels[0], byte))[row].copy() for byte in (0, 255)]
    return min(float(end.min()) for end in ends), max(float(end.max()) for end in ends)
