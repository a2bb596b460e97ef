"""`baseline`: from what a person asked for to a record of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from device_bench.baseline.case import FailureKind
from device_bench.baseline.check import Checker
from device_bench.baseline.gpu import ChosenGpu, choose_gpu
from device_bench.baseline.measure import Baseline
from device_bench.baseline.plan import BaselineRequest, Sources
from device_bench.baseline.record import BASELINE_FOLDER, BaselineRecord
from device_bench.measuring.bench import Prepared, prepare
from device_bench.measuring.correctness import CHECK_IMAGES
from device_bench.record_file import describe_tool, now_utc, record_stem, save_record
from device_bench.state.cpus import read_cpus
from device_bench.state.facts import read_facts
from device_bench.target import DeviceUnderTest
from export.precision import PRECISIONS, Precision
from models.checkpoint import KERAS_FILE
from models.errors import EngineError, NotInstalledError, PlacementError, ToolchainError, UsageError, VerificationError
from models.files import output_errors, sha256_file
from models.spec import ModelSpec
from models.weights import CHOICES
from models.worker import Report


def files_needed(request: BaselineRequest) -> tuple[Precision, ...]:
    """The exported files: float32 of both formats, by which all is checked, and float16 where it is asked for."""
    names = ["float32"] + (["float16"] if "float16" in request.precisions else [])
    formats = {engine.format for engine in request.engines} or {"onnx"}
    return tuple(
        row for (kind, name), row in PRECISIONS.items() if name in names and (name == "float32" or kind in formats)
    )


def measure_baseline(
    target: DeviceUnderTest,
    request: BaselineRequest,
    spec: ModelSpec,
    weights: str,
    dataset: str,
    build_dir: Path,
    report: Report,
) -> tuple[BaselineRecord, Path]:
    """The record of a whole baseline, and where it lies. What is not exported yet is exported first.

    Raises:
        ToolchainError: the export failed; the machine cannot be measured. What was found out until then is on disk.
        UsageError: there is no such GPU.
    """
    gpu = choose_gpu(request.gpu_index)
    prepared = prepare(spec, weights, dataset, files_needed(request), build_dir, CHECK_IMAGES, report)
    checker = Checker(prepared=prepared, images=CHECK_IMAGES)
    with target.session() as folder:
        record, path = _open_record(target, folder, request, prepared, gpu)
        try:
            Baseline(
                target=target,
                folder=Path(folder),
                request=request,
                sources=_sources(prepared, spec, weights, checker),
                checker=checker,
                gpu=gpu,
                record=record,
                path=path,
                report=report,
            ).run()
        except (ToolchainError, KeyboardInterrupt) as error:
            record.failure = str(error) or "interrupted"
            save_record(path, record)
            raise
    return record, path


def _sources(prepared: Prepared, spec: ModelSpec, weights: str, checker: Checker) -> Sources:
    manifest, folder = prepared.exported.manifest, prepared.exported.folder
    path = folder / KERAS_FILE if weights in CHOICES else Path(weights)
    checkpoint: Path | str = path
    if not path.is_file():
        checkpoint = f"there is no checkpoint {path}; train it with `make train MODEL={spec.name}`"
    elif sha256_file(path) != manifest.weights["sha256"]:
        checkpoint = f"{path} is not the checkpoint that was exported; export it again"
    classes = checker.artifact("onnx", "float32").output.shape[-1]
    return Sources(folder=folder, checkpoint=checkpoint, zoo_name=spec.name, classes=int(classes))


def _open_record(
    target: DeviceUnderTest, folder: str, request: BaselineRequest, prepared: Prepared, gpu: ChosenGpu
) -> tuple[BaselineRecord, Path]:
    facts = read_facts(target, folder)
    state = gpu.state
    files = {f"{a.precision}.{a.format}": {"file": a.file, "sha256": a.sha256} for a in prepared.exported.artifacts}
    record = BaselineRecord(
        started=now_utc(),
        model={**prepared.exported.description(), "files": files},
        target={
            "kind": "local",
            "identity": target.identity,
            "facts": facts.to_json(),
            "cpus": read_cpus(target).to_json(),
            "gpu": None if state is None else state.to_json(),
            "gpu_missing": gpu.missing,
        },
        tool=describe_tool(),
        request=request.to_json(),
        repeats=request.repeats,
    )
    place = prepared.exported.folder / BASELINE_FOLDER
    name = (state.name if state else None) or facts.model or facts.cpu_name or target.name
    path = place / f"{record_stem(record.started, name, target.identity)}.json"
    with output_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    save_record(path, record)
    return record, path


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def verdict(record: BaselineRecord) -> ToolchainError | None:
    """What a finished baseline ends the program with; None if all that was asked for has valid numbers."""
    failed: list[tuple[str, str, FailureKind | None]]
    failed = [(row.engine, row.reason or "", row.failure_kind) for row in record.engines if not row.taken]
    failed += [(a.case, a.failure, a.failure_kind) for a in record.attempts if a.failure and a.kind == "latency"]
    auto = record.request["engines"] == ["auto"]

    def first(kinds: Sequence[FailureKind]) -> str | None:
        return next((f"{name}: {reason}" for name, reason, kind in failed if kind in kinds), None)

    if wrong := first(["wrong"]):
        return VerificationError(wrong)
    if not auto and (elsewhere := first(["elsewhere", "no_device"])):
        return PlacementError(elsewhere)
    if (not auto or not record.cases) and (broken := first(["failed", "crashed", "timeout", "memory"])):
        return EngineError(broken)
    if not auto and (absent := first(["not_installed"])):
        return NotInstalledError(absent)
    if not record.cases:
        reasons = "; ".join(f"{name}: {reason}" for name, reason, _ in failed)
        return UsageError(f"nothing that was asked for can be measured here: {reasons}")
    if not record.passed:
        reason = next((text for case in record.cases if (text := record.case_failure(case.name))), record.failure)
        return EngineError(f"a case gave no valid numbers: {reason}")
    return None
