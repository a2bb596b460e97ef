"""ImageNet weights in our own networks compute what the network of keras.applications computes that they came from."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np
import pytest

from models.data import normalise
from models.errors import WeightsError
from models.imagenet import RELEASES, Release, imagenet_model
from models.imagenet.download import models_folder
from models.imagenet.network import from_twin, keras_twin, load_imagenet, read_into
from models.worker import Progress
from models.zoo import MODELS
from tests.device_bench.file_server import serving, whole
from tests.models.imagenet.twins import random_twin, small, softmax, weights_bytes
from tests.models.random_networks import pictures


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def one_per_width() -> list[str]:
    """Files of one width differ in their numbers alone, whatever their resolution."""
    return list({(MODELS[name].family, MODELS[name].width): name for name in RELEASES}.values())


CHEAP = ("mobilenet_v1_0.25", "mobilenet_v2_0.35", "mobilenet_v3_small_0.75")
EVERY_WIDTH = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in CHEAP else pytest.mark.slow) for name in one_per_width()]
)


def test_the_default_tests_have_one_of_each_family() -> None:
    assert set(CHEAP) <= set(one_per_width())
    assert len(one_per_width()) == 4 + 6 + 4 + 2


@EVERY_WIDTH
def test_a_downloaded_file_gives_the_outputs_of_keras_own_network(name: str) -> None:
    spec = small(name)
    twin = random_twin(spec)
    content = weights_bytes(twin)
    with serving() as site:
        site.pages["/weights.h5"] = whole(content)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        model = imagenet_model(replace(spec, num_classes=7), ignore, Release(url=f"{site.url}/weights.h5", md5=md5))
    assert model.output_shape == (None, 1000)
    ours, theirs = (softmax(network.predict_on_batch(pictures(64))) for network in (model, twin))
    # The comparison means something only where the outputs depend on the picture, and are no constant.
    assert min(np.abs(theirs[a] - theirs[b]).max() for a in range(4) for b in range(a)) > 1e-4
    # Two arrays of equal shape that changed places, or another epsilon, move probabilities by 1e-4 and more.
    assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.parametrize("size", ["small", pytest.param("large", marks=pytest.mark.slow)])
def test_the_preprocessing_does_what_keras_hides_in_its_v3(size: str) -> None:
    spec = small(f"mobilenet_v3_{size}_0.75")
    function = {"small": keras.applications.MobileNetV3Small, "large": keras.applications.MobileNetV3Large}[size]
    twin = random_twin(spec)
    hidden = function(input_shape=(64, 64, 3), alpha=0.75, weights=None)
    hidden.set_weights(twin.get_weights())
    assert any(isinstance(layer, keras.layers.Rescaling) for layer in hidden.layers)
    picture_bytes = ((pictures(64) + 1) * 127.5).astype(np.uint8)
    ours = softmax(from_twin(spec, twin).predict_on_batch(normalise(picture_bytes, spec.preprocessing)))
    assert np.abs(ours - hidden.predict_on_batch(picture_bytes.astype(np.float32))).max() < 1e-5


SPEC = small("mobilenet_v1_0.25")


def rewritten(content: bytes, path: Path, change: Callable[[h5py.File], None]) -> None:
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        change(file)


def with_nan(file: h5py.File) -> None:
    file["conv1"]["conv1"]["kernel"][0, 0, 0, 0] = np.nan


def layer_less(file: h5py.File) -> None:
    file.attrs["layer_names"] = [name for name in file.attrs["layer_names"] if name != "conv1"]


def of_other_shape(file: h5py.File) -> None:
    del file["conv1"]["conv1"]["kernel"]
    file["conv1"]["conv1"]["kernel"] = np.zeros((5, 5, 3, 8), np.float32)


def with_link(file: h5py.File) -> None:
    del file["conv1"]["conv1"]["kernel"]
    file["conv1"]["conv1"]["kernel"] = h5py.ExternalLink("/etc/passwd", "kernel")


def from_another_file(file: h5py.File) -> None:
    del file["conv1"]["conv1"]["kernel"]
    file["conv1"]["conv1"].create_dataset("kernel", (3, 3, 3, 8), "f4", external=[("/etc/passwd", 0, 864)])


def packed_small(file: h5py.File) -> None:
    file.create_dataset("bomb", (1 << 40,), "f4", chunks=(1 << 16,), compression="gzip")


def in_itself(file: h5py.File) -> None:
    file["conv1"]["again"] = file["conv1"]


SPOILED: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "NaN": (with_nan, "holds NaN or infinite values"),
    "a layer less": (layer_less, "cannot be read as weights of mobilenet_0.25_64: Layer count mismatch"),
    "another shape": (of_other_shape, "cannot be read as weights of mobilenet_0.25_64: Shape mismatch"),
    "a link": (with_link, "holds a link where weights should be ('kernel')"),
    "an array elsewhere": (from_another_file, "takes the array 'kernel' from another file"),
    "four terabytes": (packed_small, "holds arrays of more than 134217728 bytes"),
    "a group in itself": (in_itself, "holds more than 3000 groups"),
}


@pytest.fixture(scope="module")
def content() -> bytes:
    return weights_bytes(random_twin(SPEC))


@pytest.fixture(scope="module")
def twin() -> keras.Model:
    return keras_twin(SPEC)


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_file_is_named_with_what_is_wrong(
    what: str, content: bytes, twin: keras.Model, tmp_path: Path
) -> None:
    change, message = SPOILED[what]
    rewritten(content, tmp_path / "weights.h5", change)
    reason = read_into(twin, tmp_path / "weights.h5")
    assert reason is not None
    assert reason.startswith(message), reason
    assert "\n" not in reason
    assert len(reason) < 300


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (lambda content: content[:-1000], "cannot be read as weights of mobilenet_0.25_64: "),
        (lambda content: content[:700], "cannot be read as weights of mobilenet_0.25_64: "),
        (lambda _: b"", "is no HDF5 file: it begins with b''"),
        (lambda _: b"<!DOCTYPE html>\x1b[2J", "is no HDF5 file: it begins with b'<!DOCTYPE html>\\x1b[2J'"),
    ],
)
def test_a_file_cut_off_or_of_another_kind_is_named(
    cut: Callable[[bytes], bytes], message: str, content: bytes, twin: keras.Model, tmp_path: Path
) -> None:
    (tmp_path / "weights.h5").write_bytes(cut(content))
    reason = read_into(twin, tmp_path / "weights.h5")
    assert reason is not None
    assert reason.startswith(message), reason


def test_a_sound_file_has_no_fault(content: bytes, twin: keras.Model, tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(content)
    assert read_into(twin, tmp_path / "weights.h5") is None


def test_weights_of_another_network_are_refused_and_not_kept() -> None:
    other = weights_bytes(random_twin(small("mobilenet_v2_0.35")))
    with serving() as site:
        site.pages["/weights.h5"] = whole(other)
        with pytest.raises(WeightsError, match=rf"^what came from {site.url}/weights.h5 cannot be read as weights of "):
            load_imagenet(SPEC, ignore, Release(url=f"{site.url}/weights.h5", md5=None))
    assert not models_folder().exists()


def test_a_network_without_weights_is_refused_before_anything_is_built() -> None:
    with pytest.raises(WeightsError, match="no ImageNet weights were released for vgg_small"):
        imagenet_model(MODELS["vgg_small"], ignore)
