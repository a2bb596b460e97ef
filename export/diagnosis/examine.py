"""`diagnose`: both files on the same pictures, readings of every layer, and the causes that fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact import Artifact
from export.contents import TensorInfo
from export.diagnosis.activations import compare_activations, matched, open_probe
from export.diagnosis.answers import Scores, compare_accuracy, compare_classes, compare_confidence, show_flips
from export.diagnosis.causes import find_causes
from export.diagnosis.evidence import Evidence, LabelFault, OtherInput
from export.diagnosis.graph import Graph, read_graph
from export.diagnosis.guesses import estimated, guess_pictures
from export.diagnosis.inputs import find_other_input
from export.diagnosis.labels import find_label_fault
from export.diagnosis.pictures import SEED, Pictures, read_pictures
from export.diagnosis.subject import Subject
from export.diagnosis.values import ActivationReading, Diagnosis, RangeGuess
from export.diagnosis.weights import read_weights
from export.precision import PRECISIONS
from export.quantization.settings import NAIVE, began_with
from export.record import calibration_settings, manifest_preprocessing
from export.verify import load_tflite, to_input, to_probabilities
from models.data import Pixels
from models.errors import BrokenFileError, DataError
from models.spec import Preprocessing
from models.weights import RANDOM
from models.worker import Progress, Report

STAGE = "classify"
OTHER_INPUTS = 128
"""Test pictures on which other normalisations are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many pictures."""

    test: int
    """At most, for accuracy, classes and flips."""
    layers: int
    """For comparing all tensors, which takes ten times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A subject with its files opened and its pictures read."""

    subject: Subject
    preprocessing: Preprocessing
    pictures: Pictures
    float_graph: Graph
    int8_graph: Graph

    @property
    def paths(self) -> tuple[Path, Path]:
        """Of the float file and the int8 file."""
        return self.subject.folder / self.subject.float_file.file, self.subject.folder / self.subject.int8_file.file


def diagnose(report: Report, subject: Subject, sizes: Sizes) -> Diagnosis:
    """Everything that can be found out about an int8 file beside its float file.

    Raises:
        DataError: the data set is not the one that the files were verified with.
        BrokenFileError: a file cannot be read.
        VerificationError: the runtime refuses a file.
    """
    case = _open(subject, sizes, report)
    exact, other = _answers(case, report)
    some = case.pictures.some(sizes.layers)
    evidence = _evidence(case, exact, other, some, report)
    activations, data, known = evidence.activations, case.pictures.data, set(case.float_graph.tensors)
    classes, numbers = case.pictures.classes, case.pictures.numbers
    return Diagnosis(
        model=str(subject.manifest.model["name"]),
        weights=str(subject.manifest.weights["source"]),
        dataset=data.name,
        precision=subject.int8_file.precision,
        float_sha256=subject.float_file.sha256,
        int8_sha256=subject.int8_file.sha256,
        layer_images=evidence.layer_images,
        accuracy=evidence.accuracy,
        confidence=evidence.confidence,
        calibration=evidence.calibration,
        findings=find_causes(evidence),
        weights_read=evidence.weights,
        activations=tuple(sorted(activations, key=lambda r: -np.inf if r.loss_db is None else r.loss_db, reverse=True)),
        guesses=evidence.guesses,
        classes=compare_classes(exact, other, classes, data.labels),
        flips=show_flips(exact, other, classes, data.labels, case.pictures.test, numbers),
        unmatched=tuple(step.output for step in case.int8_graph.steps if step.output not in known),
    )


def _open(subject: Subject, sizes: Sizes, report: Report) -> _Case:
    preprocessing = manifest_preprocessing(subject.manifest)
    paths = [subject.folder / artifact.file for artifact in (subject.float_file, subject.int8_file)]
    float_graph, int8_graph = (read_graph(path.read_bytes(), path.name) for path in paths)
    if not matched(float_graph, int8_graph):
        raise BrokenFileError(f"{paths[1].name} computes no tensor that {paths[0].name} has by name; export again")
    return _Case(
        subject=subject,
        preprocessing=preprocessing,
        pictures=read_pictures(subject, preprocessing, sizes.test, report),
        float_graph=float_graph,
        int8_graph=int8_graph,
    )


def _answers(case: _Case, report: Report) -> tuple[Scores, Scores]:
    """Probabilities for every test picture by the float file and by the int8 file."""
    files = (case.subject.float_file, case.subject.int8_file)
    exact, other = (
        _classify(path, artifact, case.pictures.test, case.preprocessing, report)
        for path, artifact in zip(case.paths, files, strict=True)
    )
    if not (np.isfinite(exact).all() and np.isfinite(other).all()):
        raise DataError(f"{case.subject.float_file.file} gives numbers that are not finite; check the checkpoint")
    return exact, other


def _classify(
    path: Path, artifact: Artifact, pixels: Pixels, preprocessing: Preprocessing, report: Report
) -> NDArray[np.float64]:
    """Probabilities for every picture, by the runtime that apps have."""
    predict, rows = load_tflite(path, builtin_only=False), []
    for done in range(len(pixels)):
        rows.append(predict(to_input(pixels[done : done + 1], artifact.input, preprocessing)))
        report(Progress(stage=f"{STAGE} {artifact.precision}", done=done + 1, total=len(pixels)))
    return to_probabilities(np.concatenate(rows), artifact.output)


def _evidence(case: _Case, exact: Scores, other: Scores, some: Pixels, report: Report) -> Evidence:
    """All readings; those of the layers on some of the pictures."""
    fault, wanted = _float_faults(case, exact)
    classes = case.pictures.classes
    return Evidence(
        subject=case.subject,
        preprocessing=case.preprocessing,
        accuracy=compare_accuracy(exact, other, classes),
        confidence=compare_confidence(exact, other, classes),
        calibration=case.pictures.calibration,
        layer_images=len(some),
        weights=read_weights(case.float_graph, case.int8_graph),
        activations=_compare_layers(case, some, report),
        guesses=_guess(case, report),
        labels=fault,
        other_input=wanted,
    )


def _float_faults(case: _Case, exact: Scores) -> tuple[LabelFault | None, OtherInput | None]:
    """What is wrong with the float file already; nothing can be told of a network that nobody trained."""
    if case.subject.manifest.weights["source"] == RANDOM:
        return None, None
    pictures = case.pictures
    tried = np.random.default_rng(SEED).permutation(len(pictures.test))[:OTHER_INPUTS]
    predict = load_tflite(case.paths[0], builtin_only=False)
    fault = find_label_fault(exact, pictures.classes, pictures.data.labels, case.subject.labels)
    wanted = find_other_input(predict, pictures.test[tried], pictures.classes[tried], case.preprocessing)
    # Of two explanations of the same wrong answers, the one that would mend more of them.
    if fault is None or wanted is None or fault.mended_top1 is None:
        return fault, wanted
    return (fault, None) if fault.mended_top1 >= wanted.top1 else (None, wanted)


def _compare_layers(case: _Case, pixels: Pixels, report: Report) -> tuple[ActivationReading, ...]:
    """All tensors of both files."""
    graphs = case.float_graph, case.int8_graph
    run_float, run_int8 = (open_probe(p.read_bytes(), g, p.name) for p, g in zip(case.paths, graphs, strict=True))

    def given(picture: Pixels, info: TensorInfo) -> NDArray[Any]:
        return to_input(picture[None], info, case.preprocessing)

    infos = case.subject.float_file.input, case.subject.int8_file.input
    inputs = [(given(one, infos[0]), given(one, infos[1])) for one in pixels]
    return compare_activations(*graphs, run_float, run_int8, inputs, report)


def _guess(case: _Case, report: Report) -> tuple[RangeGuess, ...]:
    """What explains the stored ranges."""
    wide = PRECISIONS["tflite", case.subject.int8_file.precision].activation_dtype == "int16"
    return guess_pictures(
        case.paths[0].read_bytes(),
        estimated(case.float_graph, case.int8_graph),
        case.pictures.representative,
        case.preprocessing,
        # 16-bit activations cut nothing off, whatever the levers.
        NAIVE if wide else began_with(calibration_settings(case.subject.manifest)),
        report,
    )
