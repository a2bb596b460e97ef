"""Ranges that quantization-aware training learned: they go into 8-bit files as they are, with nothing added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.quantization.settings import DEFAULTS, LEARNED, QuantizationSettings
from models.blocks import INPUT
from models.checkpoint import TrainedModel
from models.errors import ConversionError, UsageError, WeightsError
from models.spec import ModelSpec
from models.worker import Report

if TYPE_CHECKING:
    # LiteRT, which whoever only asks for the record need not load.
    from export.quantization.calibration import Calibration
    from export.quantization.ranges import Ranges
    from export.work import WorkFiles

STAGE = "twin's answers"
LAST = "classifier"
"""The layer whose tensor is called as the file's output where nothing follows it."""


def ranges_on_record(weights: TrainedModel) -> Ranges | None:
    """The range of every activation that was learned with the weights; None where none was.

    Raises:
        WeightsError: the record is not understood.
    """
    kept: Any = weights.record.get("quantization")
    if kept is None:
        return None
    try:
        return {str(name): (float(low), float(high)) for name, (low, high) in kept["ranges"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"the ranges in the record beside {weights.path} are not understood ({error!r}); train it again with "
            f"`make train MODEL={weights.model} QAT=1`"
        ) from error


def learned_settings(given: QuantizationSettings, max_drop: float | None) -> QuantizationSettings:
    """What files are made with whose ranges were learned.

    Raises:
        UsageError: other levers were asked for, or a budget that looks for some.
    """
    if given != DEFAULTS:
        raise UsageError(
            "--quantization with weights of quantization-aware training: they learned with their own ranges and with "
            "nothing corrected; leave it out, or export the float weights: --weights auto"
        )
    if max_drop is not None:
        raise UsageError(
            "--max-drop with weights of quantization-aware training: it looks for levers, and they have theirs; leave "
            "it out, or export the float weights: --weights auto"
        )
    return LEARNED


def with_learned(found: Calibration, tflite: bytes, learned: Mapping[str, tuple[float, float]]) -> Calibration:
    """The calibration with the learned ranges for activations of 8 bits, and nothing corrected.

    Args:
        found: Of the float file, with the range of its input.
        tflite: The float file.
        learned: By the name of the layer.

    Raises:
        ConversionError: a tensor has no range.
    """
    from export.tflite_file import read_model

    graph = read_model(tflite).subgraphs[0]
    names = {tensor.name.decode() for tensor in graph.tensors}
    given = dict(learned)
    if LAST not in names and LAST in given:
        given[graph.tensors[graph.outputs[0]].name.decode()] = given.pop(LAST)
    # Softmax has a range of its own, whatever was learned.
    own = {INPUT, graph.tensors[graph.outputs[0]].name.decode()}
    missing = [name for name in found.ranges if name not in given and name not in own]
    if missing:
        raise ConversionError(
            f"quantization-aware training learned no range for {missing[0]}, which the converter made of the network "
            f"({len(missing)} of {len(found.ranges)} tensors); export the float weights with ranges from pictures: "
            "--weights auto"
        )
    return replace(found, ranges={name: given.get(name, found.ranges[name]) for name in found.ranges}, shifts={})


def answer_as_twin(report: Report, spec: ModelSpec, checkpoint: Path, learned: Ranges, work: WorkFiles) -> None:
    """Writes what the trained twin says of the test split, with which files of 8 bits are compared.

    Args:
        report: Receives the progress.
        spec: The network, with the class count of the data set.
        checkpoint: Of the quantization-aware training.
        learned: The ranges of its record.
        work: Where the pictures are and the answers go.

    Raises:
        WeightsError: the checkpoint does not serve, or a range is missing.
    """
    # Here, in a worker, TensorFlow may be imported.
    from export.work import save_array
    from models.load import load_checkpoint
    from models.qat.network import build_twin, take_ranges, take_weights
    from models.training.predict import predict_logits

    twin = build_twin(spec)
    take_weights(twin, load_checkpoint(checkpoint, spec), spec)
    try:
        take_ranges(twin, learned)
    except KeyError as error:
        raise WeightsError(
            f"the record beside {checkpoint} has no range for {error}; train it again with "
            f"`make train MODEL={spec.name} QAT=1`"
        ) from error
    logits = predict_logits(twin, np.load(work.test_pixels, mmap_mode="r"), spec.preprocessing, report, STAGE)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    save_array(work.twin, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32))
