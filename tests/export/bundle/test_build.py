"""A bundle is made whole or not at all, the same every time, of proven files only."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from export import describe
from export.artifact import Artifact, Check, load_manifest, save_manifest
from export.bundle import build, source
from export.bundle.archive import write_archive
from export.bundle.build import Bundled, build_bundle
from export.quantization.settings import NAIVE
from export.request import Exported as Outcome
from models.errors import DataError, OutputError, UsageError, VerificationError
from models.files import replace_file, sha256_file, work_folder
from tests.export.bundle.conftest import PRECISIONS, request_for
from tests.export.conftest import CALIBRATION_IMAGES, ROOT, Exported, silent

if TYPE_CHECKING:
    from tests.export.conftest import Cli


def tree(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def copied(bundled: Bundled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build folder of the test's own, with the export and the bundle in it.

    Builds of this process run their stages here, which spares the seconds of starting others, and take the export's
    programs for today's, so that nobody who edits them meanwhile makes a test slow.
    """
    made = tmp_path / "build"
    shutil.copytree(bundled.folder.parents[2], made)
    manifest = load_manifest(bundled.folder.parents[1])
    assert manifest is not None
    monkeypatch.setattr(describe, "tool_versions", lambda: dict(manifest.tools))
    monkeypatch.setattr(build, "run_in_worker", lambda stage, *words, report: stage(report, *words))
    return made


def place_of(copied: Path, full: Exported) -> Path:
    return copied / full.folder.name / "bundle"


def test_a_bundle_has_all_that_an_app_developer_needs(bundled: Bundled) -> None:
    files = set(tree(bundled.folder))
    expected = {"README.md", "model_card.md", "manifest.json", "labels.txt", "sbom.cdx.json", "verify_bundle.py"}
    assert expected <= files
    assert bundled.models == tuple(f"models/mobilenet_v1_0.25_128-{name}.tflite" for name in PRECISIONS)
    assert set(bundled.models) <= files
    for precision in PRECISIONS:
        snippets = {f.split("/", 2)[2] for f in files if f.startswith(f"snippets/{precision}/")}
        assert {"android/InterpreterClassifier.kt", "ios/InterpreterClassifier.swift", "python/classify.py"} <= snippets
        assert ("android/MediaPipeClassifier.kt" in snippets) == (precision != "int8_npu")
    assert bundled.archive == bundled.folder.with_name(f"{bundled.folder.name}.zip")
    assert {p.name for p in bundled.folder.parent.iterdir()} == {bundled.folder.name, bundled.archive.name}


def test_the_models_are_the_very_files_that_were_verified(bundled: Bundled) -> None:
    manifest = json.loads((bundled.folder / "manifest.json").read_text("utf-8"))
    assert len(manifest["models"]) == 3
    exported = load_manifest(bundled.folder.parents[1])
    assert exported is not None
    proven = {a.precision: a for a in exported.artifacts if a.format == "tflite"}
    for model in manifest["models"]:
        artifact = proven[model["precision"]]
        assert model["sha256"] == artifact.sha256 == sha256_file(bundled.folder / model["file"])
        assert model["verification"]["top1"] == artifact.verification.top1  # type: ignore[union-attr]
        assert model["verification"]["passed"]


def test_golden_pictures_show_every_class_at_odd_sizes(bundled: Bundled) -> None:
    manifest = json.loads((bundled.folder / "manifest.json").read_text("utf-8"))
    images = manifest["golden_images"]
    assert sorted(image["class_index"] for image in images) == list(range(10))
    for image in images:
        with Image.open(bundled.folder / image["file"]) as picture:
            assert picture.size == (image["width_px"], image["height_px"])
        assert image["width_px"] % 2 == image["height_px"] % 2 == 1
        assert image["width_px"] != image["height_px"]
    assert len({(image["width_px"], image["height_px"]) for image in images}) == 8
    for model in manifest["models"]:
        tops = [vector["top5"][0]["index"] for vector in model["golden"]["vectors"]]
        assert tops == [image["class_index"] for image in images]


def test_a_second_build_is_the_same_to_the_byte(bundled: Bundled, full: Exported, copied: Path) -> None:
    before = sha256_file(bundled.archive), tree(bundled.folder)
    again = build_bundle(request_for(full, copied), silent)
    assert (sha256_file(again.archive), tree(again.folder)) == before
    assert again.folder != bundled.folder


def test_the_archive_is_the_folder(bundled: Bundled, tmp_path: Path) -> None:
    write_archive(bundled.folder, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == bundled.archive.read_bytes()


def test_the_export_that_is_there_is_used_and_not_made_again(
    full: Exported, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(source, "export_model", unwanted)
    request = request_for(full, copied).export
    folder, manifest, weights = source.obtain_export(request, silent)
    assert folder == copied / full.folder.name
    assert weights.sha256 == manifest.weights["sha256"]


def test_what_a_budget_led_to_is_used_unless_other_levers_are_asked_for(
    full: Exported, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "export_model", make)
    path = copied / full.folder.name / "manifest.json"
    value = json.loads(path.read_text("utf-8"))
    value["calibration"]["equalize"] = True
    path.write_text(json.dumps(value))
    request = request_for(full, copied).export
    with pytest.raises(MadeError):
        source.obtain_export(request, silent)
    path.write_text(json.dumps({**value, "budget": {"max_drop": 0.01}}))
    source.obtain_export(request, silent)
    with pytest.raises(MadeError):
        source.obtain_export(replace(request, quantization=NAIVE), silent)


class MadeError(Exception):
    """An export was made."""


def make(*_: object) -> None:
    raise MadeError


CHANGES: list[dict[str, object]] = [
    {"author": "us"}, {"license": "MIT"}, {"seed": 1}, {"calibration_images": CALIBRATION_IMAGES + 1},
    {"output": "logits"}, {"labels": tuple("abcdefghij")},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
def test_an_export_of_other_settings_is_made_anew(
    changes: dict[str, object], full: Exported, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "export_model", make)
    with pytest.raises(MadeError):
        source.obtain_export(request_for(full, copied, **changes).export, silent)


def test_an_export_by_other_programs_or_with_a_changed_file_is_made_anew(
    full: Exported, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "export_model", make)
    folder = copied / full.folder.name
    manifest = load_manifest(folder)
    assert manifest is not None
    save_manifest(folder, replace(manifest, tools={**manifest.tools, "numpy": "0"}))
    with pytest.raises(MadeError):
        source.obtain_export(request_for(full, copied).export, silent)
    save_manifest(folder, manifest)
    with (folder / "mobilenet_v1_0.25_128-int8.tflite").open("ab") as file:
        file.write(b"x")
    with pytest.raises(MadeError):
        source.obtain_export(request_for(full, copied).export, silent)


def refused(artifact: Artifact) -> Artifact:
    return replace(artifact, verification=None, failure="LiteRT refuses it")


def inexact(artifact: Artifact) -> Artifact:
    assert artifact.verification is not None
    bad = Check(name="top1_agreement", value=0.9125, limit=0.97, passed=False, detail="")
    worse = Check(name="contents", value=None, limit=None, passed=False, detail="no int8 weights")
    return replace(artifact, verification=replace(artifact.verification, checks=(bad, worse)))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(refused, "LiteRT refuses it"), (inexact, "top1_agreement 0.9125, limit 0.97, no int8 weights")],
)
def test_what_failed_its_verification_is_not_bundled_and_the_reason_is_said(
    spoil: Callable[[Artifact], Artifact], said: str, full: Exported, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied / full.folder.name
    manifest = load_manifest(folder)
    assert manifest is not None
    failed = tuple(spoil(a) if a.precision == "int8" else a for a in manifest.artifacts)
    broken = replace(manifest, artifacts=failed)
    outcome = Outcome(folder=folder, manifest=broken, passed=False, removed=())
    monkeypatch.setattr(source, "export_model", lambda *_: outcome)
    save_manifest(folder, broken)
    before = tree(place_of(copied, full))
    with pytest.raises(VerificationError, match=rf"tflite int8 of .* is not proven: {re.escape(said)}; nothing was"):
        build_bundle(request_for(full, copied), silent)
    assert tree(place_of(copied, full)) == before


def test_random_weights_are_not_shipped(full: Exported, copied: Path) -> None:
    with pytest.raises(UsageError, match="--weights random names classes by chance, so there is nothing to ship"):
        build_bundle(request_for(full, copied, weights="random"), silent)


def test_pictures_that_changed_since_the_export_are_found(full: Exported, copied: Path) -> None:
    folder = copied / full.folder.name
    manifest = load_manifest(folder)
    assert manifest is not None
    save_manifest(folder, replace(manifest, weights={**manifest.weights, "dataset_sha256": "0" * 64}))
    before = tree(place_of(copied, full))
    with pytest.raises(DataError, match="the pictures of digits are not those that the files were verified on"):
        build_bundle(request_for(full, copied), silent)
    assert tree(place_of(copied, full)) == before


# Nothing half


def test_a_build_that_fails_late_leaves_the_earlier_bundle_as_it_was(
    full: Exported, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device", "x.zip")

    before = tree(place_of(copied, full))
    monkeypatch.setattr(build, "write_archive", full_disk)
    with pytest.raises(OutputError, match="No space left on device; free some space and run the same command again"):
        build_bundle(request_for(full, copied), silent)
    assert tree(place_of(copied, full)) == before
    assert not [p for p in place_of(copied, full).iterdir() if p.name.startswith(".")]


def test_an_interrupted_publication_leaves_no_half_bundle(
    full: Exported, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "replace_file", interrupt)
    name = full.folder.name
    with pytest.raises(KeyboardInterrupt):
        build_bundle(request_for(full, copied), silent)
    place = place_of(copied, full)
    # The folder is whole; of the archive, the old one would not be of it.
    assert {p.name for p in place.iterdir()} == {name}
    write_archive(place / name, copied / "again.zip")
    monkeypatch.setattr(build, "replace_file", replace_file)
    again = build_bundle(request_for(full, copied), silent)
    assert again.archive.read_bytes() == (copied / "again.zip").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_a_killed_build_leaves_the_earlier_bundle_and_the_next_one_cleans_up(
    number: signal.Signals, full: Exported, copied: Path
) -> None:
    before = tree(place_of(copied, full))
    command = [
        sys.executable, "-m", "export", "bundle", "--model", "mobilenet_v1_0.25_128",
        "--precision", ",".join(PRECISIONS),
        "--build-dir", str(copied), "--purpose", "Reads *digits* <from> forms",
    ]  # fmt: skip
    run = subprocess.Popen(
        command, cwd=copied, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    assert run.stderr is not None
    try:
        deadline = time.monotonic() + 200
        while not list(place_of(copied, full).glob(".partial-*/*/golden")):
            assert run.poll() is None, run.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        run.send_signal(number)
        code = run.wait(60)
    finally:
        run.kill()
        run.stderr.close()
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    after = {path: digest for path, digest in tree(place_of(copied, full)).items() if not path.startswith(".partial")}
    assert after == before
    left = [p.name for p in place_of(copied, full).iterdir() if p.name.startswith(".")]
    assert bool(left) == (number == signal.SIGKILL)
    if left:
        build_bundle(request_for(full, copied), silent)
        assert tree(place_of(copied, full)) == before


def test_two_builds_at_once_do_not_meet(full: Exported, copied: Path) -> None:
    with (
        work_folder(place_of(copied, full)),
        pytest.raises(OutputError, match=r"another process is working in .*bundle; wait for it to end"),
    ):
        build_bundle(request_for(full, copied), silent)


# By the command line


def test_the_command_says_what_to_send_to_whom(full: Exported, copied: Path, run_script: "Cli") -> None:
    words = ["-m", "export", "bundle", "--model", "mobilenet_v1_0.25_128", "--build-dir", str(copied)]
    run = run_script(*words, cwd=copied)
    assert run.returncode == 0, run.stderr
    archive = place_of(copied, full) / f"{full.folder.name}.zip"
    lines = run.stdout.splitlines()
    assert f"send:    {archive}" in lines
    assert (
        "to:      Android, iOS and web developers; they begin with README.md and run python verify_bundle.py" in lines
    )
    assert sum(line.startswith("ok ") for line in lines) == 2 + 2 * 4
    # int8 for CPUs, float16 for GPUs, if nothing else is asked for.
    assert {p.name for p in (archive.with_suffix("") / "models").iterdir()} == {
        "mobilenet_v1_0.25_128-int8.tflite",
        "mobilenet_v1_0.25_128-float16.tflite",
    }


WRONG = [
    (["--model", "mobilenet_v9"], "unknown model 'mobilenet_v9'"),
    (["--model", "mobilenet_v2_1.4", "--precision", "int4"], "unknown precision 'int4'; did you mean int8"),
    (["--model", "mobilenet_v2_1.4", "--labels", "none.txt"], "labels none.txt cannot be read"),
    (["--model", "mobilenet_v2_1.4", "--weights", "random"], "--weights random names classes by chance"),
    (
        ["--model", "mobilenet_v2_1.4", "--format", "tflite,onnx"],
        "a bundle holds TFLite files only, not onnx: its golden",
    ),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[said for _, said in WRONG])
def test_wishes_that_cannot_be_met_are_bad_input(
    words: list[str], said: str, run_script: "Cli", tmp_path: Path
) -> None:
    run = run_script("-m", "export", "bundle", *words, cwd=tmp_path)
    assert run.returncode == 2
    assert said in run.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
