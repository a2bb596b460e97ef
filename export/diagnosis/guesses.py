"""Which pictures an int8 file was calibrated with, judged by the ranges stored in it.

Ranges are measured as an export does, by the method on record, so that the pictures on record give the stored ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.deployed import FRONT
from export.diagnosis.activations import FIXED, SAME_RANGE, matched
from export.diagnosis.graph import Graph, Tensor
from export.diagnosis.values import RangeGuess
from export.quantization.observe import observe
from export.quantization.ranges import file_ranges
from export.quantization.settings import QuantizationSettings
from models.data import Pixels
from models.errors import DataError
from models.presets import PRESETS
from models.spec import Preprocessing
from models.worker import Progress, Report

STAGE = "explain ranges"
SEED = 20_170_417
NOISE, PICTURES = "noise", "pictures"
OTHER_IMAGES = 32
"""Of noise, or of pictures normalised otherwise."""
SAME = math.log2(1.05)
"""Factor between spans, as |log2|, below which they are the same."""
TELLING = 1.1
"""Ratio of the widest to the narrowest span of a tensor, from which on it is looked at."""

AS_IT_IS = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""Of numbers that are the network's input already."""

Spans = dict[str, float]
"""Greatest less least value that a tensor expresses, by its name."""


def estimated(float_graph: Graph, int8_graph: Graph) -> dict[str, Tensor]:
    """The tensors whose stored range somebody estimated: not the input, nor what is known from the input's."""
    free = {step.output for step in int8_graph.steps if step.operator not in FIXED + SAME_RANGE} - {FRONT}
    pairs = matched(float_graph, int8_graph)
    return {name: theirs for name, (_, theirs) in pairs.items() if name in free and theirs.range}


def _span(tensor: Tensor, low: float, high: float) -> float:
    """That of the integers that store a range: those of 16 bits go as far below zero as above."""
    return 2 * max(-low, high) if tensor.dtype == "int16" else high - low


def _factors(stored: Spans, measured: Spans) -> list[float]:
    """Per tensor the factor between the two spans, as |log2|."""
    return [abs(math.log2(span / measured[name])) for name, span in stored.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """What a file may have been calibrated with."""

    name: str
    kind: str
    pixels: NDArray[Any]
    preprocessing: Preprocessing


def guess_pictures(
    tflite: bytes,
    stored: dict[str, Tensor],
    pictures: Pixels,
    preprocessing: Preprocessing,
    settings: QuantizationSettings,
    report: Report,
) -> tuple[RangeGuess, ...]:
    """What ranges the float file has on the pictures, on noise and on wrongly normalised pictures; the nearest first.

    If those on the pictures are the stored ones, nothing else is tried.

    Args:
        tflite: The float file.
        stored: Those of `estimated`.
        pictures: Those that the file should have been calibrated with, uint8 `[N, H, W, 3]`.
        preprocessing: Of the float file.
        settings: How its ranges followed from what was observed.
        report: Receives the progress.

    Raises:
        DataError: the activations on the pictures are not finite.
    """
    spans = {name: _span(tensor, *tensor.range) for name, tensor in stored.items() if tensor.range}
    ways, measured = tuple(_ways(pictures, preprocessing)), {}
    for done, way in enumerate(ways):
        try:
            measured[way.name, way.kind] = _measure(tflite, way, stored, settings)
        except DataError:
            # Nothing is calibrated with numbers that overflow.
            if way.kind == PICTURES:
                raise
            continue
        if way.kind == PICTURES and max(_factors(spans, measured[way.name, way.kind]), default=0.0) < SAME:
            report(Progress(stage=STAGE, done=len(ways), total=len(ways)))
            return (_guess((way.name, way.kind), spans, measured[way.name, way.kind]),)
        report(Progress(stage=STAGE, done=done + 1, total=len(ways)))
    telling = {name: span for name, span in spans.items() if _differs([found[name] for found in measured.values()])}
    guesses = (_guess(name, telling, found) for name, found in measured.items())
    return tuple(sorted(guesses, key=lambda guess: guess.distance))


def _guess(name: tuple[str, str], stored: Spans, measured: Spans) -> RangeGuess:
    factors = _factors(stored, measured)
    return RangeGuess(
        pictures=name[0],
        kind=name[1],
        distance=float(np.mean(factors)) if factors else 0.0,
        differing=sum(factor > SAME for factor in factors),
        telling=len(factors),
    )


def _differs(spans: Sequence[float]) -> bool:
    """Whether a tensor's span tells one way from another: where ReLU6 cuts them all off at 6, it does not."""
    return max(spans) > TELLING * min(spans)


def _ways(pictures: Pixels, preprocessing: Preprocessing) -> Iterator[_Way]:
    few = pictures[np.linspace(0, len(pictures) - 1, min(OTHER_IMAGES, len(pictures))).astype(int)]
    rng = np.random.default_rng(SEED)
    given: tuple[tuple[str, str, NDArray[Any], Preprocessing], ...] = (
        ("the data set's pictures", PICTURES, pictures, preprocessing),
        ("random bytes, normalised", NOISE, rng.integers(0, 256, few.shape, dtype=np.uint8), preprocessing),
        ("random numbers in 0..1", NOISE, rng.random(few.shape, dtype=np.float32), AS_IT_IS),
        ("normally distributed numbers", NOISE, rng.standard_normal(few.shape, dtype=np.float32), AS_IT_IS),
        *((f"the pictures normalised as {name}", name, few, other) for name, other in PRESETS.items()),
    )
    for name, kind, pixels, taken in given:
        if kind not in PRESETS or (taken.mean, taken.std) != (preprocessing.mean, preprocessing.std):
            yield _Way(name=name, kind=kind, pixels=pixels, preprocessing=taken)


def _measure(tflite: bytes, way: _Way, tensors: dict[str, Tensor], settings: QuantizationSettings) -> Spans:
    seen = observe(tflite, way.pixels, way.preprocessing, lambda _: None)
    ranges = file_ranges(tflite, seen, settings)
    return {name: _span(tensor, *ranges[name]) for name, tensor in tensors.items()}
