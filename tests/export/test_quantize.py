"""TFLite precisions: lean, loadable everywhere, and fed with a camera's raw bytes."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from export.calibrate import input_quantization, measure_ranges
from export.contents import Intended, contents_faults, read_contents
from export.metadata.write import add_metadata
from export.precision import PRECISIONS, Precision
from export.quantization.calibration import load_calibration
from export.quantization.ranges import Ranges
from export.quantize import make_tflite, quantize_tflite
from export.tflite_file import builtin_name, read_model, write_model
from models.data import Pixels, load_dataset, normalise, preprocess
from models.errors import ConversionError
from models.spec import Preprocessing

if TYPE_CHECKING:
    from tests.export.conftest import Network

INT8, NPU, FLOAT32 = (PRECISIONS["tflite", name] for name in ("int8", "int8_npu", "float32"))
ROWS = [row for row in PRECISIONS.values() if row.format == "tflite"]
TFLITE = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
CALIBRATED = pytest.mark.parametrize("row", [row for row in ROWS if row.calibrated], ids=lambda row: row.name)
THROUGHOUT = pytest.mark.parametrize(
    "row", [row for row in ROWS if row.calibrated and not row.islands], ids=lambda row: row.name
)

Run = Callable[[NDArray[Any]], NDArray[Any]]


def load(content: bytes, *, builtin_only: bool = False) -> Run:
    """The stored output, `[N, classes]`, for stored inputs."""
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin_only else OpResolverType.AUTO
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(pictures: NDArray[Any]) -> NDArray[Any]:
        rows = []
        for picture in pictures:
            interpreter.set_tensor(source, picture[None])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(target))
        return np.concatenate(rows)

    return run


def ranges_of(network: "Network", preprocessing: Preprocessing | None = None) -> Ranges:
    pixels = np.load(network.work.calibration_pixels)
    chosen = preprocessing or network.spec.preprocessing
    return measure_ranges(network.work.float_tflite.read_bytes(), pixels, chosen, lambda _: None)


def held_out(network: "Network") -> Pixels:
    pixels: Pixels = np.load(network.work.test_pixels)
    return pixels


@TFLITE
def test_quantizing_adds_no_operator_but_at_the_edges(row: Precision, trained: "Network", untrained: "Network") -> None:
    for network in (trained, untrained):
        lean = read_contents(network.work.float_tflite.read_bytes(), FLOAT32).operators
        found = dict(read_contents(network.work.made(row).read_bytes(), row).operators)
        # float16 weights stand behind a DEQUANTIZE each, which runtimes execute once, when they load.
        extra = {"float16": {"DEQUANTIZE"}, "int8": {"QUANTIZE"}, "int8_mixed": {"QUANTIZE", "DEQUANTIZE"}}.get(
            row.name, set()
        )
        assert {name: count for name, count in found.items() if name not in extra} == lean
        if row.islands:
            # One block: a conversion on either side, and those of the picture and of the answer.
            assert found["DEQUANTIZE"] == 1
            assert found["QUANTIZE"] == 3
        else:
            assert found.get("QUANTIZE", 0) == (2 if row.name == "int8" else 0)


def test_mobilenet_v2_has_65_operators_in_int8_npu_and_67_in_int8(untrained: "Network") -> None:
    totals = {
        row.name: sum(read_contents(untrained.work.made(row).read_bytes(), row).operators.values()) for row in ROWS
    }
    assert (totals["float32"], totals["int8_npu"], totals["int8"]) == (65, 65, 67)


def test_the_two_quantize_operators_stand_at_the_edges(untrained: "Network") -> None:
    model = read_model(untrained.work.made(INT8).read_bytes())
    names = [builtin_name(model.operatorCodes[o.opcodeIndex]) for o in model.subgraphs[0].operators]
    assert [number for number, name in enumerate(names) if name == "QUANTIZE"] == [0, len(names) - 1]


@TFLITE
def test_every_file_loads_with_and_without_xnnpack_and_gives_the_same_answers(
    row: Precision, trained: "Network"
) -> None:
    content = trained.work.made(row).read_bytes()
    info = read_contents(content, row).input
    pixels = held_out(trained)[:32]
    fed = stored_input(pixels, trained, row, info.scale)
    xnnpack, builtin = load(content)(fed), load(content, builtin_only=True)(fed)
    scale = {"uint8": 1 / 256, "int8": 1 / 256, "int16": 1 / 32768}.get(str(xnnpack.dtype), 1.0)
    difference = np.abs(xnnpack.astype(np.float64) - builtin.astype(np.float64)) * scale
    # Roundings differ and add up; wrong scales give answers that have nothing to do with each other.
    limit = {"float32": 1e-4, "float16": 1e-4, "int16x8": 5e-3}.get(row.name)
    assert limit is None or difference.max() < limit
    assert difference.mean() < 0.01
    assert np.mean(xnnpack.argmax(axis=1) == builtin.argmax(axis=1)) >= 30 / 32


def stored_input(pixels: Pixels, network: "Network", row: Precision, scale: float | None) -> NDArray[Any]:
    if row.input_dtype == "uint8":
        return pixels
    if row.input_dtype == "int8":
        return (pixels.astype(int) - 128).astype(np.int8)
    values = normalise(pixels, network.spec.preprocessing)
    if row.input_dtype == "float32":
        return values
    assert scale is not None
    return np.clip(np.round(values / scale), -32768, 32767).astype(np.int16)


def test_raw_bytes_give_the_answers_of_the_float_file(trained: "Network") -> None:
    pixels = held_out(trained)
    floats = load(trained.work.made(FLOAT32).read_bytes())(normalise(pixels, trained.spec.preprocessing))
    bytes_ = load(trained.work.made(INT8).read_bytes())(pixels) / 256
    assert np.mean(floats.argmax(axis=1) == bytes_.argmax(axis=1)) >= 0.97
    # On average a few steps of 1/256; an input half a range off is a different picture.
    assert np.abs(floats - bytes_).mean() < 0.01


def test_bytes_into_int8_are_bytes_less_128_into_int8_npu(trained: "Network", untrained: "Network") -> None:
    for network in (trained, untrained):
        pixels = held_out(network)[::8]
        outside = load(network.work.made(INT8).read_bytes())(pixels)
        inside = load(network.work.made(NPU).read_bytes())((pixels.astype(int) - 128).astype(np.int8))
        assert outside.dtype == np.uint8
        assert np.array_equal(outside, inside.astype(int) + 128)
        assert len(np.unique(outside, axis=0)) > 10, "answers that are all alike would agree with anything"


@pytest.mark.parametrize(("mean", "std"), [(0.0, 255.0), (128.0, 128.0), (127.5, 127.5), (0.0, 1.0)])
def test_the_input_tensor_realises_the_preprocessing(trained: "Network", mean: float, std: float) -> None:
    preprocessing = Preprocessing(mean=(mean,) * 3, std=(std,) * 3)
    pixel = input_quantization(preprocessing)
    source, ranges = trained.work.float_tflite.read_bytes(), ranges_of(trained, preprocessing)
    for row, shift in ((INT8, 0), (NPU, 128)):
        info = read_contents(quantize_tflite(source, row, ranges), row).input
        assert info.zero_point is not None
        assert info.scale is not None
        assert info.zero_point + shift == pixel.zero_point
        assert info.scale == pytest.approx(1 / std, rel=1e-6)
        every_byte = np.arange(256)
        realised = info.scale * (every_byte - shift - info.zero_point)
        residual = np.abs(realised - (every_byte - mean) / std).max() * std
        # In grey levels: nothing but the rounding of the scale to float32 where the mean is whole.
        assert residual == pytest.approx(pixel.residual, abs=1e-4)
        assert pixel.residual == (0.5 if mean == 127.5 else 0.0)


def test_the_output_tensor_spans_the_probabilities(trained: "Network") -> None:
    for row, zero_point in ((INT8, 0), (NPU, -128)):
        info = read_contents(trained.work.made(row).read_bytes(), row).output
        assert (info.scale, info.zero_point) == (1 / 256, zero_point)


def test_int8_loses_at_most_six_tenths_of_a_point_over_all_pictures(trained: "Network") -> None:
    # All 1797, because one of the 359 test pictures already is 0.28 points.
    data = load_dataset("digits")
    pixels = preprocess(data.images, trained.spec.preprocessing, trained.spec.resolution_px)
    floats = load(trained.work.made(FLOAT32).read_bytes())(normalise(pixels, trained.spec.preprocessing))
    float_top1 = np.mean(floats.argmax(axis=1) == data.classes)
    assert float_top1 > 0.95
    # int8_npu gives the same answers; a test above holds it to that.
    top1 = np.mean(load(trained.work.made(INT8).read_bytes())(pixels).argmax(axis=1) == data.classes)
    assert float_top1 - top1 <= 0.006


@THROUGHOUT
def test_weights_have_a_scale_per_channel_and_activations_one(row: Precision, trained: "Network") -> None:
    model = read_model(trained.work.made(row).read_bytes())
    graph = model.subgraphs[0]
    checked = 0
    for operator in graph.operators:
        name = builtin_name(model.operatorCodes[operator.opcodeIndex])
        assert len(graph.tensors[operator.outputs[0]].quantization.scale) == 1
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            kernel = graph.tensors[operator.inputs[1]]
            channels = kernel.shape[3 if name == "DEPTHWISE_CONV_2D" else 0]
            assert len(kernel.quantization.scale) == channels
            assert not np.any(kernel.quantization.zeroPoint)
            checked += 1
    assert checked == 27


def with_dead_channels(network: "Network", channels: slice, bias: float) -> bytes:
    """The float file with channels of a depthwise convolution that see nothing, as weight decay leaves them."""
    model = read_model(network.work.float_tflite.read_bytes())
    for index, number in zip(model.subgraphs[0].operators[3].inputs[1:], (0.0, bias), strict=True):
        tensor = model.subgraphs[0].tensors[index]
        values = model.buffers[tensor.buffer].data.view(np.float32).reshape(tensor.shape).copy()
        values[..., channels] = number
        model.buffers[tensor.buffer].data = values.view(np.uint8).ravel()
    return write_model(model)


@CALIBRATED
@pytest.mark.parametrize("bias", [0.0, 1e-9, 3.0, -3.0])
@pytest.mark.parametrize("channels", [slice(0, 1), slice(None)], ids=["one channel", "all channels"])
def test_channels_that_see_nothing_load_without_xnnpack_and_keep_their_bias(
    row: Precision, channels: slice, bias: float, trained: "Network"
) -> None:
    dead = with_dead_channels(trained, channels, bias)
    pixels = np.load(trained.work.calibration_pixels)[:16]
    ranges = measure_ranges(dead, pixels, trained.spec.preprocessing, lambda _: None)
    content = quantize_tflite(dead, row, ranges)
    info = read_contents(content, row).output
    assert info.scale is not None
    assert info.zero_point is not None
    fed = stored_input(pixels, trained, row, read_contents(content, row).input.scale)
    wanted = load(dead)(normalise(pixels, trained.spec.preprocessing))
    for builtin_only in (True, False):
        got = (load(content, builtin_only=builtin_only)(fed).astype(np.float64) - info.zero_point) * info.scale
        # A bias that overflowed has the wrong sign and switches the channel off: 0.1 and more.
        assert np.abs(got - wanted).mean() < 0.03


@TFLITE
def test_the_same_float_file_gives_the_same_bytes(row: Precision, trained: "Network") -> None:
    found = load_calibration(trained.work.calibration)
    made = make_tflite(trained.work.float_tflite.read_bytes(), row, found)
    made = add_metadata(made, trained.notes.info, trained.notes.labels)
    assert made == trained.work.made(row).read_bytes()


def test_one_scale_per_kernel_is_told_from_one_per_channel(trained: "Network") -> None:
    found, source = load_calibration(trained.work.calibration), trained.work.float_tflite.read_bytes()
    for row in (INT8, NPU):
        for per_tensor, kind in ((False, "channels"), (True, "one")):
            made = read_contents(make_tflite(source, row, replace(found, per_tensor=per_tensor)), row)
            assert made.kernel_scales == {kind: 28}
            assert contents_faults(made, row, Intended(per_tensor=per_tensor)) == []
            (fault,) = contents_faults(made, row, Intended(per_tensor=not per_tensor))
            wanted = "a scale per output channel" if per_tensor else "one scale"
            assert fault == f"28 of its kernels have not {wanted}, it has {{'{kind}': 28}}"


def test_a_file_with_one_scale_per_kernel_computes_with_and_without_xnnpack(trained: "Network") -> None:
    found, pixels = load_calibration(trained.work.calibration), held_out(trained)[:32]
    made = make_tflite(trained.work.float_tflite.read_bytes(), INT8, replace(found, per_tensor=True))
    floats = load(trained.work.made(FLOAT32).read_bytes())(normalise(pixels, trained.spec.preprocessing))
    for builtin_only in (True, False):
        answers = load(made, builtin_only=builtin_only)(pixels) / 256
        assert np.mean(answers.argmax(axis=1) == floats.argmax(axis=1)) >= 29 / 32
        assert np.abs(answers - floats).mean() < 0.03


def test_float32_is_the_float_conversion_itself(trained: "Network") -> None:
    wanted = add_metadata(trained.work.float_tflite.read_bytes(), trained.notes.info, trained.notes.labels)
    assert trained.work.made(FLOAT32).read_bytes() == wanted


@TFLITE
def test_quantized_files_are_smaller_as_their_weights_are(row: Precision, trained: "Network") -> None:
    ratio = trained.work.made(row).stat().st_size / trained.work.made(FLOAT32).stat().st_size
    share = {"float32": 1.0, "float16": 0.5, "int8": 0.25}[row.weight_dtype]
    # Names, scales and biases come on top, and weigh most in the least network; float blocks weigh four times as much.
    blocks = load_calibration(trained.work.calibration).blocks if row.islands else ()
    assert share <= ratio <= share + (0.12 if not blocks else 0.4)


@pytest.mark.parametrize("row", [row for row in ROWS if row is not FLOAT32], ids=lambda row: row.name)
def test_what_the_quantizer_refuses_is_named(row: Precision) -> None:
    with pytest.raises(ConversionError, match=f"^litert-quantizer refused {row.name}: "):
        quantize_tflite(b"not a flatbuffer", row, None)


@CALIBRATED
def test_without_ranges_a_calibrated_precision_is_refused(row: Precision, trained: "Network") -> None:
    with pytest.raises(ConversionError, match=f"^litert-quantizer refused {row.name}: "):
        quantize_tflite(trained.work.float_tflite.read_bytes(), row, None)
