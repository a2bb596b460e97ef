"""The files of one export: converted, calibrated, made, verified and described."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from export.artifact import LABELS_FILE, Manifest, Verification
from export.metadata.info import compose_info
from export.metadata.labels import format_labels, parse_labels
from export.precision import Limits, Precision, for_budget, for_random_weights
from export.quantization.decision import RECORD, Decision
from export.quantization.settings import METHODS, QuantizationSettings
from export.request import ExportRequest
from export.stages import Notes, Prepared, calibrate_stage, convert_stage, onnx_stage, tflite_stage, verify_stage
from export.work import WorkFiles
from models.checkpoint import TrainedModel
from models.errors import ToolchainError
from models.spec import ModelSpec
from models.weights import RANDOM
from models.worker import Report, Task, run_in_worker, run_in_workers

Learned = Mapping[str, tuple[float, float]]
"""Ranges of quantization-aware training, by the name of the tensor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that the files of one export are made of."""

    request: ExportRequest
    spec: ModelSpec
    """The network as it was trained, with the class count of the data set."""
    files: ModelSpec
    """The same with the preprocessing that the files take; what else it was trained with, their graph does."""
    weights: TrainedModel
    prepared: Prepared
    notes: Notes
    work: WorkFiles

    def convert(self, settings: QuantizationSettings, report: Report) -> Decision | None:
        """Makes the float files that all precisions come from; returns what was decided of equalization."""
        onnx = any(precision.format == "onnx" for precision in self.request.precisions)
        found: Decision | None = run_in_worker(
            convert_stage, self.spec, self.weights.path, self.request.output, onnx, self.work, settings, report=report
        )
        return found

    def make_files(self, learned: Learned | None, report: Report) -> dict[str, str]:
        """Makes every precision of the float files; returns those that failed, with the reason."""
        failures = self._calibrate(learned, report)
        possible = [p for p in self.request.precisions if f"{p.format} {p.name}" not in failures]
        tflite, onnx = (tuple(p for p in possible if p.format == name) for name in ("tflite", "onnx"))
        tasks = [Task(tflite_stage, (tflite, self.notes, self.work))] if tflite else []
        tasks += [Task(onnx_stage, (self.files, onnx, self.work))] if onnx else []
        for outcome in run_in_workers(tasks, at_once=2, report=report):
            if isinstance(outcome, ToolchainError):
                raise outcome
            failures |= outcome
        return failures

    def _calibrate(self, learned: Learned | None, report: Report) -> dict[str, str]:
        """Calibrates for every precision that needs it, once; returns those that cannot be, with the reason."""
        request = self.request
        calibrated = [f"{p.format} {p.name}" for p in request.precisions if p.calibrated]
        islands = any(precision.islands for precision in request.precisions)
        refusal = calibrated and run_in_worker(
            calibrate_stage, self.files, request.quantization, self.work, islands, learned, report=report
        )
        return dict.fromkeys(calibrated, refusal) if refusal else {}

    def verify_files(
        self, made: tuple[Precision, ...], report: Report
    ) -> dict[Precision, Verification | ToolchainError]:
        """One process per file, so that a runtime that crashes condemns that file only."""
        tasks = [Task(verify_stage, (p, self._limits(p), self.files.preprocessing, self.work)) for p in made]
        verdicts = run_in_workers(tasks, at_once=max(1, min(os.cpu_count() or 1, 4)), report=report)
        return dict(zip(made, verdicts, strict=True))

    def _limits(self, precision: Precision) -> Limits:
        if self.request.max_drop is not None and precision.calibrated:
            return for_budget(precision.limits, self.request.max_drop)
        return for_random_weights(precision.limits) if self.weights.source == RANDOM else precision.limits

    def describe(
        self,
        verdicts: Mapping[Precision, Verification | ToolchainError],
        failures: Mapping[str, str],
        decision: Decision | None,
    ) -> Manifest:
        """The manifest of the files, by their verdicts; `failures` could not be made, for the reason given."""
        # Here, because it imports onnx and LiteRT: 50 MB that need not lie beside TensorFlow.
        from export import describe

        request, prepared, work = self.request, self.prepared, self.work
        return Manifest(
            model=describe.describe_model(self.spec, request.output) | describe.describe_origin(self.notes.info),
            weights=describe.describe_weights(self.weights, prepared, work),
            preprocessing=describe.describe_preprocessing(self.spec),
            labels={
                "file": LABELS_FILE,
                "count": len(prepared.labels),
                "sha256": hashlib.sha256(self.notes.labels).hexdigest(),
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
            artifacts=tuple(describe.describe_artifact(self.spec, p, verdict, work) for p, verdict in verdicts.items()),
            failures=failures,
        )


def compose_notes(request: ExportRequest, files: ModelSpec, weights: TrainedModel, names: tuple[str, ...]) -> Notes:
    """What is written into the TFLite files.

    Raises:
        DataError: class names that a reader would take apart otherwise.
    """
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
