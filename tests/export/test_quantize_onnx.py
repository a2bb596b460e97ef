"""ONNX precisions: lean, computed as they say, in the float file's image."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from export.contents import Intended, contents_faults, read_contents
from export.precision import PRECISIONS, Precision
from export.quantization.calibration import Calibration, calibrate, load_calibration
from export.quantization.kernels import with_kernels, with_onnx_kernels
from export.quantization.layers import kernel_layers
from export.quantization.settings import DEFAULTS
from export.quantize import make_tflite
from export.quantize_onnx import make_onnx, quantize_onnx, tensor_ranges
from export.tflite_file import read_model
from export.verify import load_tflite
from models.blocks import plan_layers
from models.data import Pixels, normalise
from models.errors import ConversionError
from models.spec import Preprocessing

if TYPE_CHECKING:
    from tests.export.conftest import Network

FLOAT32, INT8 = PRECISIONS["onnx", "float32"], PRECISIONS["onnx", "int8"]
ROWS = [row for row in PRECISIONS.values() if row.format == "onnx"]
ONNX = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def calibration_pixels(network: "Network", count: int | None = None) -> Pixels:
    pixels: Pixels = np.load(network.work.calibration_pixels)
    return pixels[:count]


def calibrated(network: "Network", pixels: Pixels, preprocessing: Preprocessing | None = None) -> Calibration:
    source, settings = network.work.float_tflite.read_bytes(), DEFAULTS
    return calibrate(source, pixels, preprocessing or network.spec.preprocessing, settings, lambda _: None)


def run(content: bytes, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"image": picture[None]})[0] for picture in pictures])


@ONNX
def test_the_graph_is_lean(row: Precision, trained: "Network", untrained: "Network") -> None:
    for network in (trained, untrained):
        nodes = Counter(read_contents(network.work.made(row).read_bytes(), row).operators)
        kinds = Counter(layer.kind for layer in plan_layers(network.spec))
        assert nodes["Conv"] == kinds["conv"] + kinds["depthwise"]
        assert nodes["Add"] == kinds["add"]
        assert nodes["Transpose"] <= 1
        assert nodes["Gemm"] + nodes["MatMul"] == 1
        lean = {"Conv", "Add", "Transpose", "Gemm", "MatMul", "GlobalAveragePool", "Squeeze", "Softmax", "Clip"}
        pairs = {"QuantizeLinear", "DequantizeLinear"}
        assert set(nodes) <= lean | {"float16": {"Cast"}, "int8": {"Sub", *pairs}, "int8_mixed": {"Sub", *pairs}}.get(
            row.name, set()
        )
        assert nodes["Sub"] <= 1


@ONNX
def test_the_answers_are_those_of_the_float_file(row: Precision, trained: "Network") -> None:
    pictures = normalise(np.load(trained.work.test_pixels)[:120], trained.spec.preprocessing)
    wanted = run(trained.work.made(FLOAT32).read_bytes(), pictures)
    got = run(trained.work.made(row).read_bytes(), pictures)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=0.02)
    assert np.mean(got.argmax(axis=1) == wanted.argmax(axis=1)) >= {
        "int8": 0.96,
        "int8_mixed": 0.96,
        "float16": 0.99,
    }.get(row.name, 1)
    assert np.abs(got - wanted).mean() <= {"int8": 1e-2, "int8_mixed": 1e-2, "float16": 1e-3}.get(row.name, 0)


def test_int8_weights_have_a_scale_per_output_channel(trained: "Network") -> None:
    graph = onnx.load_from_string(trained.work.made(INT8).read_bytes()).graph
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    source = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    for node in convolutions:
        pair = source[node.input[1]]
        assert pair.op_type == "DequantizeLinear"
        kernel, scale = (initializers[name] for name in pair.input[:2])
        assert list(scale.dims) == [kernel.dims[0]]
        assert kernel.data_type == onnx.TensorProto.INT8
    assert len(convolutions) == 27


@pytest.mark.parametrize(("mean", "std"), [(0.0, 255.0), (128.0, 128.0), (127.5, 127.5)])
def test_the_input_is_quantized_by_the_preprocessing(mean: float, std: float, trained: "Network") -> None:
    preprocessing = Preprocessing(mean=(mean,) * 3, std=(std,) * 3)
    source = trained.work.float_onnx.read_bytes()
    # Grey pictures, so that the range cannot be found in them by chance.
    grey = np.full_like(calibration_pixels(trained, 2), 100)
    made = quantize_onnx(source, INT8, calibrated(trained, grey, preprocessing).ranges, preprocessing)
    graph = onnx.load_from_string(made).graph
    turned = {output for node in graph.node if node.op_type == "Transpose" for output in node.output}
    moved = [node for node in graph.node if node.op_type == "Sub"]
    assert len(moved) == (1 if mean % 1 else 0)
    picture = {"image", *turned, *(output for node in moved for output in node.output)}
    edge = ("Transpose", "Sub")
    first = next(node for node in graph.node if node.op_type not in edge and picture & set(node.input))
    assert first.op_type == "QuantizeLinear"
    values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    assert values[first.input[1]].item() == pytest.approx(1 / std)
    assert values[first.input[2]].item() == round(mean)
    assert values[first.input[2]].dtype == np.uint8


def test_the_same_sample_in_another_order_gives_the_same_file(trained: "Network") -> None:
    source, pixels = trained.work.float_onnx.read_bytes(), calibration_pixels(trained, 16)

    def made(pixels: Pixels) -> bytes:
        return quantize_onnx(source, INT8, calibrated(trained, pixels).ranges, trained.spec.preprocessing)

    assert made(pixels) == made(pixels[::-1])
    assert made(pixels[:1]) != made(pixels), "the sample decides nothing"


@ONNX
def test_the_same_float_file_gives_the_same_bytes(row: Precision, trained: "Network") -> None:
    source, found = trained.work.float_onnx.read_bytes(), load_calibration(trained.work.calibration)
    made = make_onnx(source, trained.work.float_tflite.read_bytes(), row, found, trained.spec.preprocessing)
    assert made == trained.work.made(row).read_bytes()


def test_activations_are_stored_as_in_the_tflite_file_and_128_higher(trained: "Network", untrained: "Network") -> None:
    for network in (trained, untrained):
        graph = read_model(network.work.made(PRECISIONS["tflite", "int8_npu"]).read_bytes()).subgraphs[0]
        produced = [graph.inputs[0], *(index for operator in graph.operators for index in operator.outputs)]
        wanted = {
            (float(q.scale[0]), int(q.zeroPoint[0]) + 128)
            for q in (graph.tensors[index].quantization for index in produced)
        }
        model = onnx.load_from_string(network.work.made(INT8).read_bytes()).graph
        values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.initializer}
        found = {
            (values[node.input[1]].item(), values[node.input[2]].item())
            for node in model.node
            if node.op_type == "QuantizeLinear"
        }
        assert found == wanted


def test_onnx_and_tflite_name_the_same_classes_from_the_same_bytes(trained: "Network") -> None:
    pixels = np.load(trained.work.test_pixels)
    found = run(trained.work.made(INT8).read_bytes(), normalise(pixels, trained.spec.preprocessing))
    tflite = load_tflite(trained.work.made(PRECISIONS["tflite", "int8_npu"]), builtin_only=False)
    stored = np.concatenate([tflite((picture[None].astype(int) - 128).astype(np.int8)) for picture in pixels])
    other = (stored.astype(np.float64) + 128) / 256
    # Their softmax rounds a step of 1/256 differently here and there; a picture half a grey level off moves many.
    assert np.mean(found.argmax(axis=1) == other.argmax(axis=1)) >= 0.997
    assert np.abs(found - other).mean() < 1e-3


def test_a_tensor_without_a_range_is_named(trained: "Network") -> None:
    graph = onnx.load_from_string(trained.work.float_onnx.read_bytes()).graph
    ranges = dict(load_calibration(trained.work.calibration).ranges)
    assert set(tensor_ranges(graph, ranges)) == {"image", *(output for node in graph.node for output in node.output)}
    del ranges["pool"]
    with pytest.raises(ConversionError) as refusal:
        quantize_onnx(trained.work.float_onnx.read_bytes(), INT8, ranges, trained.spec.preprocessing)
    assert str(refusal.value) == (
        "the ONNX graph computes pool (GlobalAveragePool), which the TFLite file does not have, so that int8 has no "
        "range for it; export the other precisions"
    )


def test_kernels_that_were_rounded_by_their_outputs_are_the_same_in_both_formats(trained: "Network") -> None:
    source, pixels = trained.work.float_tflite.read_bytes(), calibration_pixels(trained, 16)
    settings = replace(DEFAULTS, rounding=True, per_tensor=True)
    found = calibrate(source, pixels, trained.spec.preprocessing, settings, lambda _: None)
    tflite = read_model(make_tflite(source, PRECISIONS["tflite", "int8_npu"], found))
    made = make_onnx(trained.work.float_onnx.read_bytes(), source, INT8, found, trained.spec.preprocessing)
    graph = onnx.load_from_string(made).graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    compared = 0
    for tensor in tflite.subgraphs[0].tensors:
        name = tensor.name.decode()
        if name.endswith("/kernel") and name in found.kernels:
            stored = tflite.buffers[tensor.buffer].data.view(np.int8)
            other = values[f"{name}_quantized"]
            assert values[f"{name}_scale"].size == 1
            assert np.array_equal(np.sort(stored), np.sort(other.ravel()))
            assert values[f"{name}_scale"].item() == pytest.approx(tensor.quantization.scale[0], rel=1e-6)
            compared += 1
    assert compared == 28
    assert contents_faults(read_contents(made, INT8), INT8, Intended(per_tensor=True)) == []
    (fault,) = contents_faults(read_contents(made, INT8), INT8, Intended())
    assert fault == "28 of its kernels have not a scale per output channel, it has {'one': 28}"


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("factor", [0.0, 1e-20])
def test_channels_that_see_nothing_are_stored_alike_in_both_formats(
    factor: float, per_tensor: bool, trained: "Network"
) -> None:
    given, settings = trained.work.float_tflite.read_bytes(), replace(DEFAULTS, per_tensor=per_tensor)
    kernels: dict[str, NDArray[np.float32]] = {}
    for layer in kernel_layers(read_model(given)):
        kernel = layer.kernel.copy()
        # Every fourth channel.
        kernel[(slice(None, None, 4),) if not layer.depthwise else (..., slice(None, None, 4))] *= np.float32(factor)
        kernels[layer.bias.replace("/bias", "/kernel")] = kernel
    source = with_kernels(given, kernels)
    floats = with_onnx_kernels(trained.work.float_onnx.read_bytes(), given, kernels)
    preprocessing = trained.spec.preprocessing
    found = calibrate(source, calibration_pixels(trained, 8), preprocessing, settings, lambda _: None)
    tflite = read_model(make_tflite(source, PRECISIONS["tflite", "int8_npu"], found))
    graph = onnx.load_from_string(make_onnx(floats, source, INT8, found, preprocessing)).graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    compared = 0
    for tensor in tflite.subgraphs[0].tensors:
        name = tensor.name.decode()
        if name in found.shifts:
            stored = tflite.buffers[tensor.buffer].data.view(np.int32)
            assert np.array_equal(stored, values[f"{name}_quantized"])
            np.testing.assert_allclose(values[f"{name}_quantized_scale"], tensor.quantization.scale, rtol=1e-6)
            compared += 1
    assert compared == len(kernels) == 28


def test_the_same_layers_are_float_in_both_formats(trained: "Network", untrained: "Network") -> None:
    for network in (trained, untrained):
        wanted = load_calibration(network.work.calibration).float_layers
        for form in ("tflite", "onnx"):
            row = PRECISIONS[form, "int8_mixed"]
            contents = read_contents(network.work.made(row).read_bytes(), row)
            assert set(contents.float_layers) == wanted
            assert contents_faults(contents, row, Intended(float_layers=wanted)) == []
            # Which layers are float follows from the weights, and these are not the same on every processor.
            convolutions = (layer.name for layer in plan_layers(network.spec) if layer.kind == "conv")
            other = next(name for name in convolutions if name not in wanted)
            (fault,) = contents_faults(contents, row, Intended(float_layers=wanted | {other}))
            assert fault == f"it does not compute {other} in float"


@ONNX
def test_every_file_passes_the_checker(row: Precision, trained: "Network") -> None:
    onnx.checker.check_model(trained.work.made(row).read_bytes(), full_check=True)


@pytest.mark.parametrize("row", [row for row in ROWS if row is not FLOAT32], ids=lambda row: row.name)
def test_what_the_tools_refuse_is_named(row: Precision, trained: "Network") -> None:
    with pytest.raises(ConversionError, match=f"^ONNX Runtime's tools refused {row.name}: "):
        quantize_onnx(b"\x08", row, {}, trained.spec.preprocessing)


def test_a_preprocessing_without_integer_form_is_refused_in_its_own_words(trained: "Network") -> None:
    channels = Preprocessing(mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 1.0))
    with pytest.raises(ConversionError, match="int8 input has one scale for all channels, but mean"):
        calibrated(trained, calibration_pixels(trained, 1), channels)
