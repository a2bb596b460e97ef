"""`export_model`: weights, pictures, float conversion, quantization, verification, and the files published as one."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from export.artifact import (
    LABELS_FILE,
    MANIFEST_FILE,
    Manifest,
    Verification,
    artifact_path,
    load_manifest,
    save_manifest,
)
from export.calibrate import METHOD
from export.describe import (
    describe_artifact,
    describe_model,
    describe_preprocessing,
    describe_weights,
    format_labels,
    tool_versions,
)
from export.precision import PRECISIONS, Limits, Precision
from export.stages import Prepared, check_stage, convert_stage, onnx_stage, prepare_stage, tflite_stage, verify_stage
from export.work import WorkFiles
from models.checkpoint import TrainedModel, run_folder
from models.errors import DataError, ToolchainError
from models.files import output_errors, replace_file, work_folder, write_file
from models.spec import ModelSpec
from models.weights import RANDOM, obtain_weights
from models.worker import Report, Task, run_in_worker, run_in_workers


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to make of what."""

    spec: ModelSpec
    dataset: str
    weights: str
    """`auto`, `random` or the path of a checkpoint."""
    precisions: tuple[Precision, ...]
    calibration_images: int
    seed: int
    output: str
    """`probabilities` or `logits`."""
    build_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What came out."""

    folder: Path
    manifest: Manifest
    """Of everything in the folder, earlier files from the same weights and settings included."""
    passed: bool
    """Whether everything asked for this time was made and proven."""


def export_model(request: ExportRequest, report: Report) -> Exported:
    """Makes, verifies and publishes everything asked for.

    Files of an earlier export from the same weights and settings stay beside the new ones, others are stale and go.
    Until everything is verified, nothing in the folder changes.

    Raises:
        ToolchainError: of the kinds listed in `models.errors`.
    """
    weights = obtain_weights(
        request.spec,
        request.dataset,
        request.weights,
        seed=request.seed,
        build_dir=request.build_dir,
        report=report,
        before_making=partial(run_in_worker, check_stage, request.dataset, request.calibration_images, request.seed),
    )
    folder = run_folder(request.build_dir, request.spec.name, weights.source)
    with work_folder(folder) as private, output_errors(folder):
        work = WorkFiles(private)
        prepared = run_in_worker(
            prepare_stage, request.dataset, request.spec, request.calibration_images, request.seed, work, report=report
        )
        _check_data(weights, prepared)
        spec = replace(request.spec, num_classes=len(prepared.labels))
        failures = _make_files(request, spec, weights, work, report)
        made = tuple(p for p in request.precisions if f"{p.format} {p.name}" not in failures)
        verdicts = _verify_files(made, spec, weights, work, report)
        artifacts = tuple(describe_artifact(spec, p, v, work) for p, v in zip(made, verdicts, strict=True))
        labels = format_labels(prepared.labels)
        manifest = Manifest(
            model=describe_model(spec, request.output),
            weights=describe_weights(weights, prepared, work),
            preprocessing=describe_preprocessing(spec),
            labels={"file": LABELS_FILE, "count": len(prepared.labels), "sha256": hashlib.sha256(labels).hexdigest()},
            calibration={
                "images": request.calibration_images,
                "seed": request.seed,
                "split": "train",
                "sha256": prepared.calibration_sha256,
                "method": METHOD,
            },
            tools=tool_versions(),
            artifacts=artifacts,
            failures=failures,
        )
        published = _publish(folder, manifest, made, labels, work)
    return Exported(folder=folder, manifest=published, passed=manifest.passed)


def _check_data(weights: TrainedModel, prepared: Prepared) -> None:
    """Refuses weights trained on another edition of the data, whose split may have trained on today's test pictures."""
    trained_on = weights.record.get("dataset", {}).get("sha256")
    if trained_on and trained_on != prepared.dataset_sha256:
        raise DataError(
            f"{weights.path} was trained on another edition of the data set (sha256 {trained_on[:12]}…, now "
            f"{prepared.dataset_sha256[:12]}…); train again with `make train MODEL={weights.model}`"
        )


def _make_files(
    request: ExportRequest, spec: ModelSpec, weights: TrainedModel, work: WorkFiles, report: Report
) -> dict[str, str]:
    """Runs the converters; returns the precisions that failed, with the reason."""
    by_format = {
        name: tuple(p for p in request.precisions if p.format == name)
        for name in dict.fromkeys(p.format for p in request.precisions)
    }
    run_in_worker(convert_stage, spec, weights.path, request.output, "onnx" in by_format, work, report=report)
    stages = {"tflite": tflite_stage, "onnx": onnx_stage}
    tasks = [Task(stages[name], (spec, precisions, work)) for name, precisions in by_format.items()]
    failures: dict[str, str] = {}
    for outcome in run_in_workers(tasks, at_once=2, report=report):
        if isinstance(outcome, ToolchainError):
            raise outcome
        failures |= outcome
    return failures


def _limits(precision: Precision, weights: TrainedModel) -> Limits:
    if weights.source != RANDOM:
        return precision.limits
    limits = precision.limits
    # No training has separated the classes, so any rounding decides between them, and roundings add up.
    return replace(
        limits,
        min_top1_agreement=None,
        max_top1_drop=None,
        max_builtin_error=None if limits.max_builtin_error is None else 3 * limits.max_builtin_error,
        reason=f"Random weights have no accuracy to lose; kernels may differ three times as much. {limits.reason}",
    )


def _verify_files(
    made: tuple[Precision, ...], spec: ModelSpec, weights: TrainedModel, work: WorkFiles, report: Report
) -> list[Verification | ToolchainError]:
    """One process per file, so that a runtime that crashes condemns that file only."""
    tasks = [Task(verify_stage, (p, _limits(p, weights), spec.preprocessing, work)) for p in made]
    return run_in_workers(tasks, at_once=max(1, min(os.cpu_count() or 1, 4)), report=report)


def _publish(folder: Path, manifest: Manifest, made: tuple[Precision, ...], labels: bytes, work: WorkFiles) -> Manifest:
    """Moves the made files to their final names and writes the manifest that lists all that now stands there."""
    name = manifest.model["name"]
    before = load_manifest(folder)
    kept = before.of_same_origin(manifest) if before else ()
    with output_errors(folder):
        # From here to the end there is no manifest, so that none can lie, wherever this is interrupted.
        (folder / MANIFEST_FILE).unlink(missing_ok=True)
        for precision in PRECISIONS.values():
            final = artifact_path(folder, name, precision)
            if precision in made:
                replace_file(work.made(precision), final)
            elif final.name not in {artifact.file for artifact in kept}:
                final.unlink(missing_ok=True)
    write_file(folder / LABELS_FILE, labels)
    complete = manifest.with_artifacts(kept)
    save_manifest(folder, complete)
    return complete
