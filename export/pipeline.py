"""`export_model`: weights, pictures, float conversion, quantization, verification, and the files published as one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from export.artifact import LABELS_FILE, Manifest, Verification, save_manifest
from export.budget.ladder import Ladder
from export.budget.rungs import Climbed
from export.budget.training import folder_for_int8, train_for_int8, trained_for_int8
from export.budget.wanted import may_mix, with_islands
from export.checks import check_data, check_labels, check_reference, check_unchanged, class_names
from export.deployed import deployed
from export.float_settings import float_settings
from export.metadata.info import compose_info
from export.metadata.labels import format_labels, parse_labels
from export.precision import Limits, Precision, for_budget, for_random_weights
from export.publish import publish
from export.quantization.decision import RECORD, Decision
from export.quantization.learned import answer_as_twin, learned_settings, ranges_on_record
from export.quantization.settings import DEFAULTS, METHODS, QuantizationSettings
from export.stages import (
    Notes,
    Prepared,
    calibrate_stage,
    check_stage,
    convert_stage,
    onnx_stage,
    prepare_stage,
    tflite_stage,
    verify_stage,
)
from export.work import WorkFiles
from models.checkpoint import TrainedModel, run_folder
from models.data import find_dataset
from models.errors import ToolchainError
from models.files import output_errors, work_folder
from models.given import own_weights
from models.imagenet.released import CLASS_COUNT, IMAGENET
from models.spec import ModelSpec, Preprocessing
from models.training.recipes import QAT
from models.weights import RANDOM, check_choice, obtain_weights
from models.worker import Report, Task, run_in_worker, run_in_workers


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to make of what."""

    spec: ModelSpec
    dataset: str
    weights: str
    """`auto`, `random`, `imagenet` or the path of a checkpoint."""
    precisions: tuple[Precision, ...]
    calibration_images: int | None
    """None: the usual number, or all training pictures where there are fewer."""
    seed: int
    output: str
    """`probabilities` or `logits`."""
    build_dir: Path
    labels: tuple[str, ...] | None = None
    """Names of the classes instead of the data set's."""
    author: str | None = None
    """Whoever answers for the files; it is written into them, as the licence is."""
    license: str | None = None
    quantization: QuantizationSettings = DEFAULTS
    """The levers that 8-bit files are made with."""
    max_drop: float | None = None
    """What 8-bit files may lose of the top-1 accuracy, 0..1, proven; the levers are then found, not given."""
    allow_qat: bool = False
    """Whether the network may be trained for int8 where nothing else keeps that budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What came out."""

    folder: Path
    manifest: Manifest
    """Of everything in the folder, earlier files from the same weights and settings included."""
    passed: bool
    """Whether everything asked for this time was made and proven."""
    removed: tuple[str, ...]
    """Names of earlier files that are gone, because other weights, settings or programs made them."""
    climbed: Climbed | None = None
    """How the budget was met, or why not, where one was given."""


def export_model(request: ExportRequest, report: Report) -> Exported:
    """Makes, verifies and publishes everything asked for.

    Files of an earlier export from the same weights and settings stay beside the new ones, others are stale and go.
    Until everything is verified, nothing in the folder changes.

    Raises:
        ToolchainError: of the kinds listed in `models.errors`.
    """
    request = replace(request, dataset=check_choice(request.spec, request.dataset, request.weights))
    if request.weights == IMAGENET:
        check_labels(request, CLASS_COUNT)
    # Here, where it may use all cores and show its progress.
    find_dataset(request.dataset).prepare(report)
    weights = _find_weights(request, report)
    if request.allow_qat:
        # Before hours of climbing.
        trained_for_int8(folder_for_int8(request), weights)
    learned = ranges_on_record(weights)
    if learned:
        request = replace(request, quantization=learned_settings(request.quantization, request.max_drop))
    request = replace(request, spec=_as_trained(request.spec, weights))
    folder = run_folder(request.build_dir, request.spec.name, weights.source)
    with work_folder(folder) as private, output_errors(folder):
        work = WorkFiles(private)
        # What the files take; what else the network was trained with, their graph does.
        taking = replace(request.spec, preprocessing=deployed(request.spec.preprocessing))
        prepared = run_in_worker(
            prepare_stage, request.dataset, taking, request.calibration_images, request.seed, work, report=report
        )
        check_data(weights, prepared)
        prepared = replace(prepared, labels=class_names(request, prepared.labels))
        spec = replace(request.spec, num_classes=len(prepared.labels))
        files = replace(taking, num_classes=len(prepared.labels))
        notes = _notes(request, files, weights, prepared.labels)
        settings, known = float_settings(request, folder, weights, prepared)
        decision = _convert(request, spec, weights, work, report, settings) or known
        climbed = None
        if request.max_drop is not None:
            origin = _describe(request, spec, notes, weights, prepared, {}, {}, work, None)
            ladder = Ladder(
                spec=spec, files=files, checkpoint=weights.path, output=request.output, notes=notes, folder=folder,
                work=work, may_mix=may_mix(request.precisions),
                train_qat=partial(train_for_int8, request, weights, report) if request.allow_qat else None,
            )  # fmt: skip
            climbed = ladder.find(request.max_drop, origin, report)
            if climbed.taken.checkpoint == QAT:
                return _of_qat(request, climbed, report)
            request = _taking(request, climbed)
            if request.quantization.equalize:
                _convert(request, spec, weights, work, report, request.quantization)
        if learned:
            run_in_worker(answer_as_twin, spec, weights.path, learned, work, report=report)
        failures = _make_files(request, files, notes, work, report, learned)
        check_unchanged(weights)
        check_reference(weights, work)
        made = tuple(p for p in request.precisions if f"{p.format} {p.name}" not in failures)
        verdicts = _verify_files(request, made, files, weights, work, report)
        judged = dict(zip(made, verdicts, strict=True))
        manifest = _describe(request, spec, notes, weights, prepared, judged, failures, work, decision)
        manifest = replace(manifest, budget=climbed.to_json() if climbed else None)
        published, removed = publish(folder, manifest, made, notes.labels, work)
    return Exported(folder=folder, manifest=published, passed=manifest.passed, removed=removed, climbed=climbed)


def _taking(request: ExportRequest, climbed: Climbed) -> ExportRequest:
    """What to make by what the ladder found."""
    return replace(
        request,
        quantization=climbed.taken.settings,
        precisions=with_islands(request.precisions, climbed.taken),
    )


def _of_qat(request: ExportRequest, climbed: Climbed, report: Report) -> Exported:
    """The files of the weights that learned as int8 computes, in the folder that is theirs."""
    made = export_model(replace(request, weights=QAT, max_drop=None, allow_qat=False), report)
    manifest = replace(made.manifest, budget=climbed.to_json())
    save_manifest(made.folder, manifest)
    return replace(made, manifest=manifest, passed=made.passed and climbed.met, climbed=climbed)


def _find_weights(request: ExportRequest, report: Report) -> TrainedModel:
    if request.spec.own:
        return own_weights(request.spec.own)
    return obtain_weights(
        request.spec,
        request.dataset,
        request.weights,
        seed=request.seed,
        build_dir=request.build_dir,
        report=report,
        before_making=partial(
            run_in_worker, check_stage, request.dataset, request.calibration_images, request.seed, request.max_drop
        ),
    )


def _notes(request: ExportRequest, files: ModelSpec, weights: TrainedModel, names: tuple[str, ...]) -> Notes:
    """What is written into the TFLite files; refuses class names that a reader would take apart otherwise."""
    labels = format_labels(names)
    parse_labels(labels, len(names))
    info = compose_info(
        files,
        source=weights.source,
        weights_sha256=weights.sha256,
        author=request.author,
        license_name=request.license,
    )
    return Notes(info=info, labels=labels)


def _describe(
    request: ExportRequest,
    spec: ModelSpec,
    notes: Notes,
    weights: TrainedModel,
    prepared: Prepared,
    verdicts: Mapping[Precision, Verification | ToolchainError],
    failures: Mapping[str, str],
    work: WorkFiles,
    decision: Decision | None,
) -> Manifest:
    # Here, because it imports onnx and LiteRT: 50 MB that need not lie beside TensorFlow.
    from export import describe

    return Manifest(
        model=describe.describe_model(spec, request.output) | describe.describe_origin(notes.info),
        weights=describe.describe_weights(weights, prepared, work),
        preprocessing=describe.describe_preprocessing(spec),
        labels={
            "file": LABELS_FILE,
            "count": len(prepared.labels),
            "sha256": hashlib.sha256(notes.labels).hexdigest(),
        },
        calibration={
            "images": prepared.calibration_images,
            "seed": request.seed,
            "split": "train",
            "sha256": prepared.calibration_sha256,
            "method": METHODS[request.quantization.ranges],
            **request.quantization.to_json(),
            **({RECORD: decision.to_json()} if decision else {}),
        },
        tools=describe.tool_versions(),
        artifacts=tuple(describe.describe_artifact(spec, p, verdict, work) for p, verdict in verdicts.items()),
        failures=failures,
    )


def _as_trained(spec: ModelSpec, weights: TrainedModel) -> ModelSpec:
    """The network with the preprocessing that its weights were trained with."""
    trained_with = weights.record.get("preprocessing")
    return replace(spec, preprocessing=Preprocessing.from_json(trained_with)) if trained_with else spec


def _convert(
    request: ExportRequest,
    spec: ModelSpec,
    weights: TrainedModel,
    work: WorkFiles,
    report: Report,
    settings: QuantizationSettings,
) -> Decision | None:
    """Makes the float files that all precisions come from; returns what was decided of equalization."""
    onnx = any(precision.format == "onnx" for precision in request.precisions)
    found: Decision | None = run_in_worker(
        convert_stage, spec, weights.path, request.output, onnx, work, settings, report=report
    )
    return found


def _make_files(
    request: ExportRequest,
    files: ModelSpec,
    notes: Notes,
    work: WorkFiles,
    report: Report,
    learned: Mapping[str, tuple[float, float]] | None,
) -> dict[str, str]:
    """Makes every precision of the float files; returns those that failed, with the reason."""
    failures = _calibrate(request, files, work, report, learned)
    possible = [p for p in request.precisions if f"{p.format} {p.name}" not in failures]
    tflite, onnx = (tuple(p for p in possible if p.format == name) for name in ("tflite", "onnx"))
    tasks = [Task(tflite_stage, (tflite, notes, work))] if tflite else []
    tasks += [Task(onnx_stage, (files, onnx, work))] if onnx else []
    for outcome in run_in_workers(tasks, at_once=2, report=report):
        if isinstance(outcome, ToolchainError):
            raise outcome
        failures |= outcome
    return failures


def _calibrate(
    request: ExportRequest,
    files: ModelSpec,
    work: WorkFiles,
    report: Report,
    learned: Mapping[str, tuple[float, float]] | None,
) -> dict[str, str]:
    """Calibrates for every precision that needs it, once; returns those that cannot be, with the reason."""
    calibrated = [f"{p.format} {p.name}" for p in request.precisions if p.calibrated]
    islands = any(precision.islands for precision in request.precisions)
    refusal = calibrated and run_in_worker(
        calibrate_stage, files, request.quantization, work, islands, learned, report=report
    )
    return dict.fromkeys(calibrated, refusal) if refusal else {}


def _verify_files(
    request: ExportRequest,
    made: tuple[Precision, ...],
    files: ModelSpec,
    weights: TrainedModel,
    work: WorkFiles,
    report: Report,
) -> list[Verification | ToolchainError]:
    """One process per file, so that a runtime that crashes condemns that file only."""

    def limits(precision: Precision) -> Limits:
        if request.max_drop is not None and precision.calibrated:
            return for_budget(precision.limits, request.max_drop)
        return for_random_weights(precision.limits) if weights.source == RANDOM else precision.limits

    tasks = [Task(verify_stage, (precision, limits(precision), files.preprocessing, work)) for precision in made]
    return run_in_workers(tasks, at_once=max(1, min(os.cpu_count() or 1, 4)), report=report)
