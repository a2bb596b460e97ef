"""`--weights imagenet` by the command line: from a file in Keras' cache to proven files with 1000 classes."""

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from export.checks import class_names
from export.request import ExportRequest
from models.errors import DataError
from models.imagenet import RELEASES
from models.imagenet.classes import imagenet_classes, imagenet_labels
from models.spec import OwnNetwork
from models.zoo import MODELS
from tests.models.data.pictures import make_folder
from tests.models.imagenet.twins import random_twin, small, weights_bytes

if TYPE_CHECKING:
    from tests.export.conftest import Cli

NAME = "mobilenet_v1_0.25_128"
WANTED = ("--model", NAME, "--weights", "imagenet", "--format", "tflite", "--precision", "float32")


@pytest.fixture
def pics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures in folders of WordNet ids, and folders for Keras' and our own cache."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return make_folder(tmp_path / "pics", {row.wordnet_id: 8 for row in imagenet_classes()[100:103]})


def refused(run: subprocess.CompletedProcess[str], tmp_path: Path) -> str:
    """The message of a run that must end with 2, in one line, and leave nothing."""
    assert run.returncode == 2, run.stderr
    assert not (tmp_path / "build").exists()
    (error,) = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert run.stderr.splitlines()[-1] == error
    return error.removeprefix("error: ")


def test_a_file_in_the_cache_becomes_proven_files_of_a_thousand_classes(pics: Path, cli: "Cli", tmp_path: Path) -> None:
    content = weights_bytes(random_twin(small("mobilenet_v1_0.25")))
    (tmp_path / "keras" / "models").mkdir(parents=True)
    (tmp_path / "keras" / "models" / RELEASES[NAME].file_name).write_bytes(content)
    run = cli(*WANTED, "--dataset", str(pics), "--calibration-images", "4", "--json")
    assert run.returncode == 0, run.stderr
    folder = tmp_path / "build" / f"{NAME}-imagenet"
    assert (folder / "labels.txt").read_text("utf-8").splitlines() == list(imagenet_labels())
    manifest = json.loads(run.stdout)
    assert manifest["model"]["num_classes"] == manifest["labels"]["count"] == 1000
    weights = manifest["weights"]
    assert weights["source"] == "imagenet"
    assert weights["dataset"].startswith("imagenet-pics-")
    assert weights["origin"]["url"] == RELEASES[NAME].url
    assert weights["origin"]["file_sha256"] == hashlib.sha256(content).hexdigest()
    assert "Apache-2.0" in weights["origin"]["licence"]
    (artifact,) = manifest["artifacts"]
    assert artifact["output"]["shape"] == [1, 1000]
    assert artifact["verification"]["top1_agreement"] == 1
    assert artifact["verification"]["images"] == weights["images"] == 5


@pytest.mark.slow
def test_without_a_network_it_ends_with_2_the_address_the_folder_and_the_alternative(
    pics: Path, cli: "Cli", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens there: the same as no network, on machines that have one.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    said = refused(cli(*WANTED, "--dataset", str(pics), "--calibration-images", "4"), tmp_path)
    assert said == (
        f"cannot download {RELEASES[NAME].url}: [Errno 111] Connection refused; put the file into "
        f"{tmp_path / 'keras' / 'models'} yourself, or use --weights auto, which trains here"
    )
    assert not (tmp_path / "keras" / "models").exists()


def test_wishes_that_cannot_be_met_are_refused_before_anything_is_downloaded(
    pics: Path, cli: "Cli", tmp_path: Path
) -> None:
    assert refused(cli(*WANTED), tmp_path).startswith(
        "ImageNet's classes need pictures of ImageNet, got data set digits; give a folder"
    )
    said = refused(cli(*WANTED, "--dataset", str(make_folder(tmp_path / "own", {"cat": 9, "dog": 9}))), tmp_path)
    assert said.startswith(f"{tmp_path / 'own'} has a class 'cat', which is none of ImageNet's 1000; give a folder")
    said = refused(cli("--model", "mobilenet_v4_conv_small", "--weights", "imagenet", "--dataset", str(pics)), tmp_path)
    assert said.startswith("no ImageNet weights were released for mobilenet_v4_conv_small; there are some for")
    said = refused(cli(*WANTED, "--dataset", str(pics), "--calibration-images", "18"), tmp_path)
    assert said == "cannot take 18 calibration images from a split of 17; ask for 1 to 17 with --calibration-images"


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (
            1001,
            (
                "own.keras has 1001 classes (TensorFlow-slim's 1001: ImageNet's 1000 behind a `background` at 0, so "
                "that all are one off), the data set pics has 3; cut the first unit off its last layer and save it "
                "again, then use --dataset imagenet:DIR"
            ),
        ),
        (
            1000,
            (
                "own.keras has 1000 classes, the data set pics has 3; for ImageNet's 1000 give a folder of any of them "
                "with --dataset imagenet:DIR"
            ),
        ),
        (7, "own.keras has 7 classes, the data set pics has 3; give the data set it was trained on with --dataset"),
    ],
)
def test_an_own_network_of_imagenets_classes_is_told_what_it_needs(classes: int, message: str) -> None:
    own = OwnNetwork(path="own.keras", parameters=1, mult_adds=1, gives="logits")
    request = ExportRequest(
        spec=replace(MODELS[NAME], num_classes=classes, own=own),
        dataset="pics",
        weights="auto",
        precisions=(),
        calibration_images=1,
        seed=0,
        output="logits",
        build_dir=Path("build"),
    )
    with pytest.raises(DataError) as raised:
        class_names(request, ("n01440764", "n01443537", "n01484850"))
    assert str(raised.value) == message


def test_the_labels_of_slim_are_refused_with_what_they_are(pics: Path, cli: "Cli", tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"{name}\n" for name in ("background", *imagenet_labels())))
    said = refused(cli(*WANTED, "--dataset", str(pics), "--labels", str(labels)), tmp_path)
    assert said == (
        "--labels names 1001 classes (TensorFlow-slim's 1001: ImageNet's 1000 behind a `background` at 0, so that all "
        f"are one off), the data set imagenet:{pics} has 1000; write one name per line, in the order of "
        "the class indices"
    )
