"""Networks from the command line: a name, or a file."""

import zipfile
from pathlib import Path

import pytest

from models.errors import UnknownNameError, UsageError, WeightsError
from models.given import find_model, own_weights
from models.spec import OwnNetwork
from models.worker import Progress
from models.zoo import MODELS


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


def archive(path: Path) -> Path:
    """A file that looks like a checkpoint from outside."""
    with zipfile.ZipFile(path, "w") as made:
        for name in ("config.json", "model.weights.h5"):
            made.writestr(name, "{}")
    return path


def test_a_name_of_the_zoo_is_its_row() -> None:
    assert find_model("mobilenet_v2_1.4", None, "random", silent) is MODELS["mobilenet_v2_1.4"]
    with pytest.raises(UnknownNameError, match=r"unknown model 'mobilenet_v2_1\.5'"):
        find_model("mobilenet_v2_1.5", None, "auto", silent)


def test_a_row_brings_its_preprocessing() -> None:
    with pytest.raises(UsageError, match=r"^--preprocessing bytes: mobilenet_v2_1\.4 has its own; the option is for"):
        find_model("mobilenet_v2_1.4", "bytes", "auto", silent)


def test_a_file_needs_a_preprocessing_and_brings_its_weights(tmp_path: Path) -> None:
    path = str(archive(tmp_path / "net.keras"))
    with pytest.raises(
        UsageError, match=r"net\.keras needs --preprocessing, .*: minus-one-to-one, zero-to-one, bytes,"
    ):
        find_model(path, None, "auto", silent)
    with pytest.raises(
        UsageError, match=r"^--weights random: .*net\.keras brings its own weights; leave the option out$"
    ):
        find_model(path, "bytes", "random", silent)


def test_a_file_called_as_a_row_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "mobilenet_v1_0.25_128.keras")
    with pytest.raises(UsageError, match=r"is called as a network of the zoo; rename it, or give it with --model mob"):
        find_model(str(path), "bytes", "auto", silent)


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_a_file_that_is_no_archive_is_refused_before_anything_heavy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.keras"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"is damaged or not a \.keras file"):
        find_model(str(path), "bytes", "auto", silent)


def test_what_keras_cannot_read_is_refused_by_the_worker(tmp_path: Path) -> None:
    path = archive(tmp_path / "net.keras")
    with pytest.raises(WeightsError, match=r"net\.keras cannot be loaded: "):
        find_model(str(path), "bytes", "auto", silent)


def test_the_weights_of_an_own_file_are_known_by_its_digest(tmp_path: Path) -> None:
    path = archive(tmp_path / "net.keras")
    own = OwnNetwork(path=str(path), parameters=1, mult_adds=None, gives="logits")
    weights = own_weights(own)
    assert (weights.model, weights.source, weights.path, weights.seed) == ("net", "own", path, None)
    assert len(weights.sha256) == 64
    path.unlink()
    with pytest.raises(WeightsError, match="does not exist"):
        own_weights(own)
