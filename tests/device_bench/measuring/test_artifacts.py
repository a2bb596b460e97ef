"""The exported files that a benchmark takes."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from device_bench.measuring.artifacts import export_first, find_exported
from export.artifact import load_manifest, save_manifest
from export.precision import select_precisions
from models.errors import UsageError
from models.worker import Progress
from models.zoo import lookup
from tests.device_bench.baseline.exports import MODEL, make_export


def test_a_file_that_failed_its_checks_is_refused_with_the_whole_command_that_says_why(tmp_path: Path) -> None:
    folder = make_export(tmp_path)
    manifest = load_manifest(folder)
    assert manifest is not None
    failed = tuple(replace(artifact, verification=None, failure="crashed") for artifact in manifest.artifacts)
    save_manifest(folder, replace(manifest, artifacts=failed))
    with pytest.raises(UsageError) as raised:
        find_exported(folder, "auto", "my pictures", select_precisions(("float32",), ("tflite",)))
    assert str(raised.value) == (
        f"{folder}/{MODEL}-float32.tflite failed its checks when it was exported; why: "
        f"`make export MODEL={MODEL} 'DATASET=my pictures'`; PRECISION leaves it out"
    )


def test_files_that_the_export_before_a_benchmark_removed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = SimpleNamespace(folder=make_export(tmp_path), removed=("old-int8.tflite", "old-float16.onnx"))
    monkeypatch.setattr("export.pipeline.export_model", lambda _request, _report: made)
    told: list[Progress] = []
    export_first(lookup(MODEL), "auto", "digits", select_precisions(("float32",), ("tflite",)), tmp_path, told.append)
    assert [(p.stage, p.detail) for p in told] == [
        ("removed", "made by other settings: old-int8.tflite, old-float16.onnx")
    ]
