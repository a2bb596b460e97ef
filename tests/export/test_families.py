"""Every network of the zoo, through the whole pipeline but for training: convert, calibrate, quantize, verify.

By default one small network per family whose blocks no other test exports, at a low resolution; with `-m slow` all rows
at their own.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest
from litert_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor
from litert_quantizer.qtyping import UniformQuantParams
from numpy.typing import NDArray

from export.calibrate import measure_ranges
from export.contents import read_contents
from export.mediapipe_task import classify_pictures
from export.metadata.info import compose_info
from export.metadata.labels import format_labels
from export.precision import PRECISIONS, for_random_weights
from export.quantization.settings import DEFAULTS
from export.quantize import large_kernels, quantize_tflite
from export.stages import Notes, calibrate_stage, onnx_stage, tflite_stage, verify_stage
from export.tflite_file import read_model
from export.to_float import convert_float
from export.work import WorkFiles, save_array
from models.blocks import plan_layers
from models.build import build
from models.data import normalise
from models.errors import ConversionError, NotInstalledError
from models.spec import ModelSpec
from models.worker import Progress, Report, run_in_worker
from models.zoo import MODELS

PICTURES, CLASSES = 12, 10
SMALL = {
    "mobilenet_v3_small_0.75": 64,
    "mobilenet_v3_small_minimalistic_1.0": 64,
    "mobilenet_v4_conv_small": 64,
    "vgg_small": 32,
    "vgg_small_separable": 32,
}
ROWS = [replace(MODELS[name], resolution_px=side, num_classes=CLASSES) for name, side in SMALL.items()]
ROWS += [replace(spec, num_classes=CLASSES) for spec in MODELS.values()]

# V4 large at 384 px takes minutes, on a busy machine more than the usual limit.
SLOW = (pytest.mark.slow, pytest.mark.timeout(1800))


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


def pictures(size_px: int) -> NDArray[np.uint8]:
    """Random colour fields of 4 x 4 squares, as different from each other as pictures are."""
    squares = np.random.default_rng(1).integers(0, 256, (PICTURES, 4, 4, 3), np.uint8)
    return np.kron(squares, np.ones((1, size_px // 4, size_px // 4, 1), np.uint8))


def he_normal(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Random values that keep the size of a signal through a ReLU."""
    # A depthwise kernel is [h, w, channels, 1] and adds up h * w inputs, a full one [h, w, in, out] all but `out`.
    outputs = kernel.shape[2] if kernel.shape[3] == 1 else kernel.shape[3]
    inputs = kernel.size // outputs
    return np.random.default_rng(2).normal(0, np.sqrt(2 / inputs), kernel.shape).astype(np.float32)


def lively(spec: ModelSpec) -> keras.Model:
    """The network with random weights whose logits depend on the picture, as a trained one's do."""
    keras.utils.set_random_seed(0)
    model, inputs = build(spec), normalise(pictures(spec.resolution_px), spec.preprocessing)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        elif spec.pooling == "flatten" and layer.weights and layer.name != "classifier":
            # Without normalization, Keras' initial depthwise kernels let the signal fade to nothing.
            kernel, *bias = layer.get_weights()
            layer.set_weights([he_normal(kernel), *bias])
    model(inputs, training=True)
    logits = model.predict_on_batch(inputs)
    kernel, _ = model.get_layer("classifier").get_weights()
    gain = 2 / np.abs(logits - logits.mean(axis=0)).max()
    model.get_layer("classifier").set_weights([kernel * gain, -logits.mean(axis=0) * gain])
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A network's files, not yet verified."""

    spec: ModelSpec
    work: WorkFiles
    failures: dict[str, str]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            spec, id=f"{spec.name}@{spec.resolution_px}", marks=pytest.mark.slow if number >= len(SMALL) else ()
        )
        for number, spec in enumerate(ROWS)
    ],
)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The files of one network, in all default precisions."""
    spec: ModelSpec = request.param
    work = WorkFiles(tmp_path_factory.mktemp("family"))
    save_array(work.calibration_pixels, pictures(spec.resolution_px))
    save_array(work.test_pixels, pictures(spec.resolution_px))
    checkpoint = work.folder / "checkpoint.keras"
    lively(spec).save(checkpoint)
    convert_float(silent, spec, checkpoint, "probabilities", True, work)
    save_array(work.test_classes, np.load(work.reference).argmax(axis=1))
    default = [row for row in PRECISIONS.values() if row.default]
    info = compose_info(spec, source="random", weights_sha256="0" * 64)
    notes = Notes(info=info, labels=format_labels([f"class {number}" for number in range(CLASSES)]))
    assert not calibrate_stage(silent, spec, DEFAULTS, work)
    failures = tflite_stage(silent, tuple(row for row in default if row.format == "tflite"), notes, work)
    failures |= onnx_stage(silent, spec, tuple(row for row in default if row.format == "onnx"), work)
    yield Made(spec=spec, work=work, failures=failures)
    for file in work.folder.iterdir():
        file.unlink()


def test_every_precision_is_made_and_verified(made: Made) -> None:
    assert made.failures == {}
    reference = np.load(made.work.reference)
    assert len(set(reference.argmax(axis=1))) > 3, "agreement on one class would prove nothing"
    for row in PRECISIONS.values():
        if not row.default:
            continue
        verdict = verify_stage(silent, row, for_random_weights(row.limits), made.spec.preprocessing, made.work)
        failed = [check for check in verdict.checks if not check.passed]
        assert not failed, (row.format, row.name)


def all_scores(report: Report, paths: list[Path], pictures: Path) -> list[NDArray[np.float64]]:
    """MediaPipe's scores for each file, in a worker."""
    return [classify_pictures(report, path, CLASSES, pictures) for path in paths]


def test_mediapipe_takes_what_the_documentation_says_and_agrees(made: Made) -> None:
    names = [name for name in ("float32", "float16", "dynamic_range", "int8") if f"tflite {name}" not in made.failures]
    paths = [made.work.made(PRECISIONS["tflite", name]) for name in names]
    try:
        found = run_in_worker(all_scores, paths, made.work.test_pixels)
    except NotInstalledError as error:
        pytest.skip(str(error))
    reference = np.load(made.work.reference)
    for name, scores in zip(names, found, strict=True):
        limits = for_random_weights(PRECISIONS["tflite", name].limits)
        difference = np.abs(scores - reference).max(axis=1)
        # Against Keras, so that the same limits hold as for our own runtime.
        assert difference.max() <= (limits.max_abs_error or 1), name
        assert difference.mean() <= (limits.max_mean_error or 1), name


def test_the_graphs_are_lean(made: Made) -> None:
    plan = plan_layers(made.spec)
    kinds = Counter(layer.kind for layer in plan)
    swish = sum(layer.activation == "hard_swish" for layer in plan)
    expected = {
        "CONV_2D": kinds["conv"], "DEPTHWISE_CONV_2D": kinds["depthwise"], "FULLY_CONNECTED": kinds["dense"],
        "ADD": kinds["add"], "MUL": kinds["multiply"], "MEAN": kinds["pool"] + kinds["squeeze"], "HARD_SWISH": swish,
        "MAX_POOL_2D": kinds["max_pool"], "RESHAPE": kinds["flatten"], "SOFTMAX": 1,
    }  # fmt: skip
    # Neither PAD, SHAPE, STRIDED_SLICE and PACK, nor a hard-sigmoid in parts: gates are ReLU6 inside convolutions.
    float32, int8 = (PRECISIONS["tflite", name] for name in ("float32", "int8"))
    found = read_contents(made.work.made(float32).read_bytes(), float32).operators
    assert found == {name: count for name, count in expected.items() if count}
    found = read_contents(made.work.made(int8).read_bytes(), int8).operators
    assert found == {**{name: count for name, count in expected.items() if count}, "QUANTIZE": 2}

    onnx32 = PRECISIONS["onnx", "float32"]
    nodes = read_contents(made.work.made(onnx32).read_bytes(), onnx32).operators
    assert nodes["Conv"] == kinds["conv"] + kinds["depthwise"]
    assert nodes.get("HardSwish", 0) == swish
    assert nodes.get("GlobalAveragePool", 0) == kinds["pool"] + kinds["squeeze"]
    assert nodes.get("Mul", 0) == kinds["multiply"]
    # One turns the picture, one the map that is flattened, in the order of its classifier's weights.
    assert nodes.get("Transpose", 0) == 1 + kinds["flatten"]
    assert not {"Pad", "Shape", "Slice", "HardSigmoid", "ReduceMean"} & set(nodes)


def test_a_network_with_hard_swish_is_refused_for_int16x8_and_others_are_not(made: Made) -> None:
    row = PRECISIONS["tflite", "int16x8"]
    tflite = made.work.float_tflite.read_bytes()
    ranges = measure_ranges(tflite, np.load(made.work.calibration_pixels)[:2], made.spec.preprocessing, silent)
    if any(layer.activation == "hard_swish" for layer in plan_layers(made.spec)):
        with pytest.raises(ConversionError, match=r"^int16x8 has no 16-bit HARD_SWISH, .*; take int8, or a network"):
            quantize_tflite(tflite, row, ranges)
    else:
        contents = read_contents(quantize_tflite(tflite, row, ranges), row)
        assert set(contents.activations) == {"int16"}


def test_tensors_are_named_after_the_layers_that_make_them(made: Made) -> None:
    row = PRECISIONS["tflite", "float32"]
    graph = read_model(made.work.made(row).read_bytes()).subgraphs[0]
    names = {graph.tensors[operator.outputs[0]].name.decode() for operator in graph.operators}
    for layer in plan_layers(made.spec):
        swish = f"{layer.name}_hard_swish"
        assert {layer.name, swish} & names or layer.name == "classifier"
        assert (swish in names) == (layer.activation == "hard_swish")


def test_no_row_is_left_out() -> None:
    assert {spec.name for spec in ROWS[len(SMALL) :]} == set(MODELS)
    blocks = {stage.block for name in SMALL for stage in (*MODELS[name].stages, *MODELS[name].head)}
    # The default run of other tests exports V1 (separable) and V2; FusedIB is a convolution with an odd stride.
    assert blocks >= {"inverted_residual", "universal_inverted_bottleneck", "dense", "factorized", "max_pool"}


def test_kernels_above_32_mebibytes_are_quantized_as_small_ones_are() -> None:
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 1, (1024, 3, 3, 1024)).astype(np.float32)
    scale = (np.abs(kernel).max(axis=(1, 2, 3)) / 127).astype(np.float32)

    def parameters(channels: slice) -> UniformQuantParams:
        part = scale[channels].reshape(-1, 1, 1, 1)
        return UniformQuantParams(
            num_bits=8, quantized_dimension=0, scale=part, zero_point=np.zeros(part.shape, np.int64), symmetric=True
        )

    with pytest.raises(ValueError, match="more dimensions than allowed"):
        uniform_quantize_tensor.uniform_quantize(kernel, parameters(slice(None)))
    with large_kernels():
        whole = uniform_quantize_tensor.uniform_quantize(kernel, parameters(slice(None)))
    part = uniform_quantize_tensor.uniform_quantize(kernel[100:110], parameters(slice(100, 110)))
    assert whole.dtype == np.int8
    np.testing.assert_array_equal(whole[100:110], part)
