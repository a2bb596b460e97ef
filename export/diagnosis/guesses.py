"""Which pictures an int8 file was calibrated with, judged by the ranges stored in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.diagnosis.activations import FIXED, SAME_RANGE, Run, matched
from export.diagnosis.graph import Graph
from export.diagnosis.values import RangeGuess
from models.data import Pixels, normalise
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

Ranges = dict[str, tuple[float, float]]


def estimated(float_graph: Graph, int8_graph: Graph) -> Ranges:
    """Stored ranges of the tensors whose range somebody estimated, the input left out."""
    free = {step.output for step in int8_graph.steps if step.operator not in FIXED + SAME_RANGE}
    pairs = matched(float_graph, int8_graph)
    return {name: theirs.range for name, (_, theirs) in pairs.items() if name in free and theirs.range}


def _factors(stored: Ranges, measured: Ranges) -> list[float]:
    """Per tensor the factor between the two spans, as |log2|. Both spans have zero in them."""
    factors = []
    for name, (low, high) in stored.items():
        least, greatest = measured[name]
        span = max(greatest, 0.0) - min(least, 0.0)
        factors.append(min(10.0, abs(math.log2((high - low) / span))) if span > 0 else 10.0)
    return factors


def guess_pictures(
    float_graph: Graph,
    int8_graph: Graph,
    run: Run,
    pictures: Pixels,
    preprocessing: Preprocessing,
    report: Report,
) -> tuple[RangeGuess, ...]:
    """What ranges the float file has on the pictures, on noise and on wrongly normalised pictures; the nearest first.

    If those on the pictures are the stored ones, nothing else is tried.

    Args:
        float_graph: Of the float file.
        int8_graph: Of the int8 file.
        run: The float file's probe.
        pictures: Those that the file should have been calibrated with, uint8 `[N, H, W, 3]`.
        preprocessing: Of the float file.
        report: Receives the progress.
    """
    stored = estimated(float_graph, int8_graph)
    ways = dict(_ways(preprocessing))
    few = pictures[np.linspace(0, len(pictures) - 1, min(OTHER_IMAGES, len(pictures))).astype(int)]
    measured = {}
    for done, (name, way) in enumerate(ways.items()):
        given = pictures if name[1] == PICTURES else few
        measured[name] = _measure(float_graph, run, (way(picture[None]) for picture in given), stored)
        if name[1] == PICTURES and max(_factors(stored, measured[name]), default=0.0) < SAME:
            report(Progress(stage=STAGE, done=len(ways), total=len(ways)))
            return (_guess(name, stored, measured[name]),)
        report(Progress(stage=STAGE, done=done + 1, total=len(ways)))
    telling = {name: ends for name, ends in stored.items() if _differs([ranges[name] for ranges in measured.values()])}
    found = (_guess(name, telling, ranges) for name, ranges in measured.items())
    return tuple(sorted(found, key=lambda guess: guess.distance))


def _guess(name: tuple[str, str], stored: Ranges, measured: Ranges) -> RangeGuess:
    factors = _factors(stored, measured)
    return RangeGuess(
        pictures=name[0],
        kind=name[1],
        distance=float(np.mean(factors)) if factors else 0.0,
        differing=sum(factor > SAME for factor in factors),
        telling=len(factors),
    )


def _differs(ranges: Sequence[tuple[float, float]]) -> bool:
    """Whether a tensor's span tells one way from another: where ReLU6 cuts them all off at 6, it does not."""
    spans = [max(high, 0.0) - min(low, 0.0) for low, high in ranges]
    return max(spans) > TELLING * min(spans)


Way = Callable[[Pixels], NDArray[np.float32]]


def _ways(preprocessing: Preprocessing) -> Iterator[tuple[tuple[str, str], Way]]:
    rng = np.random.default_rng(SEED)

    def noise_bytes(picture: Pixels) -> NDArray[np.float32]:
        return normalise(rng.integers(0, 256, picture.shape, dtype=np.uint8), preprocessing)

    def uniform(picture: Pixels) -> NDArray[np.float32]:
        return rng.random(picture.shape, dtype=np.float32)

    def normal(picture: Pixels) -> NDArray[np.float32]:
        return rng.standard_normal(picture.shape, dtype=np.float32)

    yield ("the data set's pictures", PICTURES), lambda picture: normalise(picture, preprocessing)
    yield ("random bytes, normalised", NOISE), noise_bytes
    yield ("random numbers in 0..1", NOISE), uniform
    yield ("normally distributed numbers", NOISE), normal
    for name, other in PRESETS.items():
        if (other.mean, other.std) != (preprocessing.mean, preprocessing.std):
            yield (f"the pictures normalised as {name}", name), _normaliser(other)


def _normaliser(preprocessing: Preprocessing) -> Way:
    return lambda picture: normalise(picture, preprocessing)


def _measure(graph: Graph, run: Run, inputs: Iterator[NDArray[Any]], names: Ranges) -> Ranges:
    ranges = dict.fromkeys(names, (np.inf, -np.inf))
    for given in inputs:
        look = run(given)
        for name, (low, high) in ranges.items():
            values = look(graph.tensors[name])
            ranges[name] = (min(low, float(values.min())), max(high, float(values.max())))
    return ranges
