"""The float conversions: lean graphs that compute what the Keras network computes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export.contents import contents_faults, read_contents
from export.precision import PRECISIONS
from export.tflite_file import builtin_name, read_model
from export.to_float import to_tflite
from export.to_onnx import OPSET, to_onnx
from models.blocks import plan_layers
from models.build import build, fold_batch_norm
from models.errors import ConversionError
from models.spec import ModelSpec
from models.zoo import MODELS, lookup

if TYPE_CHECKING:
    from tests.export.conftest import Network

FLOAT = {name: PRECISIONS[name, "float32"] for name in ("tflite", "onnx")}
FAMILIES = ["mobilenet_v1", "mobilenet_v2"]
"""Those with several resolutions and nothing but the layers below; test_families.py has all networks."""


def extremes(family: str) -> list[str]:
    """The least and the greatest network of a family."""
    members = sorted(
        (spec for spec in MODELS.values() if spec.family == family), key=lambda s: (s.width, s.resolution_px)
    )
    return [members[0].name, members[-1].name]


DEFAULT = [name for family in FAMILIES for name in extremes(family)]
EVERY_MODEL = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in DEFAULT else pytest.mark.slow)
        for name, spec in MODELS.items()
        if spec.family in FAMILIES
    ],
)


def with_lively_norms(spec: ModelSpec) -> keras.Model:
    """The network with random weights, and with normalizations that move, stretch and turn every channel."""
    keras.utils.set_random_seed(0)
    model, rng = build(spec), np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            gamma = rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape)
            layer.set_weights(
                [gamma, rng.normal(0.5, 0.5, shape), rng.normal(0, 0.1, shape), rng.uniform(0.2, 2, shape)]
            )
    return model


def operators(tflite: bytes) -> Counter[str]:
    model = read_model(tflite)
    return Counter(builtin_name(model.operatorCodes[o.opcodeIndex]) for o in model.subgraphs[0].operators)


def run_tflite(content: bytes, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    return np.concatenate([next(iter(runner(image=picture[None]).values())) for picture in pictures])


def run_onnx(content: bytes, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"image": picture[None]})[0] for picture in pictures])


@EVERY_MODEL
def test_the_graphs_hold_the_layers_of_the_network_and_nothing_else(name: str, tmp_path: Path) -> None:
    spec = lookup(name)
    model = with_lively_norms(spec)
    tflite = to_tflite(fold_batch_norm(model, spec), spec, "logits")
    source = tmp_path / "float.tflite"
    source.write_bytes(tflite)
    exported = to_onnx(source, spec.name)

    kinds = Counter(layer.kind for layer in plan_layers(spec))
    assert operators(tflite) == {
        "CONV_2D": kinds["conv"],
        "DEPTHWISE_CONV_2D": kinds["depthwise"],
        "MEAN": 1,
        "FULLY_CONNECTED": 1,
        **({"ADD": kinds["add"]} if kinds["add"] else {}),
    }
    nodes = Counter(node.op_type for node in onnx.load_from_string(exported).graph.node)
    dense = nodes.pop("Gemm", 0) + nodes.pop("MatMul", 0)
    assert dense == 1
    assert nodes.pop("Transpose", 0) <= 1
    assert nodes.pop("Add", 0) == kinds["add"]
    assert nodes == {
        "Conv": kinds["conv"] + kinds["depthwise"],
        "Clip": sum(layer.activation == "relu6" for layer in plan_layers(spec)),
        "GlobalAveragePool": 1,
        "Squeeze": 1,
    }

    rng = np.random.default_rng(1)
    pictures = rng.uniform(-1, 1, (2, spec.resolution_px, spec.resolution_px, 3)).astype(np.float32)
    wanted = model.predict_on_batch(pictures)
    scale = np.abs(wanted).max()
    assert wanted.std() > 0.01 * scale, "logits that are all alike would agree with anything"
    # Only the order of additions may differ; a padding on the wrong side moves the logits by some 10 %.
    for got in (run_tflite(tflite, pictures), run_onnx(exported, pictures)):
        assert np.abs(got - wanted).max() < 1e-4 * scale


@pytest.mark.parametrize("family", FAMILIES)
def test_the_default_run_tries_the_least_and_the_greatest_of_every_family(family: str) -> None:
    members = [spec for spec in MODELS.values() if spec.family == family]
    chosen = [MODELS[name] for name in DEFAULT if MODELS[name].family == family]
    for size in ("width", "resolution_px"):
        assert {getattr(spec, size) for spec in chosen} >= {
            pick(getattr(spec, size) for spec in members) for pick in (min, max)
        }


def test_mobilenet_v2_has_exactly_65_operators(untrained: "Network") -> None:
    found = operators(untrained.work.float_tflite.read_bytes())
    assert found == {
        "CONV_2D": 35, "DEPTHWISE_CONV_2D": 17, "ADD": 10, "MEAN": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1,
    }  # fmt: skip
    assert found.total() == 65


def test_mobilenet_v1_has_exactly_30_operators(trained: "Network") -> None:
    found = operators(trained.work.float_tflite.read_bytes())
    assert found == {"CONV_2D": 14, "DEPTHWISE_CONV_2D": 13, "MEAN": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1}
    assert found.total() == 30


@pytest.mark.parametrize("format_", FLOAT)
def test_the_float_files_agree_with_keras_on_every_test_picture(format_: str, trained: "Network") -> None:
    path = trained.work.float_tflite if format_ == "tflite" else trained.work.float_onnx
    run: Callable[[bytes, NDArray[np.float32]], NDArray[np.float32]] = run_tflite if format_ == "tflite" else run_onnx
    pixels, reference = np.load(trained.work.test_pixels), np.load(trained.work.reference)
    got = run(path.read_bytes(), (pixels.astype(np.float32) - 127.5) / 127.5)
    assert np.abs(got - reference).max() < 1e-4
    assert np.array_equal(got.argmax(axis=1), reference.argmax(axis=1))
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-5)


def test_logits_and_probabilities_are_the_same_network_but_for_the_softmax() -> None:
    spec = replace(lookup(extremes("mobilenet_v1")[0]), num_classes=10)
    folded = fold_batch_norm(with_lively_norms(spec), spec)
    logits_file, file = (to_tflite(folded, spec, output) for output in ("logits", "probabilities"))
    assert operators(file) - operators(logits_file) == {"SOFTMAX": 1}
    assert not operators(logits_file) - operators(file)
    pictures = np.random.default_rng(2).uniform(-1, 1, (4, 128, 128, 3)).astype(np.float32)
    logits, probabilities = run_tflite(logits_file, pictures), run_tflite(file, pictures)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.abs(logits.sum(axis=1) - 1).min() > 0.1
    assert np.array_equal(logits.argmax(axis=1), probabilities.argmax(axis=1))
    softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, softmax / softmax.sum(axis=1, keepdims=True), atol=1e-5)
    names = [read_contents(content, FLOAT["tflite"]).output.name for content in (logits_file, file)]
    assert names == ["logits", "probabilities"]


def test_the_float_files_are_what_they_are_called(trained: "Network") -> None:
    for format_, path in (("tflite", trained.work.float_tflite), ("onnx", trained.work.float_onnx)):
        row = FLOAT[format_]
        assert contents_faults(read_contents(path.read_bytes(), row), row) == []


def test_onnx_has_the_opset_asked_for_and_passes_its_checker(trained: "Network") -> None:
    model = onnx.load(trained.work.float_onnx)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == OPSET
    assert model.graph.name == trained.spec.name
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 128, 128, 3]


def test_the_onnx_conversion_leaves_no_tensor_with_an_open_size(trained: "Network") -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(trained.work.float_onnx), strict_mode=True)
    values = [*model.graph.value_info, *model.graph.output]
    assert len(values) > 50
    assert all(d.HasField("dim_value") for value in values for d in value.type.tensor_type.shape.dim)


def test_the_same_weights_give_the_same_bytes(trained: "Network") -> None:
    # Of the ONNX file only in a process of its own, see test_main.py: tf2onnx counts up its names.
    content = trained.work.float_tflite.read_bytes()
    model = build(trained.spec)
    model.load_weights(trained.weights.path)
    assert to_tflite(fold_batch_norm(model, trained.spec), trained.spec, "probabilities") == content


def test_the_constants_of_the_onnx_file_are_named_after_their_layers(trained: "Network", untrained: "Network") -> None:
    for network in (trained, untrained):
        names = [constant.name for constant in onnx.load(network.work.float_onnx).graph.initializer]
        assert len(set(names)) == len(names)
        layers = [layer for layer in plan_layers(network.spec) if layer.kind in ("conv", "depthwise", "dense")]
        assert {f"{layer.name}/kernel" for layer in layers} <= set(names)
        assert {f"{layer.name}/bias" for layer in layers[:-1]} <= set(names)


def test_what_tf2onnx_refuses_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"not a flatbuffer")
    with pytest.raises(ConversionError, match=r"^tf2onnx refused broken\.tflite: "):
        to_onnx(broken, "net")


def test_what_the_tflite_converter_refuses_is_named() -> None:
    spec = lookup(extremes("mobilenet_v1")[0])
    side = spec.resolution_px
    picture = keras.Input((side, side, 3))
    # A TensorFlow operation that TFLite does not have.
    sorted_ = keras.layers.Lambda(lambda x: keras.ops.qr(x[:, :, :, 0])[0])(picture)
    with pytest.raises(ConversionError, match=f"^TFLiteConverter refused {spec.name}: "):
        to_tflite(keras.Model(picture, sorted_), spec, "logits")
