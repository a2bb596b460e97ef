"""Weights of another training to start from."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import models.imagenet
from models.build import build
from models.errors import WeightsError
from models.spec import ModelSpec, Stage
from models.training.start import starting_digest, starting_weights
from models.worker import Progress, Report
from models.zoo import MODELS


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


def network(spec: ModelSpec, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build(spec)


def taken_over(model: keras.Model, source: keras.Model) -> set[str]:
    """Names of the layers whose weights are the source's."""
    return {
        layer.name
        for layer in model.layers
        if layer.weights and all(map(np.array_equal, layer.get_weights(), source.get_layer(layer.name).get_weights()))
    }


def test_all_but_the_classifier_comes_from_the_checkpoint_whatever_its_classes(tmp_path: Path, tiny: ModelSpec) -> None:
    path = tmp_path / "theirs.keras"
    source = network(replace(tiny, num_classes=3), 1)
    norm = source.get_layer("conv_1_norm")
    norm.set_weights([values + 0.5 for values in norm.get_weights()])
    source.save(path)
    model = network(tiny, 2)
    head = [np.array(weight) for weight in model.get_layer("classifier").weights]
    starting_weights(tiny, str(path), ignore)(model)
    names = {layer.name for layer in model.layers if layer.weights}
    assert taken_over(model, source) | {"classifier"} == names
    assert all(map(np.array_equal, head, model.get_layer("classifier").get_weights()))
    assert starting_digest(str(path)) is not None


def test_imagenets_weights_are_asked_for_by_the_network(monkeypatch: pytest.MonkeyPatch, tiny: ModelSpec) -> None:
    source = network(replace(tiny, num_classes=1000), 1)

    def imagenet_model(spec: ModelSpec, _report: Report, *, otherwise: str) -> keras.Model:
        assert spec is tiny
        assert otherwise == "leave --fine-tune out"
        return source

    monkeypatch.setattr(models.imagenet, "imagenet_model", imagenet_model)
    model = network(tiny, 2)
    starting_weights(tiny, "imagenet", ignore)(model)
    assert "conv_1" in taken_over(model, source)
    assert starting_digest("imagenet") is None


def test_a_download_that_fails_recommends_what_a_training_can_do_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # Nothing listens there: the same as no network, on machines that have one.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"^cannot download .*; put the file into .*, or leave --fine-tune out$"):
        starting_weights(MODELS["mobilenet_v1_0.25_128"], "imagenet", ignore)


def test_without_a_start_the_random_weights_stay(tiny: ModelSpec) -> None:
    model, same = network(tiny, 2), network(tiny, 2)
    starting_weights(tiny, None, ignore)(model)
    assert all(map(np.array_equal, model.get_weights(), same.get_weights()))
    assert starting_digest(None) is None


def test_another_network_is_refused(tmp_path: Path, tiny: ModelSpec) -> None:
    path = tmp_path / "wider.keras"
    wider = replace(tiny, stages=(Stage(block="conv", channels=16, stride=2), *tiny.stages[1:]))
    network(wider, 1).save(path)
    with pytest.raises(
        WeightsError, match=r"wider\.keras is not a tiny_1\.0_16: it is .*; name its model with --model$"
    ):
        starting_weights(tiny, str(path), ignore)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, tiny: ModelSpec) -> None:
    with pytest.raises(WeightsError, match=r"missing\.keras does not exist"):
        starting_weights(tiny, str(tmp_path / "missing.keras"), ignore)


@pytest.mark.slow
def test_ctrl_c_while_the_server_is_silent_leaves_nothing_of_the_download(tmp_path: Path) -> None:
    build, cache = tmp_path / "build", tmp_path / "keras" / "models"
    command = [sys.executable, "-m", "models", "train", "--model=mobilenet_v1_0.25_128", "--fine-tune=imagenet"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(120)
        # Keras' server is asked by way of a proxy, which takes the connection and says nothing.
        environment = {**os.environ, "https_proxy": f"http://127.0.0.1:{silent.getsockname()[1]}", "no_proxy": ""}
        environment |= {"KERAS_HOME": str(tmp_path / "keras")}
        with subprocess.Popen(
            [*command, "--build-dir", str(build)],
            cwd=Path(__file__).parents[3], env=environment, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            try:
                connection, _ = silent.accept()
                assert len(list(cache.iterdir())) == 1, "it is in the making"
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=60)
            finally:
                process.kill()
                process.wait()
        connection.close()
    assert process.returncode == 130
    assert said.endswith("interrupted: nothing was left half-written; the same command starts again\n")
    assert list(cache.iterdir()) == []
    assert not build.exists()
