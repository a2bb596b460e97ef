"""A manifest of unknown origin: what no export writes is named with its place, and never relied on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.artifact import MANIFEST_FILE, Artifact, Manifest, load_manifest, save_manifest
from export.contents import TensorInfo
from export.diagnosis.subject import open_subject
from export.parity import measure_parity
from export.quantization.decision import recorded_decision
from export.quantization.settings import DEFAULTS, NAIVE
from export.record import AGAIN, as_stored, calibration_settings, check_manifest, manifest_preprocessing
from export.tflite_file import read_model, write_model
from models.errors import BrokenFileError, UsageError
from models.spec import MINUS_ONE_TO_ONE
from tests.export.probe import make_probe

FOLDER = Path("build/net-digits")
MANIFEST = Manifest(
    model={"name": "net"},
    weights={"source": "digits", "dataset": "digits", "dataset_sha256": "d" * 64},
    preprocessing=MINUS_ONE_TO_ONE.to_json(),
    labels={"count": 10},
    calibration={"images": 128, "seed": 0, "sha256": "c" * 64, **DEFAULTS.to_json()},
    tools={},
    artifacts=(),
    failures={},
)


def forged(place: str, value: Any, manifest: Manifest = MANIFEST) -> Manifest:
    """The manifest with another value at `part.key`."""
    part, _, key = place.partition(".")
    change: dict[str, Any] = {part: {**getattr(manifest, part), key: value}}
    return replace(manifest, **change)


def test_what_an_export_writes_passes() -> None:
    check_manifest(MANIFEST, FOLDER)
    assert manifest_preprocessing(MANIFEST) == MINUS_ONE_TO_ONE
    assert calibration_settings(MANIFEST) == DEFAULTS


@pytest.mark.parametrize(
    ("place", "value", "allowed"),
    [
        ("model.name", 3, "a text"),
        ("model.name", "", "a text"),
        ("weights.source", None, "a text"),
        ("weights.dataset", ["digits"], "a text"),
        ("weights.dataset_sha256", {}, "a text"),
        ("labels.count", "ten", "a whole number from 1 up"),
        ("labels.count", 0, "a whole number from 1 up"),
        ("calibration.images", True, "a whole number from 1 up"),
        ("calibration.images", 1e400, "a whole number from 1 up"),
        ("calibration.seed", -1, "a whole number from 0 up"),
        ("calibration.sha256", 7, "a text"),
    ],
)
def test_a_forged_value_is_named_with_its_place_and_what_is_allowed(place: str, value: Any, allowed: str) -> None:
    with pytest.raises(BrokenFileError) as caught:
        check_manifest(forged(place, value), FOLDER)
    assert str(caught.value) == f"{FOLDER / MANIFEST_FILE}: {place} is {value!r}, allowed is {allowed}; {AGAIN}"


def test_a_forged_value_does_not_fill_the_terminal_nor_control_it() -> None:
    with pytest.raises(BrokenFileError) as caught:
        check_manifest(forged("calibration.images", "\x1b[2J" + "x" * 100_000), FOLDER)
    assert len(str(caught.value)) < 200
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"mean": 3}, {"mean": [1, 2]}, {"std": [0, 0, 0]}, {"std": ["1"] * 3}, {"fit": "melt"}, {"crop_share": "x"}],
    ids=str,
)
def test_a_forged_preprocessing_is_refused(change: dict[str, Any]) -> None:
    wrong = replace(MANIFEST, preprocessing={**MANIFEST.preprocessing, **change})
    with pytest.raises(BrokenFileError, match=r"^the manifest's preprocessing is not understood \(.*; make the folder"):
        check_manifest(wrong, FOLDER)


def test_a_forged_lever_is_refused() -> None:
    with pytest.raises(BrokenFileError, match=r"^quantization setting ranges is 'guess', which no export writes"):
        check_manifest(forged("calibration.ranges", "guess"), FOLDER)


def test_an_old_manifest_without_levers_was_made_with_extremes() -> None:
    old = replace(MANIFEST, calibration={key: MANIFEST.calibration[key] for key in ("images", "seed", "sha256")})
    check_manifest(old, FOLDER)
    assert calibration_settings(old) == NAIVE


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [
        f"{part}.{key}"
        for part in ("model", "weights", "labels", "calibration", "preprocessing")
        for key in getattr(MANIFEST, part)
    ]
)


def complaint(manifest: Manifest) -> str:
    """What is said against it; nothing if it passes."""
    try:
        check_manifest(manifest, FOLDER)
    except BrokenFileError as error:
        return str(error)
    return ""


@settings(deadline=None)
@given(PLACES, ANYTHING)
def test_whatever_stands_there_it_passes_or_is_one_clear_error(place: str, value: Any) -> None:
    said = complaint(forged(place, value))
    assert not said or said.endswith("with `make export`")
    assert complaint(forged(place, {}))


ARTIFACT = Artifact(
    file="net-float32.tflite", format="tflite", precision="float32", size_bytes=1, sha256="", source_sha256="",
    input=TensorInfo(name="x", dtype="float32", shape=()), output=TensorInfo(name="y", dtype="int4", shape=(3,)),
    operators={}, weights={}, verification=None, failure="none",
)  # fmt: skip


def test_input_and_output_are_those_of_the_file_whatever_the_manifest_says(tmp_path: Path) -> None:
    (tmp_path / ARTIFACT.file).write_bytes(make_probe())
    found = as_stored(ARTIFACT, tmp_path)
    assert found.input.dtype == "float32"
    assert len(found.input.shape) == 4
    assert found.output.shape != ARTIFACT.output.shape


def test_a_file_that_is_none_or_takes_no_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / ARTIFACT.file
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BrokenFileError, match=r"net-float32\.tflite is no file that can be read \(.*make the folder"):
        as_stored(ARTIFACT, tmp_path)
    model = read_model(make_probe())
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shape = [5]
    path.write_bytes(write_model(model))
    with pytest.raises(
        BrokenFileError, match=r"takes \(5,\) and gives .*, allowed are a picture \[1, height, width, 3\]"
    ):
        as_stored(ARTIFACT, tmp_path)


@pytest.mark.parametrize(
    ("place", "value"), [(("calibration",), 5), (("artifacts", 0, "file"), 3), (("artifacts", 0, "format"), ["tflite"])]
)
def test_a_manifest_of_other_types_is_none(place: tuple[Any, ...], value: Any, published: Path) -> None:
    path = published / MANIFEST_FILE
    whole = json.loads(path.read_text("utf-8"))
    *ways, last = place
    target = whole
    for way in ways:
        target = target[way]
    target[last] = value
    path.write_text(json.dumps(whole))
    assert load_manifest(published) is None
    with pytest.raises(UsageError, match="holds no export that can be read"):
        open_subject(published, "int8", None)


def test_doctor_and_parity_refuse_the_same_forgeries(published: Path) -> None:
    known = load_manifest(published)
    assert known is not None
    for place in ("weights.dataset", "calibration.seed"):
        save_manifest(published, forged(place, [1], known))
        with pytest.raises(BrokenFileError, match=rf"manifest\.json: {place} is \[1\], allowed is "):
            open_subject(published, "int8", None)
        with pytest.raises(BrokenFileError, match=rf"manifest\.json: {place} is \[1\], allowed is "):
            measure_parity(published, None, 5, lambda _: None)
    save_manifest(published, forged("labels.count", 3, known))
    with pytest.raises(BrokenFileError, match=r"labels\.count is 3, the files have 10; make the folder again"):
        open_subject(published, "int8", None)


def test_a_forged_decision_on_equalization_is_one_error(published: Path) -> None:
    known = load_manifest(published)
    assert known is not None
    taken = {"groups": 3, "sqnr_db": 30.0, "equalized_sqnr_db": 30.1, "taken": True}
    save_manifest(published, replace(known, calibration={**known.calibration, "equalized": taken}))
    wanted = r"^calibration\.equalized is what no export writes \(.*taken is .*\); make the folder again with `make e"
    with pytest.raises(BrokenFileError, match=wanted):
        open_subject(published, "int8", None)
    with pytest.raises(BrokenFileError, match=wanted):
        measure_parity(published, None, 5, lambda _: None)


def test_an_export_by_default_has_its_decision_on_record(published: Path) -> None:
    known = load_manifest(published)
    assert known is not None
    assert known.calibration["equalize"] == "auto"
    assert recorded_decision(known.calibration) is not None
