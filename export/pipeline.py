"""`export_model`: weights, pictures, float conversion, quantization, verification, and the files published as one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from export.artifact import save_manifest
from export.budget.ladder import Ladder
from export.budget.rungs import Climbed
from export.budget.training import folder_for_int8, train_for_int8, trained_for_int8
from export.budget.wanted import may_mix, with_islands
from export.checks import check_data, check_labels, check_reference, check_unchanged, class_names
from export.deployed import deployed
from export.float_settings import float_settings
from export.job import Job, compose_notes
from export.publish import publish
from export.quantization.learned import answer_as_twin, learned_settings, ranges_on_record
from export.request import Exported, ExportRequest
from export.stages import check_stage, prepare_stage
from export.work import WorkFiles
from models.checkpoint import TrainedModel, run_folder
from models.data import find_dataset
from models.files import output_errors, work_folder
from models.given import own_weights
from models.imagenet.released import CLASS_COUNT, IMAGENET
from models.spec import ModelSpec, Preprocessing
from models.training.recipes import QAT
from models.weights import check_choice, obtain_weights
from models.worker import Report, run_in_worker


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
        job = _prepare(request, weights, WorkFiles(private), report)
        settings, known = float_settings(request, folder, weights, job.prepared)
        decision = job.convert(settings, report) or known
        climbed = None
        if request.max_drop is not None:
            climbed = _climb(job, request.max_drop, report)
            if climbed.taken.checkpoint == QAT:
                return _of_qat(request, climbed, report)
            job = replace(job, request=_taking(request, climbed))
            if job.request.quantization.equalize:
                job.convert(job.request.quantization, report)
        if learned:
            run_in_worker(answer_as_twin, job.spec, weights.path, learned, job.work, report=report)
        failures = job.make_files(learned, report)
        check_unchanged(weights)
        check_reference(weights, job.work)
        made = tuple(p for p in job.request.precisions if f"{p.format} {p.name}" not in failures)
        manifest = job.describe(job.verify_files(made, report), failures, decision)
        manifest = replace(manifest, budget=climbed.to_json() if climbed else None)
        published, removed = publish(folder, manifest, made, job.notes.labels, job.work)
    return Exported(folder=folder, manifest=published, passed=manifest.passed, removed=removed, climbed=climbed)


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


def _as_trained(spec: ModelSpec, weights: TrainedModel) -> ModelSpec:
    """The network with the preprocessing that its weights were trained with."""
    trained_with = weights.record.get("preprocessing")
    return replace(spec, preprocessing=Preprocessing.from_json(trained_with)) if trained_with else spec


def _prepare(request: ExportRequest, weights: TrainedModel, work: WorkFiles, report: Report) -> Job:
    """Pictures and class names, checked against the weights."""
    taking = replace(request.spec, preprocessing=deployed(request.spec.preprocessing))
    prepared = run_in_worker(
        prepare_stage, request.dataset, taking, request.calibration_images, request.seed, work, report=report
    )
    check_data(weights, prepared)
    prepared = replace(prepared, labels=class_names(request, prepared.labels))
    spec, files = (replace(one, num_classes=len(prepared.labels)) for one in (request.spec, taking))
    notes = compose_notes(request, files, weights, prepared.labels)
    return Job(request=request, spec=spec, files=files, weights=weights, prepared=prepared, notes=notes, work=work)


def _climb(job: Job, max_drop: float, report: Report) -> Climbed:
    """The cheapest rung of the ladder that keeps the budget, or the best."""
    request = job.request
    ladder = Ladder(
        spec=job.spec, files=job.files, checkpoint=job.weights.path, output=request.output, notes=job.notes,
        folder=run_folder(request.build_dir, request.spec.name, job.weights.source), work=job.work,
        may_mix=may_mix(request.precisions),
        train_qat=partial(train_for_int8, request, job.weights, report) if request.allow_qat else None,
    )  # fmt: skip
    return ladder.find(max_drop, job.describe({}, {}, None), report)


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
