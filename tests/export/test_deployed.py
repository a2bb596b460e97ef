"""Normalisation per channel and BGR: in the files' graph, where every runtime has them, and exact."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from numpy.typing import NDArray

from export.contents import read_contents
from export.deployed import FRONT, as_trained, deployed, front, has_front
from export.describe import describe_preprocessing
from export.mediapipe_task import classify_pictures
from export.metadata.info import compose_info
from export.metadata.labels import format_labels
from export.precision import PRECISIONS, for_random_weights
from export.quantization.settings import DEFAULTS
from export.stages import Notes, calibrate_stage, onnx_stage, tflite_stage, verify_stage
from export.tflite_file import read_model
from export.to_float import convert_float
from export.work import WorkFiles, save_array
from models.data import normalise
from models.errors import NotInstalledError
from models.presets import PRESETS
from models.spec import MINUS_ONE_TO_ONE, ModelSpec, OwnNetwork, Preprocessing
from models.worker import Progress, Report, run_in_worker

SIDE_PX, CLASSES, PICTURES = 32, 6, 40
TORCHVISION = PRESETS["imagenet"]
CAFFE = Preprocessing(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0), channel_order="BGR")
MIRRORED = replace(MINUS_ONE_TO_ONE, channel_order="BGR")


Made = tuple[ModelSpec, WorkFiles, dict[str, str]]
"""A network, its files, and the precisions that failed."""


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "imagenet"])
def test_what_apps_can_express_stays_as_it_is(name: str) -> None:
    assert not has_front(PRESETS[name])
    assert deployed(PRESETS[name]) == PRESETS[name]


@pytest.mark.parametrize("trained", [TORCHVISION, CAFFE, MIRRORED], ids=["torchvision", "caffe", "mirrored"])
def test_files_take_rgb_from_zero_to_one_instead(trained: Preprocessing) -> None:
    taken = deployed(trained)
    assert taken == replace(trained, mean=(0.0,) * 3, std=(255.0,) * 3, channel_order="RGB")
    assert deployed(taken) == taken


LEVELS = st.tuples(*[st.floats(0, 255)] * 3)


@given(mean=LEVELS, std=st.tuples(*[st.floats(0.5, 300)] * 3), order=st.sampled_from(["RGB", "BGR"]))
def test_front_and_files_input_make_the_networks_input(
    mean: tuple[float, float, float], std: tuple[float, float, float], order: str
) -> None:
    trained = Preprocessing(mean=mean, std=std, channel_order=order)
    pixels = np.arange(0, 256, dtype=np.uint8)[:252].reshape(1, 7, 12, 3)
    kernel, bias = front(trained)
    made = normalise(pixels, replace(trained, mean=(0.0,) * 3, std=(255.0,) * 3)) @ kernel[0, 0] + bias
    wanted = normalise(as_trained(pixels, trained), trained)
    # Float32 rounds each term, and a term is as large as 255 / std.
    np.testing.assert_allclose(made, wanted, atol=1e-6 * (1 + 255 / min(std)))


def exported(trained: Preprocessing, folder: Path) -> Made:
    """A network of the user's own whose answers hang on colour, in every default precision."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((SIDE_PX, SIDE_PX, 3)),
            layers.Conv2D(12, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES),
        ]
    )
    work = WorkFiles(folder)
    squares = np.random.default_rng(3).integers(0, 256, (PICTURES, 4, 4, 3), np.uint8)
    pixels = np.kron(squares, np.ones((1, 8, 8, 1), np.uint8))
    logits = network.predict_on_batch(normalise(as_trained(pixels, trained), trained))
    kernel, bias = network.layers[-1].get_weights()
    gain = 3 / np.abs(logits - logits.mean(axis=0)).max()
    network.layers[-1].set_weights([kernel * gain, (bias - logits.mean(axis=0)) * gain])
    network.save(folder / "net.keras")
    own = OwnNetwork(path=str(folder / "net.keras"), parameters=1, mult_adds=None, gives="logits")
    spec = ModelSpec(
        name="net", family="own", width=1.0, resolution_px=SIDE_PX, stages=(), preprocessing=trained, dropout=0.0,
        num_classes=CLASSES, own=own,
    )  # fmt: skip
    for path in (work.calibration_pixels, work.test_pixels):
        save_array(path, pixels)
    convert_float(silent, spec, folder / "net.keras", "probabilities", True, work)
    save_array(work.test_classes, np.load(work.reference).argmax(axis=1))
    files = replace(spec, preprocessing=deployed(trained))
    notes = Notes(
        info=compose_info(files, source="own", weights_sha256="0" * 64),
        labels=format_labels([f"class {number}" for number in range(CLASSES)]),
    )
    rows = [row for row in PRECISIONS.values() if row.default]
    assert not calibrate_stage(silent, files, DEFAULTS, work)
    failures = tflite_stage(silent, tuple(row for row in rows if row.format == "tflite"), notes, work)
    failures |= onnx_stage(silent, files, tuple(row for row in rows if row.format == "onnx"), work)
    return spec, work, failures


@pytest.fixture(scope="module", params=[TORCHVISION, CAFFE], ids=["torchvision", "caffe"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The files of a network that was trained so."""
    return exported(request.param, tmp_path_factory.mktemp("deployed"))


def test_every_precision_of_such_a_network_is_made_and_verified(made: Made) -> None:
    spec, work, failures = made
    trained = spec.preprocessing
    assert failures == {}
    assert len(set(np.load(work.test_classes))) > 2
    for row in (row for row in PRECISIONS.values() if row.default):
        verdict = verify_stage(silent, row, for_random_weights(row.limits), deployed(trained), work)
        assert [check for check in verdict.checks if not check.passed] == [], (row.format, row.name)
        assert verdict.top1_agreement >= (0.97 if row.activation_dtype.startswith("float") else 0.9)

    graph = read_model(work.made(PRECISIONS["tflite", "int8"]).read_bytes()).subgraphs[0]
    tensors = {tensor.name.decode(): tensor for tensor in graph.tensors}
    # The network's input for black and white bounds it for all pictures, whatever was calibrated with.
    scale, zero = tensors[FRONT].quantization.scale[0], tensors[FRONT].quantization.zeroPoint[0]
    edges = normalise(np.array([[[[0] * 3]], [[[255] * 3]]], np.uint8), replace(trained, channel_order="RGB"))
    assert (-128 - zero) * scale == pytest.approx(min(0.0, edges.min()), abs=1.5 * float(scale))
    assert (127 - zero) * scale == pytest.approx(edges.max(), abs=1.5 * float(scale))
    # One value per channel: 8 bits do not round it.
    kernel = read_model(work.made(PRECISIONS["tflite", "int8"]).read_bytes())
    (stored,) = (kernel.buffers[t.buffer].data for name, t in tensors.items() if name == f"{FRONT}/kernel")
    assert sorted(np.asarray(stored).view(np.int8).tolist()) == [0] * 6 + [127] * 3
    contents = read_contents(work.made(PRECISIONS["tflite", "float32"]).read_bytes(), PRECISIONS["tflite", "float32"])
    assert contents.operators["CONV_2D"] == 3

    described = describe_preprocessing(spec)
    assert (described["mean"], described["channel_order"]) == ((0.0, 0.0, 0.0), "RGB")
    assert described["in_graph"] == {"mean": trained.mean, "std": trained.std, "channel_order": trained.channel_order}
    assert described["integer_input"] == {"scale": 1 / 255, "uint8_zero_point": 0, "residual_grey_levels": 0.0}


def all_scores(report: Report, paths: list[Path], pictures: Path) -> list[NDArray[np.float64]]:
    """MediaPipe's scores for each file, in a worker."""
    return [classify_pictures(report, path, CLASSES, pictures) for path in paths]


def test_mediapipe_classifies_with_such_a_network(made: Made, tmp_path: Path) -> None:
    _, work, _ = made
    reference, pixels = np.load(work.reference), np.load(work.test_pixels)
    # The other order of channels is another picture.
    save_array(tmp_path / "both.npy", np.concatenate([pixels, pixels[..., ::-1]]))
    most = {"float32": 1e-4, "int8": 0.15}
    paths = [work.made(PRECISIONS["tflite", name]) for name in most]
    try:
        found = run_in_worker(all_scores, paths, tmp_path / "both.npy")
    except NotInstalledError as error:
        pytest.skip(str(error))
    for limit, scores in zip(most.values(), found, strict=True):
        assert np.abs(scores[:PICTURES] - reference).max() <= limit
        assert np.abs(scores[PICTURES:] - reference).max() > 2 * limit
