"""The proven export that a bundle is made of: the one that is there, if it is what was asked for, else one made now."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

from export.artifact import Artifact, Check, Manifest, load_manifest
from export.metadata.labels import format_labels
from export.pipeline import export_model
from export.quantization.settings import DEFAULTS, LEARNED_RANGES
from export.request import ExportRequest, tell_removed
from export.stages import CALIBRATION_IMAGES
from models.checkpoint import TrainedModel, run_folder
from models.data import dataset_slug, find_dataset
from models.errors import UsageError, VerificationError
from models.given import own_weights
from models.weights import RANDOM, check_choice, obtain_weights
from models.worker import Progress, Report, run_in_worker

STAGE = "export"


def obtain_export(request: ExportRequest, report: Report) -> tuple[Path, Manifest, TrainedModel]:
    """Folder and manifest of a proven export of everything asked for, and its weights.

    Raises:
        UsageError: random weights, which name no class right.
        VerificationError: a file is not what its name says.
        ToolchainError: whatever else an export raises.
    """
    if request.weights == RANDOM:
        raise UsageError(
            "--weights random names classes by chance, so there is nothing to ship; leave the option out to train, or "
            "name a checkpoint"
        )
    request = replace(request, dataset=check_choice(request.spec, request.dataset, request.weights))
    find_dataset(request.dataset).prepare(report)
    weights = _find_weights(request, report)
    folder = run_folder(request.build_dir, request.spec.name, weights.source)
    manifest = load_manifest(folder)
    if manifest is not None:
        # What is not said anew stays as it was said.
        author, license_name = manifest.model.get("author"), manifest.model.get("license")
        request = replace(request, author=request.author or author, license=request.license or license_name)
        if manifest.budget and request.quantization == DEFAULTS and weights.record.get("quantization") is None:
            # What is made anew keeps the budget that the folder was made within; its rungs are known.
            request = replace(request, max_drop=manifest.budget.get("max_drop"))
    if manifest is None or not _is_asked_for(manifest, request, weights):
        exported = export_model(request, report)
        tell_removed(exported, report)
        folder, manifest = exported.folder, exported.manifest
    else:
        report(Progress(stage=STAGE, done=1, total=1, detail=f"from {folder}"))
    for precision in request.precisions:
        name = f"{precision.format} {precision.name}"
        found = find_artifact(manifest, precision.name)
        if found is None or not found.passed:
            reason = manifest.failures.get(name) or _why(found)
            raise VerificationError(
                f"{name} of {manifest.model['name']} is not proven: {reason}; nothing was bundled; make diagnose finds "
                "out why, another PRECISION leaves it out"
            )
    return folder, manifest, weights


def _describe(check: Check) -> str:
    if check.detail or check.value is None or check.limit is None:
        return check.detail or check.name
    return f"{check.name} {check.value:.4g}, limit {check.limit:g}"


def _why(artifact: Artifact | None) -> str:
    """What its verification found wrong."""
    if artifact is None or artifact.verification is None:
        return (artifact and artifact.failure) or "it is not there"
    return ", ".join(_describe(check) for check in artifact.verification.checks if not check.passed)


def find_artifact(manifest: Manifest, precision: str) -> Artifact | None:
    """The TFLite file of a precision; None if there is none."""
    return next((a for a in manifest.artifacts if (a.format, a.precision) == ("tflite", precision)), None)


def _find_weights(request: ExportRequest, report: Report) -> TrainedModel:
    if request.spec.own:
        return own_weights(request.spec.own)
    check = partial(_check, request)
    return obtain_weights(
        request.spec, request.dataset, request.weights, seed=request.seed, build_dir=request.build_dir, report=report,
        before_making=check,
    )  # fmt: skip


def _check(request: ExportRequest) -> None:
    # Before a training of minutes: whether the pictures will do for the calibration.
    from export.stages import check_stage

    run_in_worker(check_stage, request.dataset, request.calibration_images, request.seed)


def _is_asked_for(manifest: Manifest, request: ExportRequest, weights: TrainedModel) -> bool:
    """Whether an export now would make the same files: same weights, settings and programs."""
    # Here, because it imports onnx.
    from export.describe import tool_versions

    model, labels = manifest.model, request.labels
    wanted = {
        "tools": tool_versions(),
        "weights": (weights.source, weights.sha256),
        "dataset": dataset_slug(request.dataset),
        "output": request.output,
        "origin": (request.author, request.license),
        # Of a set of fewer it is not known whether it was all there was, so it is made again.
        "calibration": (request.calibration_images or CALIBRATION_IMAGES, request.seed, request.quantization.to_json()),
        "labels": hashlib.sha256(format_labels(labels)).hexdigest() if labels else manifest.labels["sha256"],
    }
    levers = {name: manifest.calibration.get(name) for name in request.quantization.to_json()}
    if (manifest.budget or levers.get("ranges") == LEARNED_RANGES) and request.quantization == DEFAULTS:
        # Nobody asked for levers, and those that a budget of accuracy led to, or the weights came with, are there.
        levers = request.quantization.to_json()
    there = {
        "tools": dict(manifest.tools),
        "weights": (manifest.weights["source"], manifest.weights["sha256"]),
        "dataset": manifest.weights["dataset"],
        "output": model["output"],
        "origin": (model.get("author"), model.get("license")),
        "calibration": (manifest.calibration["images"], manifest.calibration["seed"], levers),
        "labels": manifest.labels["sha256"],
    }
    proven = [find_artifact(manifest, precision.name) for precision in request.precisions]
    return there == wanted and all(artifact is not None and artifact.passed for artifact in proven)
