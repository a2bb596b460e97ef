"""The files in MediaPipe's own ImageClassifier, as apps have it, and what it makes of a picture before the network."""

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_sample_image

from export.contents import read_contents
from export.mediapipe_task import check_mediapipe, classify_pictures, load_mediapipe
from export.precision import PRECISIONS, Precision
from export.tflite_file import read_model, write_model
from export.verify import load_tflite, to_input, to_probabilities
from models.data import prepare_picture
from models.errors import NotInstalledError, VerificationError
from models.spec import Preprocessing
from models.worker import Report, run_in_worker
from tests.export.probe import SIDE_PX, make_probe, seen

if TYPE_CHECKING:
    import subprocess

    from tests.export.conftest import Exported, Network

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TAKEN = ("float32", "float16", "dynamic_range", "int8")
PHOTO: NDArray[np.uint8] = load_sample_image("china.jpg")
BYTES = Preprocessing(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))


@pytest.fixture(scope="module", autouse=True)
def _usable() -> None:
    try:
        run_in_worker(check_mediapipe)
    except NotInstalledError as error:
        pytest.skip(str(error))


def answers(path: Path, classes: int, pictures: NDArray[np.uint8], tmp_path: Path) -> NDArray[np.float64]:
    """MediaPipe's scores, `[N, classes]`."""
    np.save(tmp_path / "pictures.npy", pictures)
    scores: NDArray[np.float64] = run_in_worker(classify_pictures, path, classes, tmp_path / "pictures.npy")
    return scores


def ours(network: "Network", row: Precision, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    path = network.work.made(row)
    contents, predict = read_contents(path.read_bytes(), row), load_tflite(path, builtin_only=False)
    stored = [predict(to_input(one[None], contents.input, network.spec.preprocessing)) for one in pixels]
    return to_probabilities(np.concatenate(stored), contents.output)


def test_every_file_gives_verifications_answer_and_loses_nothing_by_mediapipes_resize(
    full: "Exported", run_script: Run
) -> None:
    run = run_script("-m", "export", "parity", str(full.folder), "--images", "200", "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(run.stdout)["comparisons"]
    assert json.loads((full.folder / "parity.json").read_text()) == json.loads(run.stdout)
    by = {(row["file"].removesuffix(".tflite").split("-")[-1], row["way"]): row for row in found}
    assert set(by) == {(name, way) for name in TAKEN for way in ("prepared", "own size", "odd sizes")}
    for name in TAKEN:
        assert by[name, "prepared"]["images"] == 200
        # Same pixels: not one picture may get another class, but where every runtime rounds the activations its way.
        assert by[name, "prepared"]["agreement"] >= (0.97 if name == "dynamic_range" else 1.0)
        # Its resize takes single pixels where ours averages: some pictures near two classes flip, either way.
        assert by[name, "odd sizes"]["agreement"] >= 0.93
        assert abs(by[name, "odd sizes"]["mediapipe_top1"] - by[name, "odd sizes"]["top1"]) <= 0.03 + 1e-9
        assert by[name, "own size"]["smaller"]


@pytest.mark.parametrize("name", TAKEN)
def test_files_of_a_network_with_random_weights_load_and_agree(name: str, untrained: "Network", tmp_path: Path) -> None:
    row, pixels = PRECISIONS["tflite", name], np.load(untrained.work.test_pixels)[:20]
    theirs = answers(untrained.work.made(row), 10, pixels, tmp_path)
    # dynamic_range rounds every activation anew, in each runtime its own way; on average little remains of it.
    most = {"float32": 1e-4, "float16": 1e-4, "int8": 0.02, "dynamic_range": 0.3}[name]
    difference = np.abs(theirs - ours(untrained, row, pixels)).max(axis=1)
    assert difference.max() <= most
    assert difference.mean() <= most / 3


@pytest.mark.parametrize("name", ["int8_npu", "int16x8"])
def test_signed_inputs_are_refused_as_the_documentation_says(name: str, untrained: "Network", tmp_path: Path) -> None:
    path, pixels = untrained.work.made(PRECISIONS["tflite", name]), np.zeros((1, 96, 96, 3), np.uint8)
    with pytest.raises(VerificationError, match=r"^MediaPipe refuses .*Requested one of these types: uint8/float32"):
        answers(path, 10, pixels, tmp_path)


def test_floats_without_metadata_are_refused(tmp_path: Path) -> None:
    model = read_model(make_probe())
    model.metadata = None
    (tmp_path / "bare.tflite").write_bytes(write_model(model))
    with pytest.raises(VerificationError, match="requires specifying NormalizationOptions metadata"):
        answers(tmp_path / "bare.tflite", 3 * SIDE_PX**2, np.zeros((1, 8, 8, 3), np.uint8), tmp_path)


def theirs_of(picture: NDArray[np.uint8], tmp_path: Path, dtype: str = "float32") -> NDArray[np.float64]:
    """The picture that MediaPipe feeds, in grey levels, `[side, side, 3]`."""
    path = tmp_path / "probe.tflite"
    path.write_bytes(make_probe(dtype))
    return seen(answers(path, 3 * SIDE_PX**2, picture[None], tmp_path)[0])


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_picture_of_the_inputs_size_arrives_untouched(dtype: str, tmp_path: Path) -> None:
    picture = prepare_picture(PHOTO, BYTES, SIDE_PX)
    np.testing.assert_allclose(theirs_of(picture, tmp_path, dtype), picture, atol=1e-3)


def point_sampled(picture: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Bilinear between the four pixels around `(y * height / side, x * width / side)`: neither centres nor averages."""
    values, place = picture.astype(np.float64), []
    for length in picture.shape[:2]:
        at = np.arange(side) * length / side
        low = np.minimum(at.astype(int), length - 1)
        place.append((low, np.minimum(low + 1, length - 1), at - low))
    (top, bottom, down), (left, right, across) = place
    down, across = down[:, None, None], across[None, :, None]
    upper = values[top][:, left] * (1 - across) + values[top][:, right] * across
    lower = values[bottom][:, left] * (1 - across) + values[bottom][:, right] * across
    result: NDArray[np.float64] = upper * (1 - down) + lower * down
    return result


@pytest.mark.parametrize("shape", [(427, 640), (37, 61), (25, 23), (9, 7)], ids=str)
def test_mediapipes_resize_is_what_the_documentation_says(shape: tuple[int, int], tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, num=shape[0])[:, None, None] * np.linspace(40, 255, num=shape[1])[None, :, None]
    step = max(1, PHOTO.shape[0] // shape[0])
    photo = PHOTO if shape == PHOTO.shape[:2] else PHOTO[::step, ::step][: shape[0], : shape[1]]
    for picture in (photo, np.repeat(ramp, 3, axis=2).astype(np.uint8)):
        theirs = theirs_of(np.ascontiguousarray(picture), tmp_path)
        # OpenCV computes with 5 bits of a pixel's place, which moves an edge of 255 grey levels by a few.
        difference = np.abs(theirs - point_sampled(picture, SIDE_PX))
        assert difference.mean() < 0.6
        assert difference.max() < 8


def after_classifying(_: Report, path: Path) -> list[Any]:
    """Whether a socket can be opened once a classifier is at work, and what was not imported."""
    mediapipe = load_mediapipe()
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=str(path)))
    with vision.ImageClassifier.create_from_options(options) as classifier:
        picture = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.zeros((9, 9, 3), np.uint8))
        count = len(classifier.classify(picture).classifications[0].categories)
        try:
            socket.socket().close()
            opened = True
        except PermissionError:
            opened = False
    return [count, opened, sys.modules.get("tensorflow")]


def test_mediapipe_works_and_cannot_report(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(make_probe())
    assert run_in_worker(after_classifying, tmp_path / "probe.tflite") == [3 * SIDE_PX**2, False, None]
