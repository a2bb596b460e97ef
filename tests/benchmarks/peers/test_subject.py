"""What is quantized."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from benchmarks.peers.subject import Subject, find_subject, prepare, write_twin
from export.work import WorkFiles
from models.build import build, fold_batch_norm
from models.load import into_network, read_checkpoint
from models.zoo import MODELS
from tests.models.random_networks import pictures, randomise

SPEC = replace(MODELS["mobilenet_v3_small_0.75"], resolution_px=32, num_classes=10)


def subject(folder: Path, *, twin: bool = True) -> Subject:
    keras.utils.set_random_seed(0)
    model = build(SPEC)
    randomise(model, 32)
    model.save(folder / "trained.keras")
    return Subject(spec=SPEC, weights=folder / "trained.keras", twin=twin, dataset="digits", images=4, folder=folder)


def test_a_twin_loads_as_any_checkpoint_and_computes_the_same_with_other_weights(tmp_path: Path) -> None:
    given = subject(tmp_path)
    bytes_given = np.rint((pictures(32) + 1) * 127.5).astype(np.uint8)
    np.save(given.work.calibration_pixels, bytes_given)
    assert write_twin(given) > 100
    networks = [
        fold_batch_norm(into_network(path, read_checkpoint(path), SPEC), SPEC)
        for path in (given.weights, given.checkpoint)
    ]
    wanted, found = (network.predict_on_batch(pictures(32)) for network in networks)
    # Every weight is rounded anew, which an untrained network makes much of; a wrong factor gives other answers.
    np.testing.assert_allclose(found, wanted, atol=2e-4 * np.abs(wanted).max(), rtol=0)
    kernels = [network.get_layer("inverted_residual_7_project").get_weights()[0] for network in networks]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.5 * np.abs(kernels[0]).max()


def test_other_weights_pictures_or_sides_have_another_folder(tmp_path: Path) -> None:
    weights = tmp_path / "trained.keras"
    weights.write_bytes(b"one")

    def folder(side_px: int = 32, images: int = 8, *, twin: bool = False) -> str:
        spec = replace(SPEC, resolution_px=side_px)
        return find_subject(spec, weights, "digits", images, tmp_path, twin=twin).folder.name

    first = folder()
    assert first == folder()
    others = {folder(side_px=64), folder(images=9), folder(twin=True)}
    weights.write_bytes(b"two")
    assert len({first, *others, folder()}) == 5


def test_a_preparation_that_was_cut_short_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, made = subject(tmp_path, twin=False), list[Subject]()

    def convert(_report: object, of: Subject, work: WorkFiles, _settings: object) -> None:
        made.append(of)
        work.reference.write_bytes(b"the last file")

    monkeypatch.setattr("benchmarks.peers.subject.convert", convert)
    # Whoever was killed, or whose network was refused, left this much.
    given.work.float_onnx.write_bytes(b"half a fi")
    prepare(print, given)
    prepare(print, given)
    assert made == [given]
