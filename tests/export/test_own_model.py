"""A user's own classifier from its `.keras` file through the whole pipeline."""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from models.build import build
from models.data import load_dataset, preprocess
from models.spec import MINUS_ONE_TO_ONE
from models.zoo import lookup

if TYPE_CHECKING:
    from tests.export.conftest import Cli

    Finished = subprocess.CompletedProcess[str]

SIDE_PX = 32


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of digits that rescales by itself and ends with softmax, trained for some seconds: 97 %."""
    # One for all processes of this run of pytest.
    shared = tmp_path_factory.getbasetemp().parent / "own"
    shared.mkdir(exist_ok=True)
    path = shared / "my_net.keras"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _train(path)
    return path


def _train(path: Path) -> None:
    data = load_dataset("digits")
    train = data.splits["train"]
    pixels = preprocess([data.images[i] for i in train], MINUS_ONE_TO_ONE, SIDE_PX).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE_PX, SIDE_PX, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="first"),
            layers.BatchNormalization(momentum=0.8),
            layers.Activation("relu"),
            layers.SeparableConv2D(32, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(pixels, data.classes[train], epochs=15, batch_size=32, verbose=0)
    model.save(path)


@pytest.fixture(scope="module")
def exported(own: Path, tmp_path_factory: pytest.TempPathFactory, run_cli: "Cli") -> tuple["Finished", Path]:
    """The finished run, and the folder it made."""
    home = tmp_path_factory.mktemp("own-export")
    names = home / "names.txt"
    names.write_text("".join(f"the digit {n}\n" for n in range(10)))
    words = ("--model", str(own), "--preprocessing", "bytes", "--labels", str(names))
    done = run_cli(*words, "--precision", "float32,float16,int8", cwd=home)
    return done, home / "build" / "my_net-own"


def test_every_file_passes_and_the_manifest_tells_what_the_network_is(exported: tuple["Finished", Path]) -> None:
    done, folder = exported
    assert done.returncode == 0, done.stderr
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert [f"{a['precision']}.{a['format']}" for a in manifest["artifacts"]] == [
        "float32.tflite", "float16.tflite", "int8.tflite", "float32.onnx", "float16.onnx", "int8.onnx",
    ]  # fmt: skip
    assert all(artifact["verification"]["passed"] for artifact in manifest["artifacts"])
    model, weights = manifest["model"], manifest["weights"]
    assert (model["name"], model["family"], model["resolution_px"], model["num_classes"]) == ("my_net", "own", 32, 10)
    assert model["parameters"] == 432 + 32 + 16 * 9 + 16 * 32 + 64 + 16 * 32 * 10 + 10
    assert model["mult_adds"] == 16 * 16 * 432 + 8 * 8 * (16 * 9 + 16 * 32) + 16 * 32 * 10
    assert (weights["source"], weights["seed"]) == ("own", None)
    assert weights["top1"] > 0.93
    assert manifest["preprocessing"]["std"] == [1.0, 1.0, 1.0]
    assert "my_net (own): Keras float top-1" in done.stdout


def test_the_labels_given_stand_beside_the_files(exported: tuple["Finished", Path]) -> None:
    _, folder = exported
    assert (folder / "labels.txt").read_text("utf-8").splitlines() == [f"the digit {n}" for n in range(10)]


def test_the_int8_file_takes_bytes_and_answers_as_keras_does(own: Path, exported: tuple["Finished", Path]) -> None:
    data = load_dataset("digits")
    pixels = preprocess([data.images[i] for i in data.splits["test"][:60]], MINUS_ONE_TO_ONE, SIDE_PX)
    wanted = keras.saving.load_model(own).predict_on_batch(pixels.astype(np.float32))
    runner = Interpreter(str(exported[1] / "my_net-int8.tflite")).get_signature_runner("serving_default")
    got = np.concatenate([runner(image=picture[None])["probabilities"] for picture in pixels])
    assert got.dtype == np.uint8
    assert np.mean(got.argmax(axis=1) == wanted.argmax(axis=1)) > 0.95
    assert np.abs(got / 256 - wanted).mean() < 0.01


def test_tensors_bear_the_names_of_the_layers(exported: tuple["Finished", Path]) -> None:
    details = Interpreter(str(exported[1] / "my_net-float32.tflite")).get_tensor_details()
    names = {detail["name"] for detail in details}
    assert {"image", "first", "first/kernel", "digit/kernel", "probabilities"} <= names


def test_a_copy_called_as_a_network_of_the_zoo_is_refused(own: Path, tmp_path: Path, cli: "Cli") -> None:
    taken = tmp_path / "mobilenet_v2_1.0.keras"
    shutil.copy(own, taken)
    assert refusal(cli("--model", str(taken), "--preprocessing", "bytes")) == (
        f"error: {taken} is called as a network of the zoo; rename it, or give it with --model mobilenet_v2_1.0 "
        f"--weights {taken}"
    )


def refusal(done: "Finished") -> str:
    """The one line of a refusal, after checking that it is one."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    line = done.stderr.rstrip("\n").split("\n")[-1]
    assert line.startswith("error: ")
    return line


def test_options_that_do_not_go_together_are_refused(own: Path, cli: "Cli", tmp_path: Path) -> None:
    path = str(own)
    assert (
        "needs --preprocessing, what it was trained with: minus-one-to-one, zero-to-one, bytes, imagenet, or"
        in refusal(cli("--model", path))
    )
    assert "brings its own weights; leave the option out" in refusal(
        cli("--model", path, "--preprocessing", "bytes", "--weights", "random")
    )
    assert "mobilenet_v2_1.0 has its own; the option is for --model path/to/model.keras" in refusal(
        cli("--model", "mobilenet_v2_1.0", "--preprocessing", "bytes")
    )
    assert "unknown preprocessing 'byte'; did you mean bytes" in refusal(
        cli("--model", path, "--preprocessing", "byte")
    )
    assert "none.keras does not exist" in refusal(cli("--model", "none.keras", "--preprocessing", "bytes"))
    short = tmp_path / "short.txt"
    short.write_text("one\ntwo\n")
    assert "--labels names 2 classes, the data set digits has 10; write one name per line" in refusal(
        cli("--model", path, "--preprocessing", "bytes", "--labels", str(short))
    )
    assert not (tmp_path / "build").exists() or not list((tmp_path / "build").rglob("*.tflite"))


def test_another_number_of_classes_than_the_data_set_has_is_refused(tmp_path: Path, cli: "Cli") -> None:
    path = tmp_path / "thousand.keras"
    build(lookup("mobilenet_v1_0.25_128"), resolution_px=32).save(path)
    assert refusal(cli("--model", str(path), "--preprocessing", "minus-one-to-one")) == (
        f"error: {path} has 1000 classes, the data set digits has 10; "
        "for ImageNet's 1000 give a folder of any of them with --dataset imagenet:DIR"
    )


@pytest.mark.slow
def test_an_own_network_of_logits_can_give_either(tmp_path: Path, own: Path, cli: "Cli") -> None:
    model = keras.saving.load_model(own)
    *body, last = model.layers
    linear = layers.Dense(10, name="digit")
    network = keras.Sequential([keras.Input((SIDE_PX, SIDE_PX, 3)), *body, linear])
    linear.set_weights(last.get_weights())
    network.save(tmp_path / "linear.keras")
    words = ("--preprocessing", "bytes", "--format", "tflite", "--precision", "float32", "--json")
    for output in ("probabilities", "logits"):
        done = cli("--model", "linear.keras", *words, "--output", output)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["artifacts"][0]["output"]["name"] == output
    done = cli("--model", str(own), *words, "--output", "logits")
    assert done.returncode == 1
    assert "my_net ends with a softmax, so that it gives no logits; leave --output out" in done.stderr
