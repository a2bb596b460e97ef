"""ImageNet's weights as a checkpoint in the build folder: made once, reproducible, with the record of their origin."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from models.checkpoint import JSON_FILE, KERAS_FILE
from models.errors import DataError, WeightsError
from models.imagenet import RELEASES
from models.imagenet.download import models_folder
from models.imagenet.obtain import _make, load_obtained, obtain_imagenet
from models.load import load_checkpoint
from models.spec import Preprocessing
from models.weights import check_choice, obtain_weights
from models.worker import Progress
from models.zoo import MODELS
from tests.models.imagenet.twins import random_twin, small, weights_bytes
from tests.models.random_networks import pictures

NAME = "mobilenet_v1_0.25_128"
SPEC, RELEASE = MODELS[NAME], RELEASES[NAME]


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


@pytest.fixture(scope="module")
def content() -> bytes:
    """A file as Keras would have downloaded it: of this width, the resolution changes nothing in it."""
    return weights_bytes(random_twin(small("mobilenet_v1_0.25")))


@pytest.fixture(autouse=True)
def cached(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in Keras' cache, where somebody put it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    models_folder().mkdir(parents=True)
    path = models_folder() / RELEASE.file_name
    path.write_bytes(content)
    return path


@pytest.mark.slow
def test_the_checkpoint_is_published_with_its_origin_and_needs_the_cache_once(cached: Path, tmp_path: Path) -> None:
    build, asked = tmp_path / "build", []
    first = obtain_weights(
        SPEC, "digits", "imagenet", seed=0, build_dir=build, report=ignore, before_making=lambda: asked.append(1)
    )
    folder = build / f"{NAME}-imagenet"
    assert {path.name for path in folder.iterdir()} == {KERAS_FILE, JSON_FILE}
    assert (first.model, first.source, first.seed, first.path) == (NAME, "imagenet", None, folder / KERAS_FILE)
    record = json.loads((folder / JSON_FILE).read_text("utf-8"))
    assert record["origin"] == {
        "url": RELEASE.url,
        "file_sha256": hashlib.sha256(cached.read_bytes()).hexdigest(),
        "file_md5": hashlib.md5(cached.read_bytes(), usedforsecurity=False).hexdigest(),
        "checked_against_md5": None,
        "unchecked_reason": "Keras knows no hash of this file",
        "licence": record["origin"]["licence"],
        "published_top1": 0.415,
    }
    assert record["origin"]["licence"].startswith("Apache-2.0 (tensorflow/models)")
    assert Preprocessing.from_json(record["preprocessing"]) == SPEC.preprocessing
    assert asked == [1]
    shutil.rmtree(tmp_path / "keras")
    again = obtain_weights(
        SPEC, "digits", "imagenet", seed=1, build_dir=build, report=ignore, before_making=lambda: asked.append(2)
    )
    assert (again.sha256, again.source) == (first.sha256, "imagenet")
    assert asked == [1]
    model = load_checkpoint(first.path, replace(SPEC, num_classes=1000))
    twin = random_twin(small("mobilenet_v1_0.25"))
    assert [w.size for w in model.get_weights()] == [w.size for w in twin.get_weights()]
    assert all((a.ravel() == b.ravel()).all() for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))
    assert model.predict_on_batch(pictures(128)).shape == (4, 1000)


def test_the_same_file_gives_the_same_bytes_and_the_record_says_whether_its_hash_is_known(
    tmp_path: Path, cached: Path
) -> None:
    md5 = hashlib.md5(cached.read_bytes(), usedforsecurity=False).hexdigest()
    paths = [tmp_path / "one.keras", tmp_path / "two.keras"]
    unknown, known = (_make(ignore, SPEC, replace(RELEASE, md5=m), p) for m, p in zip((None, md5), paths, strict=True))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    checks = [(r["origin"].pop("checked_against_md5"), r["origin"].pop("unchecked_reason")) for r in (unknown, known)]
    assert checks == [(None, "Keras knows no hash of this file"), (md5, None)]
    assert unknown == known


def test_a_checkpoint_of_another_release_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    assert load_obtained(folder, RELEASE) is None
    (folder / KERAS_FILE).write_bytes(b"weights")
    record = {
        "model": NAME,
        "dataset": {"name": "imagenet"},
        "settings": {"seed": None, "phases": []},
        "origin": {"url": "http://other"},
        "weights": {"sha256": hashlib.sha256(b"weights").hexdigest()},
    }
    (folder / JSON_FILE).write_text(json.dumps(record))
    assert load_obtained(folder, RELEASE) is None
    (folder / JSON_FILE).write_text(json.dumps({**record, "origin": {"url": RELEASE.url}}))
    trained = load_obtained(folder, RELEASE)
    assert trained is not None
    assert trained.source == "imagenet"


@pytest.mark.slow
def test_what_goes_wrong_in_the_worker_is_a_weights_error_and_leaves_nothing(cached: Path, tmp_path: Path) -> None:
    cached.write_bytes(b"<html>")
    with pytest.raises(WeightsError, match=rf"^{cached} is no HDF5 file: it begins with b'<html>'; delete it, and the"):
        obtain_imagenet(SPEC, RELEASE, tmp_path / "build", ignore)
    assert not (tmp_path / "build").exists()
    assert cached.read_bytes() == b"<html>"


def test_only_imagenets_weights_change_what_a_data_set_means() -> None:
    for choice in ("auto", "random", "net.keras"):
        assert check_choice(MODELS["vgg_small"], "digits", choice) == "digits"
    assert check_choice(SPEC, "./pics", "imagenet") == "imagenet:./pics"


def test_network_and_data_set_are_judged_before_anything_is_done() -> None:
    with pytest.raises(WeightsError, match="no ImageNet weights were released for vgg_small"):
        check_choice(MODELS["vgg_small"], "digits", "imagenet")
    with pytest.raises(DataError, match="ImageNet's classes need pictures of ImageNet, got data set digits"):
        check_choice(SPEC, "digits", "imagenet")
