"""Checkpoints from outside: what is taken over, and what each kind of bad file is told."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from models.build import build
from models.errors import WeightsError
from models.load import load_checkpoint
from models.spec import ModelSpec
from models.zoo import MODELS


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny: ModelSpec) -> Path:
    """A good file, with statistics that are not the initial ones."""
    model = build(tiny)
    rng = np.random.default_rng(0)
    model.set_weights([values + rng.uniform(0, 0.1, values.shape) for values in model.get_weights()])
    path = tmp_path_factory.mktemp("good") / "good.keras"
    model.save(path)
    return path


def test_a_checkpoint_gives_its_weights_to_our_own_network(checkpoint: Path, tiny: ModelSpec) -> None:
    model, saved = load_checkpoint(checkpoint, tiny), keras.saving.load_model(checkpoint)
    assert all(map(np.array_equal, model.get_weights(), saved.get_weights()))
    pictures = np.random.default_rng(1).uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)
    assert np.array_equal(model.predict_on_batch(pictures), saved.predict_on_batch(pictures))


def test_a_checkpoint_for_pictures_of_any_size_serves_the_rows_own(tmp_path: Path, tiny: ModelSpec) -> None:
    build(tiny, resolution_px=0).save(tmp_path / "any.keras")
    assert load_checkpoint(tmp_path / "any.keras", tiny).input_shape == (None, 16, 16, 3)


def missing(path: Path, _good: Path, _spec: ModelSpec) -> None:
    assert not path.exists()


def folder(path: Path, _good: Path, _spec: ModelSpec) -> None:
    path.mkdir()


def truncated(path: Path, good: Path, _spec: ModelSpec) -> None:
    path.write_bytes(good.read_bytes()[: good.stat().st_size // 2])


def empty(path: Path, _good: Path, _spec: ModelSpec) -> None:
    path.touch()


def text(path: Path, _good: Path, _spec: ModelSpec) -> None:
    path.write_text("weights: none\n" * 100)


def bits_flipped(path: Path, good: Path, _spec: ModelSpec) -> None:
    data = bytearray(good.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(byte ^ 0xFF for byte in data[middle : middle + 64])
    path.write_bytes(data)


def other_zip(path: Path, _good: Path, _spec: ModelSpec) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")


def other_model(path: Path, _good: Path, _spec: ModelSpec) -> None:
    build(replace(MODELS["mobilenet_v1_0.25_128"], num_classes=10)).save(path)


def other_width(path: Path, _good: Path, spec: ModelSpec) -> None:
    first, *rest = spec.stages
    build(replace(spec, name="tiny_2.0_16", stages=(replace(first, channels=16), *rest))).save(path)


def more_classes(path: Path, _good: Path, spec: ModelSpec) -> None:
    build(replace(spec, num_classes=1000)).save(path)


def nan(path: Path, good: Path, _spec: ModelSpec) -> None:
    model = keras.saving.load_model(good)
    kernel, bias = model.get_layer("classifier").get_weights()
    bias[3] = np.nan
    model.get_layer("classifier").set_weights([kernel, bias])
    model.save(path)


def infinite_variance(path: Path, good: Path, _spec: ModelSpec) -> None:
    model = keras.saving.load_model(good)
    values = model.get_layer("conv_1_norm").get_weights()
    values[3][0] = np.inf
    model.get_layer("conv_1_norm").set_weights(values)
    model.save(path)


NO_ZIP = r"is damaged or not a \.keras file \(it is no zip archive\); save it again$"
BAD: list[tuple[Callable[[Path, Path, ModelSpec], None], str]] = [
    (missing, r"does not exist; give the path of a \.keras file, or "),
    (folder, r"does not exist; give the path of a \.keras file, or "),
    (truncated, NO_ZIP),
    (empty, NO_ZIP),
    (text, NO_ZIP),
    (bits_flipped, r"cannot be loaded: "),
    (other_zip, r"is no \.keras file: config\.json and model\.weights\.h5 missing in it; save it with Keras 3$"),
    (other_model, r"is not a tiny_1\.0_16: it is 'mobilenet_v1_0_25_128' with 137 weight arrays, .* with --model$"),
    (other_width, r"is not a tiny_1\.0_16: it is 'tiny_2_0_16' with \d+ weight arrays, .* with --model$"),
    (more_classes, r"has 1000 classes, the data set has 10; give the data set it was trained on with --dataset$"),
    (nan, r"has NaN or infinite values in 1 of \d+ arrays, first in classifier/bias; its training diverged"),
    (infinite_variance, r"has NaN or infinite values in 1 of \d+ arrays, first in conv_1_norm/moving_variance;"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_a_bad_checkpoint_is_refused_in_one_line_that_says_why(
    tmp_path: Path, checkpoint: Path, tiny: ModelSpec, spoil: Callable[[Path, Path, ModelSpec], None], message: str
) -> None:
    path = tmp_path / "bad.keras"
    spoil(path, checkpoint, tiny)
    with pytest.raises(WeightsError, match=message) as raised:
        load_checkpoint(path, tiny)
    assert str(raised.value).startswith(f"checkpoint {path} ")
    assert len(str(raised.value).splitlines()) == 1


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, tiny: ModelSpec) -> None:
    marker, path = tmp_path / "marker", tmp_path / "lambda.keras"
    tensor = keras.Input((16, 16, 3))
    code = eval(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]")  # noqa: S307 - a lambda with the path inside
    output = keras.layers.Lambda(code)(tensor)
    keras.Model(tensor, output).save(path)
    # It is a working attack: whoever loads it without care runs it.
    marker.unlink()
    keras.saving.load_model(path, safe_mode=False)
    marker.unlink()
    with pytest.raises(WeightsError) as raised:
        load_checkpoint(path, tiny)
    assert not marker.exists()
    assert str(raised.value) == (
        f"checkpoint {path} cannot be loaded: it holds a Lambda layer, which is code from outside and is not run"
    )


def test_a_network_of_the_same_shapes_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    spec = replace(MODELS["mobilenet_v1_0.25_128"], num_classes=10)
    keras.utils.set_random_seed(0)
    model = build(spec)
    # Settled, or nothing but zeros would come out.
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(0).uniform(-1, 1, (8, 128, 128, 3)).astype(np.float32), training=True)
    other = keras.Sequential([keras.Input((128, 128, 3)), keras.layers.Rescaling(-1.0), model])
    other.save(tmp_path / "inverted.keras")
    with pytest.raises(WeightsError, match=r"has the shapes of .* but computes another function"):
        load_checkpoint(tmp_path / "inverted.keras", spec)


def test_a_checkpoint_for_another_picture_size_is_refused(tmp_path: Path) -> None:
    build(replace(MODELS["mobilenet_v1_0.25_128"], num_classes=10)).save(tmp_path / "small.keras")
    with pytest.raises(WeightsError, match=r"takes pictures of \(128, 128, 3\), mobilenet_v1_0\.25 of \(224, 224, 3\)"):
        load_checkpoint(tmp_path / "small.keras", replace(MODELS["mobilenet_v1_0.25"], num_classes=10))
