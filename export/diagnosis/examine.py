"""`diagnose`: both files on the same pictures, readings of every layer, and the causes that fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact import Artifact
from export.calibrate import sample_digest
from export.contents import TensorInfo
from export.diagnosis.activations import compare_activations, matched, open_probe
from export.diagnosis.answers import compare_accuracy, compare_classes, compare_confidence, show_flips
from export.diagnosis.causes import find_causes
from export.diagnosis.evidence import Evidence, LabelFault, OtherInput
from export.diagnosis.graph import Graph, read_graph
from export.diagnosis.guesses import guess_pictures
from export.diagnosis.inputs import find_other_input
from export.diagnosis.labels import find_label_fault
from export.diagnosis.subject import Subject
from export.diagnosis.values import ActivationReading, Calibration, Diagnosis, RangeGuess
from export.diagnosis.weights import read_weights
from export.parity import manifest_preprocessing
from export.verify import load_tflite, to_input, to_probabilities
from models.data import Dataset, Pixels, lazy_pixels, load_dataset, stratified_sample
from models.errors import BrokenFileError, DataError
from models.spec import Preprocessing
from models.weights import RANDOM
from models.worker import Progress, Report

STAGE = "classify"
SEED = 0
MIN_MAX = "min-max"
OTHER_INPUTS = 128
"""Test pictures on which other normalisations are tried."""
CALIBRATION_IMAGES = 256
"""Of those on record, at most, whose ranges are compared with the stored ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many pictures."""

    test: int
    """At most, for accuracy, classes and flips."""
    layers: int
    """For comparing all tensors, which takes ten times as long."""


def diagnose(report: Report, subject: Subject, sizes: Sizes) -> Diagnosis:
    """Everything that can be found out about an int8 file beside its float file.

    Raises:
        DataError: the data set is not the one that the files were verified with.
        BrokenFileError: a file cannot be read.
        VerificationError: the runtime refuses a file.
    """
    manifest, preprocessing = subject.manifest, manifest_preprocessing(subject.manifest)
    data = load_dataset(subject.dataset, report)
    if data.digest != manifest.weights["dataset_sha256"]:
        raise DataError(
            f"data set {subject.dataset} is not the one that {subject.folder} was verified with; give that with "
            "--dataset"
        )
    side_px = subject.float_file.input.shape[1]
    numbers = np.sort(np.random.default_rng(SEED).permutation(data.splits["test"])[: sizes.test])
    pixels, classes = lazy_pixels(data, numbers, preprocessing, side_px)[:], data.classes[numbers]
    paths = [subject.folder / artifact.file for artifact in (subject.float_file, subject.int8_file)]
    graphs = (read_graph(paths[0].read_bytes(), paths[0].name), read_graph(paths[1].read_bytes(), paths[1].name))
    if not matched(*graphs):
        raise BrokenFileError(f"{paths[1].name} computes no tensor that {paths[0].name} has by name; export again")
    exact, other = (
        _classify(path, artifact, pixels, preprocessing, report)
        for path, artifact in zip(paths, (subject.float_file, subject.int8_file), strict=True)
    )
    if not (np.isfinite(exact).all() and np.isfinite(other).all()):
        raise DataError(f"{subject.float_file.file} gives numbers that are not finite; check the checkpoint")
    # Spread over the classes and over the split.
    some = np.unique(np.linspace(0, len(pixels) - 1, min(sizes.layers, len(pixels))).astype(int))
    calibration, pictures = _calibration(data, subject, preprocessing, side_px)
    activations, guesses = _layers(subject, paths, graphs, pixels[some], pictures, preprocessing, report)
    trained = manifest.weights["source"] != RANDOM
    predict = load_tflite(paths[0], builtin_only=False)
    tried = np.random.default_rng(SEED).permutation(len(pixels))[:OTHER_INPUTS]
    fault = find_label_fault(exact, classes, data.labels, subject.labels) if trained else None
    wanted = find_other_input(predict, pixels[tried], classes[tried], preprocessing) if trained else None
    fault, wanted = _likelier(fault, wanted)
    evidence = Evidence(
        subject=subject,
        preprocessing=preprocessing,
        accuracy=compare_accuracy(exact, other, classes),
        confidence=compare_confidence(exact, other, classes),
        calibration=calibration,
        layer_images=len(some),
        weights=read_weights(*graphs),
        activations=activations,
        guesses=guesses,
        labels=fault,
        other_input=wanted,
    )
    known = set(graphs[0].tensors)
    return Diagnosis(
        model=str(manifest.model["name"]),
        weights=str(manifest.weights["source"]),
        dataset=data.name,
        precision=subject.int8_file.precision,
        float_sha256=subject.float_file.sha256,
        int8_sha256=subject.int8_file.sha256,
        layer_images=len(some),
        accuracy=evidence.accuracy,
        confidence=evidence.confidence,
        calibration=calibration,
        findings=find_causes(evidence),
        weights_read=evidence.weights,
        activations=tuple(sorted(activations, key=lambda r: -np.inf if r.loss_db is None else r.loss_db, reverse=True)),
        guesses=guesses,
        classes=compare_classes(exact, other, classes, data.labels),
        flips=show_flips(exact, other, classes, data.labels, pixels, numbers),
        unmatched=tuple(step.output for step in graphs[1].steps if step.output not in known),
    )


def _likelier(fault: LabelFault | None, other: OtherInput | None) -> tuple[LabelFault | None, OtherInput | None]:
    """Of two explanations of the same wrong answers, the one that would mend more of them."""
    if fault is None or other is None or fault.mended_top1 is None:
        return fault, other
    return (fault, None) if fault.mended_top1 >= other.top1 else (None, other)


def _classify(
    path: Path, artifact: Artifact, pixels: Pixels, preprocessing: Preprocessing, report: Report
) -> NDArray[np.float64]:
    """Probabilities for every picture, by the runtime that apps have."""
    predict, rows = load_tflite(path, builtin_only=False), []
    for done in range(len(pixels)):
        rows.append(predict(to_input(pixels[done : done + 1], artifact.input, preprocessing)))
        report(Progress(stage=f"{STAGE} {artifact.precision}", done=done + 1, total=len(pixels)))
    return to_probabilities(np.concatenate(rows), artifact.output)


def _calibration(
    data: Dataset, subject: Subject, preprocessing: Preprocessing, side_px: int
) -> tuple[Calibration, Pixels]:
    """What is on record of the representative data set, and the pictures that the data set gives for it."""
    record = subject.manifest.calibration
    train = data.splits["train"]
    count = min(int(record["images"]), len(train))
    chosen = stratified_sample(data.classes, train, count, int(record["seed"]))
    pictures = lazy_pixels(data, chosen, preprocessing, side_px)[:]
    known = sample_digest(pictures) == record["sha256"]
    reason = "" if known else "the data set gives other pictures for that number and seed than those on record"
    # Before there were other methods, none was recorded.
    exact = known and len(pictures) <= CALIBRATION_IMAGES and record.get("ranges", MIN_MAX) == MIN_MAX
    calibration = Calibration(images=int(record["images"]), known=known, reason=reason, exact=exact)
    return calibration, pictures[:CALIBRATION_IMAGES]


def _layers(
    subject: Subject,
    paths: list[Path],
    graphs: tuple[Graph, Graph],
    pixels: Pixels,
    pictures: Pixels,
    preprocessing: Preprocessing,
    report: Report,
) -> tuple[tuple[ActivationReading, ...], tuple[RangeGuess, ...]]:
    """All tensors of both files, and what explains the stored ranges."""
    run_float, run_int8 = (open_probe(p.read_bytes(), g, p.name) for p, g in zip(paths, graphs, strict=True))

    def given(picture: Pixels, info: TensorInfo) -> NDArray[Any]:
        return to_input(picture[None], info, preprocessing)

    inputs = [(given(one, subject.float_file.input), given(one, subject.int8_file.input)) for one in pixels]
    readings = compare_activations(*graphs, run_float, run_int8, inputs, report)
    return readings, guess_pictures(*graphs, run_float, pictures, preprocessing, report)
