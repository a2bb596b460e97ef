"""`Subject`: what is trained, how it begins, and what is kept of it. Imports Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
from numpy.typing import NDArray

from models.build import build
from models.data import Dataset
from models.spec import ModelSpec
from models.training.settings import TrainSettings
from models.training.start import starting_weights
from models.worker import Report

Weights = list[NDArray[Any]]


def nothing(_: object) -> None:
    """Does nothing with a network."""


def all_weights(model: keras.Model) -> Weights:
    """The network as it is."""
    return list(model.get_weights())


def no_more(_: object) -> Mapping[str, Any]:
    """Nothing to tell."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network in training, which need not be built as the one that is kept."""

    make: Callable[[], keras.Model]
    """Builds it, for pictures of any size."""
    start: Callable[[keras.Model], None] = field(default=nothing)
    """Gives it the weights to begin with; random ones stay, if it does nothing."""
    finish: Callable[[keras.Model], Weights] = field(default=all_weights)
    """The weights of `models.build.build`'s network to keep; what is trained computes the same afterwards."""
    describe: Callable[[keras.Model], Mapping[str, Any]] = field(default=no_more)
    """What else the record tells of it."""
    keeps_start: bool = False
    """Whether its beginning counts as an epoch that may be the best."""


def find_subject(spec: ModelSpec, dataset: Dataset, settings: TrainSettings, report: Report) -> Subject:
    """What the settings ask for.

    Raises:
        WeightsError: the weights to start from cannot be had, or are another network's.
        UsageError: quantization-aware training cannot have this network's input.
    """
    if settings.quantization_aware:
        from models.qat.subject import quantized_subject

        return quantized_subject(spec, dataset, settings, report)
    start = starting_weights(spec, settings.fine_tune, report)
    return Subject(make=partial(build, spec, resolution_px=0), start=start)
