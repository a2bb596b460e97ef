"""How two ways of classifying the same pictures are compared; MediaPipe itself is in `test_mediapipe_task.py`."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.artifact import Artifact, Manifest, load_manifest, save_manifest
from export.contents import TensorInfo
from export.parity import MAX_RESIZE_DROP, WAYS, accepted, judge, least_agreement, measure_parity
from models.errors import DataError, UsageError
from models.spec import MINUS_ONE_TO_ONE
from models.worker import Progress

ARTIFACT = Artifact(
    file="net-int8.tflite", format="tflite", precision="int8", size_bytes=3, sha256="a" * 64, source_sha256="b" * 64,
    input=TensorInfo(name="image", dtype="uint8", shape=(1, 32, 32, 3)),
    output=TensorInfo(name="probabilities", dtype="uint8", shape=(1, 2)),
    operators={}, weights={}, verification=None, failure=None,
)  # fmt: skip
COUNT = 200


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


def scores(theirs_wrong: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Ours right always, theirs wrong for that many pictures."""
    classes = np.arange(COUNT) % 2
    right = np.eye(2)[classes]
    theirs = right.copy()
    theirs[:theirs_wrong] = right[:theirs_wrong, ::-1]
    return np.stack([right, theirs], axis=1), classes


@pytest.mark.parametrize(("wrong", "passed"), [(0, True), (6, True), (7, False)])
def test_the_same_pixels_must_agree(wrong: int, passed: bool) -> None:
    found = judge(ARTIFACT, "prepared", *scores(wrong), least_agreement(ARTIFACT, "digits"), smaller=False)
    assert found.check is not None
    assert (found.check.value, found.check.limit) == (found.agreement, 0.97)
    assert found.agreement == pytest.approx(1 - wrong / COUNT)
    assert (found.passed, found.max_abs_error) == (passed, float(wrong > 0))
    assert found.top1 == 1.0
    assert found.mediapipe_top1 == pytest.approx(1 - wrong / COUNT)


def test_random_weights_need_not_agree() -> None:
    assert least_agreement(ARTIFACT, "random") is None
    assert judge(ARTIFACT, "prepared", *scores(COUNT), None, smaller=False).passed


@pytest.mark.parametrize(("wrong", "passed"), [(4, True), (8, True), (20, False)])
def test_a_resize_fails_when_it_loses_too_much_for_sure(wrong: int, passed: bool) -> None:
    found = judge(ARTIFACT, "odd sizes", *scores(wrong), None, smaller=True)
    assert found.passed == passed
    assert (found.drop_ci95[0] <= MAX_RESIZE_DROP) == passed
    assert found.drop_ci95[0] < wrong / COUNT < found.drop_ci95[1]


def test_pictures_as_they_are_are_measured_and_not_judged() -> None:
    found = judge(ARTIFACT, "own size", *scores(COUNT), None, smaller=True)
    assert found.check is None
    assert found.passed
    assert found.mediapipe_top1 == 0
    assert json.loads(json.dumps(found.to_json()))["way"] == "own size"


def test_odd_sizes_are_odd_and_the_same_every_time() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    sizes = [WAYS["odd sizes"](picture, MINUS_ONE_TO_ONE, 128, number).shape[:2] for number in range(300)]
    assert sizes == [WAYS["odd sizes"](picture, MINUS_ONE_TO_ONE, 128, number).shape[:2] for number in range(300)]
    sides = {side for size in sizes for side in size}
    assert all(side % 2 for side in sides)
    assert all(height != width for height, width in sizes)
    assert min(sides) < 0.7 * 128 < 2.3 * 128 < max(sides)


@pytest.mark.parametrize(
    ("change", "takes"),
    [
        ({}, True),
        ({"format": "onnx"}, False),
        ({"input": replace(ARTIFACT.input, dtype="int8")}, False),
        ({"output": replace(ARTIFACT.output, dtype="int16")}, False),
    ],
)
def test_mediapipe_is_given_what_it_takes(change: dict[str, object], takes: bool) -> None:
    assert accepted(replace(ARTIFACT, **change)) == takes  # type: ignore[arg-type]


def test_a_folder_without_an_export_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no export; make one with `make export MODEL=…`$"):
        measure_parity(tmp_path, None, 10, silent)


def manifest(tmp_path: Path, dataset: str) -> Path:
    """An export with one file that has not passed."""
    (tmp_path / ARTIFACT.file).write_bytes(b"abc")
    known = replace(ARTIFACT, sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", failure="no")
    made = Manifest(
        model={}, weights={"dataset": dataset}, preprocessing={}, labels={}, calibration={}, tools={},
        artifacts=(known,), failures={},
    )  # fmt: skip
    save_manifest(tmp_path, made)
    return tmp_path


def test_an_export_without_a_file_for_mediapipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no \.tflite file that passed and that MediaPipe takes"):
        measure_parity(manifest(tmp_path, "digits"), None, 10, silent)


def test_a_folder_of_pictures_has_to_be_given_again(published: Path) -> None:
    known = load_manifest(published)
    assert known is not None
    save_manifest(published, replace(known, weights={**known.weights, "dataset": "my-photos"}))
    with pytest.raises(DataError, match=r"were verified with data set my-photos; give it with --dataset$"):
        measure_parity(published, None, 10, silent)


def test_another_data_set_is_refused(published: Path) -> None:
    known = load_manifest(published)
    assert known is not None
    save_manifest(published, replace(known, weights={**known.weights, "dataset_sha256": "0" * 64}))
    with pytest.raises(DataError, match=r"^data set digits is not the one that .* was verified with"):
        measure_parity(published, None, 10, silent)
