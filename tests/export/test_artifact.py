"""Names of artifacts, and the manifest: its form on disk, and that it speaks only of what is there."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.artifact import (
    MANIFEST_FILE,
    Artifact,
    Check,
    Manifest,
    Verification,
    artifact_path,
    load_manifest,
    save_manifest,
)
from export.contents import TensorInfo
from export.precision import PRECISIONS, Precision
from models.errors import OutputError
from models.files import format_json
from models.zoo import MODELS

ROWS = list(PRECISIONS.values())

finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=20)
counts = st.dictionaries(texts, st.integers(0, 10**9), max_size=4)
sizes = st.integers(0, 2**40)
infos = st.builds(
    TensorInfo, name=texts, dtype=texts, shape=st.lists(st.integers(1, 999), max_size=4).map(tuple),
    scale=st.none() | finite, zero_point=st.none() | st.integers(-128, 255),
)  # fmt: skip
checks = st.builds(
    Check, name=texts, value=st.none() | finite, limit=st.none() | finite, passed=st.booleans(), detail=texts
)
verifications = st.builds(
    Verification, images=sizes, top1=finite, top1_drop=finite, top1_drop_ci95=st.tuples(finite, finite),
    top1_agreement=finite, max_abs_error=st.none() | finite, builtin_error=st.none() | finite,
    checks=st.lists(checks, max_size=3).map(tuple), reason=texts,
)  # fmt: skip
artifacts = st.builds(
    lambda row, verdict, **facts: Artifact(
        **facts, format=row.format, precision=row.name,
        verification=verdict if isinstance(verdict, Verification) else None,
        failure=verdict if isinstance(verdict, str) else None,
    ),
    row=st.sampled_from(ROWS), verdict=verifications | texts, file=texts, size_bytes=sizes, sha256=texts,
    source_sha256=texts, input=infos, output=infos, operators=counts, weights=counts,
)  # fmt: skip
plain = st.dictionaries(texts, st.none() | texts | finite | st.integers(), max_size=3)
manifests = st.builds(
    Manifest, model=plain, weights=plain, preprocessing=plain, labels=plain, calibration=plain,
    tools=st.dictionaries(texts, texts, max_size=2), artifacts=st.lists(artifacts, max_size=3).map(tuple),
    failures=st.dictionaries(texts, texts, max_size=2), budget=st.none() | plain,
)  # fmt: skip


def verdict(*, passed: bool = True) -> Verification:
    return Verification(
        images=359, top1=0.97, top1_drop=0.0, top1_drop_ci95=(-0.01, 0.01), top1_agreement=1.0, max_abs_error=1e-6,
        builtin_error=None, checks=(Check(name="contents", value=None, limit=None, passed=passed, detail=""),),
        reason="so",
    )  # fmt: skip


def artifact(folder: Path, row: Precision, content: bytes = b"content") -> Artifact:
    """A made-up artifact whose file exists."""
    path = artifact_path(folder, "net_1.4", row)
    path.write_bytes(content)
    return Artifact(
        file=path.name, format=row.format, precision=row.name, size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(), source_sha256="f" * 64,
        input=TensorInfo(name="image", dtype=row.input_dtype, shape=(1, 8, 8, 3)),
        output=TensorInfo(name="probabilities", dtype=row.output_dtype, shape=(1, 10)),
        operators={"CONV_2D": 1}, weights={row.weight_dtype: 10}, verification=verdict(), failure=None,
    )  # fmt: skip


def manifest(*made: Artifact, **changes: Any) -> Manifest:
    origin = Manifest(
        model={"name": "net_1.4"}, weights={"sha256": "a"}, preprocessing={}, labels={}, calibration={"images": 128},
        tools={"numpy": "2"}, artifacts=made, failures={},
    )  # fmt: skip
    return replace(origin, **changes)


def test_artifact_names_keep_their_dots_and_are_all_different() -> None:
    paths = [artifact_path(Path("b"), model, row) for model in MODELS for row in ROWS]
    assert len(set(paths)) == len(paths)
    assert artifact_path(Path("b"), "mobilenet_v2_1.4", PRECISIONS["tflite", "int8"]) == Path(
        "b/mobilenet_v2_1.4-int8.tflite"
    )
    assert artifact_path(Path("b"), "mobilenet_v2_1.4", PRECISIONS["onnx", "int8"]) == Path(
        "b/mobilenet_v2_1.4-int8.onnx"
    )


@given(verifications)
def test_a_verification_survives_json(value: Verification) -> None:
    assert Verification.from_json(json.loads(format_json(value.to_json()))) == value


@given(artifacts)
def test_an_artifact_survives_json(value: Artifact) -> None:
    assert Artifact.from_json(json.loads(format_json(value.to_json()))) == value


@given(manifests)
def test_a_manifest_survives_json(value: Manifest) -> None:
    assert Manifest.from_json(json.loads(format_json(value.to_json()))) == value


def test_a_verification_passes_only_if_every_check_did() -> None:
    good, bad = (Check(name="x", value=1.0, limit=2.0, passed=passed, detail="") for passed in (True, False))
    assert replace(verdict(), checks=(good, good)).passed
    assert not replace(verdict(), checks=(good, bad)).passed


def test_the_json_of_a_verification_lists_limits_and_whether_it_passed() -> None:
    limited = Check(name="top1_drop", value=0.0, limit=0.006, passed=True, detail="")
    value = replace(verdict(), checks=(*verdict().checks, limited)).to_json()
    assert value["limits"] == {"top1_drop": 0.006}
    assert value["passed"] is True


def test_an_artifact_that_its_runtime_refused_has_not_passed_and_says_why(tmp_path: Path) -> None:
    refused = replace(artifact(tmp_path, ROWS[0]), verification=None, failure="LiteRT refuses it")
    assert not refused.passed
    assert refused.to_json()["verification"] == {"passed": False, "failure": "LiteRT refuses it"}


def test_a_manifest_passes_only_if_everything_was_made_and_proven(tmp_path: Path) -> None:
    good = artifact(tmp_path, ROWS[0])
    assert manifest(good).passed
    assert not manifest(replace(good, verification=verdict(passed=False))).passed
    assert not manifest(good, failures={"tflite int8": "refused"}).passed
    assert manifest(good, budget={"max_drop": 0.01, "met": True}).passed
    assert not manifest(good, budget={"max_drop": 0.01, "met": False}).passed


def test_a_saved_manifest_is_loaded_as_it_was(tmp_path: Path) -> None:
    saved = manifest(*(artifact(tmp_path, row) for row in ROWS))
    save_manifest(tmp_path, saved)
    assert load_manifest(tmp_path) == saved
    assert {p.name for p in tmp_path.iterdir()} == {MANIFEST_FILE, *(a.file for a in saved.artifacts)}


def test_a_manifest_does_not_speak_of_files_that_are_gone_or_changed(tmp_path: Path) -> None:
    gone, changed, kept = (artifact(tmp_path, row) for row in ROWS[:3])
    save_manifest(tmp_path, manifest(gone, changed, kept))
    (tmp_path / gone.file).unlink()
    (tmp_path / changed.file).write_bytes(b"Content")
    assert load_manifest(tmp_path) == manifest(kept)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "artifacts": [{}]}', "\xff\xfe"],
)
def test_what_is_no_manifest_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST_FILE).write_bytes(text.encode("latin-1"))
    assert load_manifest(tmp_path) is None


def test_artifacts_of_a_precision_that_is_no_more_are_left_out(tmp_path: Path) -> None:
    save_manifest(tmp_path, manifest(replace(artifact(tmp_path, ROWS[0]), precision="int4")))
    assert load_manifest(tmp_path) == manifest()


def test_a_folder_without_manifest_has_none(tmp_path: Path) -> None:
    assert load_manifest(tmp_path) is None


def test_a_manifest_of_another_schema_is_refused_by_its_number() -> None:
    with pytest.raises(ValueError, match="manifest schema 7, known is 1"):
        Manifest.from_json({**manifest().to_json(), "schema": 7})


def test_a_manifest_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(OutputError, match=f"cannot write {missing}/"):
        save_manifest(missing, manifest())


def test_artifacts_of_the_same_origin_are_those_not_made_anew(tmp_path: Path) -> None:
    old, remade = artifact(tmp_path, ROWS[0]), artifact(tmp_path, ROWS[3])
    before = manifest(old, remade, preprocessing={"mean": [127.5] * 3})
    # Tuples on this side, as long as it has not been on disk.
    now = manifest(replace(remade, sha256="0" * 64), preprocessing={"mean": (127.5,) * 3})
    assert before.of_same_origin(now) == (old,)


@pytest.mark.parametrize("part", ["model", "weights", "preprocessing", "labels", "tools"])
def test_artifacts_of_another_origin_are_stale(tmp_path: Path, part: str) -> None:
    before = manifest(artifact(tmp_path, ROWS[0]))
    assert before.of_same_origin(manifest(**{part: {"other": "value"}})) == ()


def test_another_calibration_makes_the_calibrated_artifacts_stale_and_no_others(tmp_path: Path) -> None:
    before = manifest(*(artifact(tmp_path, row) for row in ROWS))
    kept = before.of_same_origin(manifest(calibration={"images": 16}))
    assert [(a.format, a.precision) for a in kept] == [(r.format, r.name) for r in ROWS if not r.calibrated]


@pytest.mark.parametrize("budget", [None, {"max_drop": 0.003, "met": True}])
def test_what_was_proven_for_one_budget_is_not_for_another(budget: dict[str, Any] | None, tmp_path: Path) -> None:
    before = manifest(*(artifact(tmp_path, row) for row in ROWS), budget={"max_drop": 0.02, "met": True})
    assert len(before.of_same_origin(manifest(budget={"max_drop": 0.02, "met": False}))) == len(ROWS)
    kept = before.of_same_origin(manifest(budget=budget))
    assert [(a.format, a.precision) for a in kept] == [(r.format, r.name) for r in ROWS if not r.calibrated]


def test_artifacts_that_failed_or_cannot_be_made_any_more_are_not_kept(tmp_path: Path) -> None:
    good, refused, bad = (artifact(tmp_path, row) for row in ROWS[:3])
    before = manifest(good, refused, replace(bad, verification=verdict(passed=False)))
    now = manifest(failures={f"{refused.format} {refused.precision}": "no"})
    assert before.of_same_origin(now) == (good,)


def test_another_calibration_makes_only_calibrated_files_stale(tmp_path: Path) -> None:
    made = [artifact(tmp_path, row) for row in ROWS]
    kept = manifest(*made).of_same_origin(manifest(calibration={"other": "value"}))
    assert [(a.format, a.precision) for a in kept] == [(r.format, r.name) for r in ROWS if not r.calibrated]


def test_merged_artifacts_stand_in_the_order_of_the_table(tmp_path: Path) -> None:
    made = [artifact(tmp_path, row) for row in ROWS]
    merged = manifest(*made[::-2]).with_artifacts(tuple(made[-2::-2]))
    assert merged.artifacts == tuple(made)


LEFT = {"groups": 2, "sqnr_db": 30.0, "equalized_sqnr_db": 30.2, "taken": False}
TAKEN = {"groups": 2, "sqnr_db": 20.0, "equalized_sqnr_db": 30.0, "taken": True}


@pytest.mark.parametrize(("decision", "floats_stay"), [(LEFT, True), (TAKEN, False)])
def test_float_files_stay_beside_8_bit_files_of_the_same_float_network_only(
    decision: dict[str, Any], floats_stay: bool, tmp_path: Path
) -> None:
    before = manifest(*(artifact(tmp_path, row) for row in ROWS), calibration={"equalize": "auto"})
    decided = manifest(calibration={"equalize": "auto", "equalized": decision})
    kept = [(a.format, a.precision) for a in before.of_same_origin(decided)]
    assert kept == [(r.format, r.name) for r in ROWS if floats_stay and not r.calibrated]
    after = manifest(*(artifact(tmp_path, row) for row in ROWS), calibration=decided.calibration)
    assert len(after.of_same_origin(decided)) == len(ROWS)
