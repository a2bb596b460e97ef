"""`export_model`: what is published, what is kept, and that an end at any moment leaves no half and no lie.

The converters' work is taken from the shared networks here; the real one, in processes, is in test_main.py.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import export.job
import export.pipeline
import export.publish
from export.artifact import Check, Verification, artifact_path, load_manifest
from export.pipeline import export_model
from export.precision import PRECISIONS, Limits, Precision, select_precisions
from export.request import Exported, ExportRequest
from export.stages import (
    calibrate_stage,
    check_stage,
    convert_stage,
    onnx_stage,
    prepare_stage,
    tflite_stage,
    verify_stage,
)
from export.work import WorkFiles
from models.checkpoint import run_folder
from models.errors import (
    ConversionError,
    DataError,
    OutputError,
    ToolchainError,
    VerificationError,
    WeightsError,
    WorkerError,
)
from models.files import format_json, sha256_file, work_folder
from models.worker import Task

if TYPE_CHECKING:
    from tests.export.conftest import Network

DEFAULT = select_precisions(None, None)
INT8, NPU, FLOAT32 = (PRECISIONS["tflite", name] for name in ("int8", "int8_npu", "float32"))
PASSED = Verification(
    images=359, top1=0.97, top1_drop=0.0, top1_drop_ci95=(-0.01, 0.01), top1_agreement=1.0, max_abs_error=0.0,
    builtin_error=None, checks=(Check(name="contents", value=None, limit=None, passed=True, detail=""),), reason="so",
)  # fmt: skip
FAILED = replace(PASSED, checks=(Check(name="top1_drop", value=0.5, limit=0.006, passed=False, detail=""),))


@dataclass(frozen=True, slots=True)
class Works:
    """Stands where the worker processes stand: hands out the shared network's files, and the verdicts told."""

    network: "Network"
    verdicts: dict[str, Verification | ToolchainError] = field(default_factory=dict)
    """By `<format> <precision>`; passed when not told."""
    refused: dict[str, str] = field(default_factory=dict)
    """Conversions that fail, with the reason."""
    limits: dict[str, Limits] = field(default_factory=dict)
    """The limits that each verification was given."""

    def run_in_worker(self, function: Callable[..., Any], *args: Any, report: Any = None) -> Any:
        if function in (prepare_stage, check_stage):
            return function(report or (lambda _: None), *args)
        if function is calibrate_stage:
            work = next(value for value in args if isinstance(value, WorkFiles))
            for path in self.network.work.folder.glob(f"{work.calibration.name}*"):
                shutil.copy(path, work.folder)
            return self.refused.get("calibration", "")
        assert function is convert_stage
        given, work = self.network.work, next(value for value in args if isinstance(value, WorkFiles))
        for name in ("float_tflite", "float_onnx", "reference"):
            shutil.copy(getattr(given, name), getattr(work, name))
        return None

    def run_in_workers(self, tasks: Sequence[Task], *, at_once: int, **_: Any) -> list[Any]:
        assert at_once >= 1
        return [self.outcome(task) for task in tasks]

    def outcome(self, task: Task) -> Any:
        if task.function is verify_stage:
            row, limits, *_ = task.args
            self.limits[f"{row.format} {row.name}"] = limits
            return self.verdicts.get(f"{row.format} {row.name}", PASSED)
        assert task.function in (tflite_stage, onnx_stage)
        precisions, work = next(value for value in task.args if isinstance(value, tuple)), task.args[-1]
        failures = {}
        for row in precisions:
            key = f"{row.format} {row.name}"
            if key in self.refused:
                failures[key] = self.refused[key]
            else:
                shutil.copy(self.network.work.made(row), work.made(row))
        return failures


@pytest.fixture
def works(trained: "Network", monkeypatch: pytest.MonkeyPatch) -> Works:
    works = Works(trained)
    for module in (export.pipeline, export.job):
        monkeypatch.setattr(module, "run_in_worker", works.run_in_worker)
    monkeypatch.setattr(export.job, "run_in_workers", works.run_in_workers)
    return works


def run(works: Works, build_dir: Path, precisions: Sequence[Precision] = DEFAULT, **changes: Any) -> Exported:
    request = ExportRequest(
        spec=replace(works.network.spec, num_classes=1000), dataset="digits", weights="auto",
        precisions=tuple(precisions), calibration_images=128, seed=0, output="probabilities", build_dir=build_dir,
    )  # fmt: skip
    return export_model(replace(request, **changes), lambda _: None)


def folder_of(works: Works, build_dir: Path) -> Path:
    return run_folder(build_dir, works.network.spec.name, "digits")


def artifacts_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix in (".tflite", ".onnx")}


def file_of(works: Works, row: Precision) -> str:
    return artifact_path(Path(), works.network.spec.name, row).name


def assert_true(folder: Path) -> None:
    """Everything in the folder is whole, and whatever the manifest says of it is so."""
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    if (folder / "manifest.json").exists():
        text = json.loads((folder / "manifest.json").read_text("utf-8"))
        for artifact in text["artifacts"]:
            assert sha256_file(folder / artifact["file"]) == artifact["sha256"]
        assert {artifact["file"] for artifact in text["artifacts"]} == artifacts_in(folder)
        assert sha256_file(folder / text["labels"]["file"]) == text["labels"]["sha256"]


def test_everything_asked_for_is_published_with_a_manifest_that_fits(works: Works, build_dir: Path) -> None:
    exported = run(works, build_dir)
    assert exported.passed
    assert exported.folder == folder_of(works, build_dir)
    assert artifacts_in(exported.folder) == {file_of(works, row) for row in DEFAULT}
    assert {path.name for path in exported.folder.iterdir()} == artifacts_in(exported.folder) | {
        "manifest.json", "labels.txt", "trained.keras", "trained.json",
    }  # fmt: skip
    assert_true(exported.folder)
    found = load_manifest(exported.folder)
    assert found is not None
    assert format_json(found.to_json()) == format_json(exported.manifest.to_json())
    for row in DEFAULT:
        assert (exported.folder / file_of(works, row)).read_bytes() == works.network.work.made(row).read_bytes()


def test_the_manifest_has_every_key_of_the_contract(works: Works, build_dir: Path) -> None:
    folder = run(works, build_dir, PRECISIONS.values()).folder  # type: ignore[arg-type]
    text = json.loads((folder / "manifest.json").read_text("utf-8"))
    spec = works.network.spec
    assert text["schema"] == 1
    assert text["model"] | {
        "name": spec.name, "family": spec.family, "width": spec.width, "resolution_px": spec.resolution_px,
        "num_classes": 10,
    } == text["model"]  # fmt: skip
    assert 200_000 < text["model"]["parameters"] < 230_000
    assert 10e6 < text["model"]["mult_adds"] < 15e6
    weights = text["weights"]
    assert (weights["source"], weights["seed"], weights["images"]) == ("digits", 0, 359)
    assert weights["sha256"] == sha256_file(folder / "trained.keras")
    assert weights["top1"] == json.loads((folder / "trained.json").read_text())["accuracy"]["test_top1"]
    assert (text["labels"]["file"], text["labels"]["count"]) == ("labels.txt", 10)
    assert (folder / "labels.txt").read_text("utf-8") == "".join(f"{digit}\n" for digit in range(10))
    assert text["preprocessing"]["mean"] == [127.5] * 3
    assert text["preprocessing"]["integer_input"] == {
        "scale": 1 / 127.5, "uint8_zero_point": 128, "residual_grey_levels": 0.5
    }  # fmt: skip
    assert set(text["tools"]) >= {"tensorflow", "keras", "ai-edge-litert", "litert-quantizer", "onnx", "onnxruntime"}
    assert all(text["tools"].values())
    assert [(a["format"], a["precision"]) for a in text["artifacts"]] == list(PRECISIONS)
    for artifact in text["artifacts"]:
        row = PRECISIONS[artifact["format"], artifact["precision"]]
        assert artifact["file"] == file_of(works, row)
        assert artifact["size_bytes"] == (folder / artifact["file"]).stat().st_size
        assert artifact["source_sha256"] == sha256_file(works.network.work.float_tflite)
        side = spec.resolution_px
        assert artifact["input"].items() >= {
            "name": "image", "dtype": row.input_dtype, "shape": [1, side, side, 3]
        }.items()  # fmt: skip
        assert {"scale", "zero_point"} <= set(artifact["input"])
        assert artifact["output"]["dtype"] == row.output_dtype
        assert sum(artifact["operators"].values()) >= 30
        assert set(artifact["verification"]) >= {
            "images", "top1", "top1_drop", "top1_drop_ci95", "top1_agreement", "max_abs_error", "limits", "passed",
        }  # fmt: skip


def test_the_representative_data_set_is_recorded(works: Works, build_dir: Path) -> None:
    record = run(works, build_dir).manifest.calibration
    assert record["images"] == 128
    assert (record["seed"], record["split"]) == (0, "train")
    assert record["method"] == "least squared error of 8 bits over all images"
    assert len(record["sha256"]) == 64
    again = run(works, build_dir, seed=0).manifest.calibration
    assert again == record
    other = run(works, build_dir, seed=1).manifest.calibration
    assert other["sha256"] != record["sha256"]
    fewer = run(works, build_dir, calibration_images=64).manifest.calibration
    assert fewer["sha256"] != record["sha256"]


def test_a_second_export_changes_no_byte(works: Works, build_dir: Path) -> None:
    folder = run(works, build_dir).folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run(works, build_dir)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_part_of_the_precisions_keeps_the_others_in_the_manifest(works: Works, build_dir: Path) -> None:
    full = run(works, build_dir).manifest
    part = run(works, build_dir, [INT8])
    assert part.passed
    assert format_json(part.manifest.to_json()) == format_json(full.to_json())
    assert artifacts_in(part.folder) == {file_of(works, row) for row in DEFAULT}


def test_a_further_precision_joins_the_others(works: Works, build_dir: Path) -> None:
    run(works, build_dir, [INT8])
    exported = run(works, build_dir, [FLOAT32])
    assert [artifact.precision for artifact in exported.manifest.artifacts] == ["float32", "int8"]
    assert_true(exported.folder)


def test_files_of_other_settings_are_stale_and_go_by_name(works: Works, build_dir: Path) -> None:
    run(works, build_dir)
    part = run(works, build_dir, [INT8, NPU], output="logits")
    assert artifacts_in(part.folder) == {file_of(works, INT8), file_of(works, NPU)}
    assert [artifact.precision for artifact in part.manifest.artifacts] == ["int8", "int8_npu"]
    assert set(part.removed) == {file_of(works, row) for row in DEFAULT} - artifacts_in(part.folder)
    assert_true(part.folder)


@pytest.mark.parametrize("change", [{"calibration_images": 64}, {"seed": 5}])
def test_another_calibration_makes_the_calibrated_files_stale_alone(
    works: Works, build_dir: Path, change: dict[str, Any]
) -> None:
    run(works, build_dir)
    part = run(works, build_dir, [INT8], **change)
    stale = [row for row in DEFAULT if row.calibrated and row != INT8]
    assert set(part.removed) == {file_of(works, row) for row in stale}
    assert artifacts_in(part.folder) == {file_of(works, row) for row in DEFAULT if row not in stale}
    assert_true(part.folder)


def test_a_file_that_was_changed_by_hand_is_not_vouched_for(works: Works, build_dir: Path) -> None:
    folder = run(works, build_dir).folder
    (folder / file_of(works, FLOAT32)).write_bytes(b"mine")
    part = run(works, build_dir, [INT8])
    assert file_of(works, FLOAT32) not in {artifact.file for artifact in part.manifest.artifacts}
    assert_true(folder)


def test_foreign_files_in_the_folder_stay(works: Works, build_dir: Path) -> None:
    mine = folder_of(works, build_dir) / "notes.txt"
    mine.write_text("mine")
    run(works, build_dir)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    "error",
    [
        VerificationError("LiteRT with XNNPACK refuses net-int8.tflite: no"),
        WorkerError("the worker process for verify_stage died (signal SIGSEGV)"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_file_whose_runtime_refuses_or_dies_is_named_failed_and_the_others_pass(
    works: Works, build_dir: Path, error: ToolchainError
) -> None:
    works.verdicts["tflite int8"] = error
    exported = run(works, build_dir)
    assert not exported.passed
    assert [a.file for a in exported.manifest.artifacts if not a.passed] == [file_of(works, INT8)]
    (bad,) = (a for a in exported.manifest.artifacts if not a.passed)
    assert (bad.verification, bad.failure) == (None, str(error))
    text = json.loads((exported.folder / "manifest.json").read_text())
    entry = next(a for a in text["artifacts"] if a["file"] == bad.file)
    assert entry["verification"] == {"passed": False, "failure": str(error)}
    assert text["passed"] is False
    assert_true(exported.folder)


def test_a_file_that_misses_its_limits_is_published_as_failed_and_not_kept_by_a_later_run(
    works: Works, build_dir: Path
) -> None:
    works.verdicts["onnx int8"] = FAILED
    exported = run(works, build_dir)
    assert not exported.passed
    assert [a.file for a in exported.manifest.artifacts if not a.passed] == [file_of(works, PRECISIONS["onnx", "int8"])]
    bad = file_of(works, PRECISIONS["onnx", "int8"])
    assert bad in artifacts_in(exported.folder)
    later = run(works, build_dir, [INT8])
    assert later.removed == (bad,)
    assert bad not in artifacts_in(later.folder)
    assert_true(later.folder)


def test_a_precision_that_cannot_be_converted_is_named_and_its_old_file_goes(works: Works, build_dir: Path) -> None:
    run(works, build_dir)
    works.refused["tflite int8"] = "litert-quantizer refused int8: no"
    exported = run(works, build_dir)
    assert not exported.passed
    assert exported.manifest.failures == {"tflite int8": "litert-quantizer refused int8: no"}
    assert file_of(works, INT8) not in artifacts_in(exported.folder)
    assert_true(exported.folder)


def test_a_converter_process_that_dies_leaves_everything_as_it_was(
    works: Works, build_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(works, build_dir).folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def dead(tasks: Sequence[Task], **_: Any) -> list[Any]:
        return [ConversionError("the converter has died")] * len(tasks)

    monkeypatch.setattr(export.job, "run_in_workers", dead)
    with pytest.raises(ConversionError, match="the converter has died"):
        run(works, build_dir)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_network_that_cannot_be_calibrated_fails_in_those_precisions_alone(works: Works, build_dir: Path) -> None:
    works.refused["calibration"] = "int8 input has one scale"
    exported = run(works, build_dir)
    calibrated = [f"{row.format} {row.name}" for row in DEFAULT if row.calibrated]
    assert exported.manifest.failures == dict.fromkeys(calibrated, "int8 input has one scale")
    assert not exported.passed
    assert len(exported.manifest.artifacts) == len(DEFAULT) - len(calibrated)


def test_weights_trained_on_another_edition_of_the_data_are_refused(works: Works, build_dir: Path) -> None:
    folder = folder_of(works, build_dir)
    record = json.loads((folder / "trained.json").read_text())
    record["dataset"]["sha256"] = "0" * 64
    # The fixture's files are links to the shared ones: replace, never overwrite.
    (folder / "trained.json").unlink()
    (folder / "trained.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"was trained on another edition of the data set \(sha256 0{12}…, now \w{12}…"):
        run(works, build_dir)
    assert not (folder / "manifest.json").exists()
    assert_true(folder)


def test_a_checkpoint_that_names_one_class_for_everything_is_refused(
    works: Works, build_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = works.run_in_worker

    def blind(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        result = real(function, *args, **options)
        if function is convert_stage:
            work = next(value for value in args if isinstance(value, WorkFiles))
            np.save(work.reference, np.tile(np.eye(10, dtype=np.float32)[3], (359, 1)))
        return result

    for module in (export.pipeline, export.job):
        monkeypatch.setattr(module, "run_in_worker", blind)
    with pytest.raises(WeightsError, match="checkpoint digits names class 3 for every test image: it is untrained or"):
        run(works, build_dir)
    assert not (folder_of(works, build_dir) / "manifest.json").exists()


def test_a_checkpoint_that_changes_while_it_is_read_is_refused(
    works: Works, build_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "mine.keras"
    shutil.copy(works.network.weights.path, checkpoint)
    real = works.run_in_worker

    def writing(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if function is convert_stage:
            with checkpoint.open("ab") as file:
                file.write(b"next epoch")
        return real(function, *args, **options)

    for module in (export.pipeline, export.job):
        monkeypatch.setattr(module, "run_in_worker", writing)
    with pytest.raises(WeightsError, match=r"mine\.keras changed while it was read; copy it to a quiet place"):
        run(works, build_dir, weights=str(checkpoint))


def test_calibration_images_that_are_not_there_leave_no_trace(works: Works, build_dir: Path) -> None:
    for count in (0, -1, 100_000):
        with pytest.raises(DataError, match=f"cannot take {count} calibration images from a split of 1258; ask for 1 "):
            run(works, build_dir, calibration_images=count)
    assert {path.name for path in folder_of(works, build_dir).iterdir()} == {"trained.keras", "trained.json"}


def test_two_exports_at_once_do_not_mix(works: Works, build_dir: Path) -> None:
    folder = folder_of(works, build_dir)
    with work_folder(folder), pytest.raises(OutputError, match=f"another process is working in {folder}; wait for it"):
        run(works, build_dir)
    assert run(works, build_dir).passed


def test_trained_weights_keep_the_limits_of_the_table_and_random_ones_are_not_judged_by_accuracy(
    works: Works, build_dir: Path, tmp_path: Path
) -> None:
    run(works, build_dir, PRECISIONS.values())  # type: ignore[arg-type]
    assert works.limits == {f"{row.format} {row.name}": row.limits for row in PRECISIONS.values()}
    checkpoint = tmp_path / "mine.keras"
    shutil.copy(works.network.weights.path, checkpoint)
    run(works, build_dir, weights=str(checkpoint))
    assert works.limits["tflite int8"] == INT8.limits
    random = run_folder(build_dir, works.network.spec.name, "random")
    shutil.copytree(folder_of(works, build_dir), random)
    record = json.loads((random / "trained.json").read_text())
    record["settings"]["phases"] = []
    (random / "trained.json").unlink()
    (random / "trained.json").write_text(json.dumps(record))
    run(works, build_dir, weights="random")
    for row in DEFAULT:
        limits = works.limits[f"{row.format} {row.name}"]
        assert (limits.min_top1_agreement, limits.max_top1_drop) == (None, None)
        for bound in ("max_abs_error", "max_mean_error", "max_builtin_error"):
            table, own = getattr(row.limits, bound), getattr(limits, bound)
            assert own == (None if table is None else pytest.approx(3 * table))
        assert limits.reason.startswith("Random weights have no accuracy to lose")


class _EndedError(BaseException):
    """Stands for Ctrl-C and whatever else ends a run at once."""


STEPS = ("replace_file", "write_file", "save_manifest")


def ending(works: Works, build_dir: Path, monkeypatch: pytest.MonkeyPatch, step: int, *, after: bool) -> bool:
    """Runs an export that ends just before or after its `step`-th file operation; False if it has fewer."""
    left = step
    with monkeypatch.context() as patched:
        for name in STEPS:
            real = getattr(export.publish, name)

            def operation(*args: Any, real: Callable[..., Any] = real) -> Any:
                nonlocal left
                left -= 1
                if left == 0 and not after:
                    raise _EndedError
                result = real(*args)
                if left == 0:
                    raise _EndedError
                return result

            patched.setattr(export.publish, name, operation)
        try:
            run(works, build_dir, calibration_images=64)
        except _EndedError:
            return True
    return False


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_end_at_any_step_of_publishing_leaves_no_half_file_and_no_lie(
    works: Works, build_dir: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    # The eight files, the labels and the manifest.
    steps = len(DEFAULT) + 2
    folder = folder_of(works, build_dir)
    for step in range(1, steps + 1):
        run(works, build_dir)
        assert ending(works, build_dir, monkeypatch, step, after=after)
        assert_true(folder)
        written = step == steps and after
        assert (folder / "manifest.json").exists() == written
    assert not ending(works, build_dir, monkeypatch, steps + 1, after=after)
    assert run(works, build_dir).passed
    assert_true(folder)
