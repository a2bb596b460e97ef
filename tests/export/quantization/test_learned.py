"""Ranges of quantization-aware training in exported files, which compute what was trained, to the last bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.contents import read_contents
from export.precision import PRECISIONS
from export.quantization.calibration import Calibration, calibrate
from export.quantization.learned import answer_as_twin, learned_settings, ranges_on_record, with_learned
from export.quantization.ranges import Ranges
from export.quantization.settings import DEFAULTS, LEARNED, NAIVE, QuantizationSettings, parse_settings
from export.quantize import make_tflite
from export.to_float import to_tflite
from export.verify import load_tflite, to_input
from export.work import WorkFiles
from models.build import fold_batch_norm
from models.checkpoint import TrainedModel
from models.data import normalise
from models.errors import ConversionError, UsageError, WeightsError
from models.qat.begin import begin_ranges
from models.qat.network import build_twin, learned_ranges, take_weights, unfold
from models.spec import ModelSpec
from models.worker import Progress
from models.zoo import MODELS
from tests.models.qat.networks import SPECS, random_network

INT8 = PRECISIONS["tflite", "int8"]
PICTURES = 200


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


def compare(spec: ModelSpec, folder: Path) -> tuple[Any, Any]:
    """What the twin gives for random pictures, and what its int8 file gives with XNNPACK, in steps of the file's."""
    side, rng = spec.resolution_px, np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (PICTURES, 4, 4, 3)), np.ones((1, side // 4, side // 4, 1))).astype(np.uint8)
    model, twin = random_network(spec), build_twin(spec)
    take_weights(twin, model, spec)
    begin_ranges(twin, model, spec, pixels[:16], silent)
    # Learning moves them, and not only at one end.
    for layer in twin.layers:
        if hasattr(layer, "growth"):
            layer.growth.assign(rng.normal(0, 0.05, 2))
    ordinary = unfold(twin, spec)
    take_weights(twin, ordinary, spec)
    source = to_tflite(fold_batch_norm(ordinary, spec), spec, "logits")
    found = calibrate(source, pixels[:2], spec.preprocessing, NAIVE, silent)
    path = folder / "int8.tflite"
    path.write_bytes(make_tflite(source, INT8, with_learned(found, source, learned_ranges(twin, spec))))
    info = read_contents(path.read_bytes(), INT8)
    run, fed = load_tflite(path, builtin_only=False), to_input(pixels, info.input, spec.preprocessing)
    given = np.concatenate([run(fed[n : n + 1]) for n in range(PICTURES)]).astype(np.int64)
    own: Any = np.asarray(twin(normalise(pixels, spec.preprocessing), training=False))
    return np.rint(own / info.output.scale).astype(np.int64) + info.output.zero_point, given


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_the_file_gives_what_the_twin_gives_for_every_picture(spec: ModelSpec, tmp_path: Path) -> None:
    own, given = compare(spec, tmp_path)
    assert np.array_equal(own, given)
    # Of different pictures they say different things.
    assert len(np.unique(given, axis=0)) > PICTURES / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v1_0.25_128", "mobilenet_v2_0.35_96", "mobilenet_v3_small_1.0", "mobilenet_v4_conv_small",
        "vgg_small_separable",
    ],
)  # fmt: skip
def test_so_do_networks_of_the_zoo(name: str, tmp_path: Path) -> None:
    own, given = compare(replace(MODELS[name], num_classes=10, resolution_px=64), tmp_path)
    # A sum beyond 2**24 is rounded in float32, which may move a value by a step once in a long while.
    assert np.mean((own == given).all(axis=1)) >= 0.99
    assert np.mean(own.argmax(axis=1) == given.argmax(axis=1)) >= 0.999


def weights(record: dict[str, Any]) -> TrainedModel:
    return TrainedModel(model="m", source="s", path=Path("x.keras"), sha256="0", seed=0, record=record)


def test_ranges_come_from_the_record() -> None:
    assert ranges_on_record(weights({})) is None
    assert ranges_on_record(weights({"quantization": {"ranges": {"conv_1": [0, 2.5]}}})) == {"conv_1": (0.0, 2.5)}


@pytest.mark.parametrize("record", [{}, {"ranges": [1]}, {"ranges": {"a": [1]}}, {"ranges": {"a": ["x", 2]}}, 3])
def test_a_record_that_is_not_understood_is_refused(record: Any) -> None:
    with pytest.raises(WeightsError, match=r"beside x.keras are not understood .*`make train MODEL=m QAT=1`$"):
        ranges_on_record(weights({"quantization": record}))


def test_nothing_else_is_done_to_learned_ranges() -> None:
    assert learned_settings(DEFAULTS, None) == LEARNED
    with pytest.raises(UsageError, match=r"^--quantization with weights of .*: --weights auto$"):
        learned_settings(replace(DEFAULTS, equalize=True), None)
    with pytest.raises(UsageError, match=r"^--max-drop with weights of .*: --weights auto$"):
        learned_settings(DEFAULTS, 0.5)


def test_learned_ranges_cannot_be_asked_for() -> None:
    with pytest.raises(UsageError, match=r"^unknown quantization setting 'learned'"):
        parse_settings("learned")
    # A manifest may hold them.
    assert QuantizationSettings.from_json(LEARNED.to_json()) == LEARNED


def calibration(ranges: Ranges) -> Calibration:
    return Calibration(ranges=ranges, wide_ranges={"a": (-9.0, 9.0)}, shifts={"a/bias": (1.0,)})


def test_a_tensor_without_a_range_is_named() -> None:
    spec = SPECS["v1"]
    source = to_tflite(fold_batch_norm(random_network(spec), spec), spec, "probabilities")
    found = calibration(
        {"image": (-1.0, 1.0), "conv_1": (0.0, 5.0), "classifier": (-3.0, 3.0), "probabilities": (0, 1)}
    )
    learned = {"conv_1": (0.0, 4.0), "classifier": (-2.0, 2.0)}
    merged = with_learned(found, source, learned)
    assert merged.ranges == {"image": (-1.0, 1.0), **learned, "probabilities": (0, 1)}
    assert (merged.wide_ranges, merged.shifts) == (found.wide_ranges, {})
    with pytest.raises(
        ConversionError, match=r"learned no range for classifier, .* \(1 of 4 tensors\); .* --weights auto$"
    ):
        with_learned(found, source, {"conv_1": (0.0, 4.0)})


def test_8_bit_files_are_compared_with_the_twin_and_others_with_the_float_network(tmp_path: Path) -> None:
    spec, work = SPECS["v1"], WorkFiles(tmp_path)
    model, twin = random_network(spec), build_twin(spec)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
    take_weights(twin, model, spec)
    begin_ranges(twin, model, spec, pixels, silent)
    # As it is kept: with batch normalization that does nothing but add.
    unfold(twin, spec).save(tmp_path / "trained.keras")
    np.save(work.test_pixels, pixels)
    assert work.reference_for(INT8) == work.reference
    answer_as_twin(silent, spec, tmp_path / "trained.keras", learned_ranges(twin, spec), work)
    scores = np.exp(np.asarray(twin(normalise(pixels, spec.preprocessing), training=False)))
    assert np.abs(np.load(work.twin) - scores / scores.sum(axis=1, keepdims=True)).max() < 1e-5
    assert work.reference_for(INT8) == work.reference_for(PRECISIONS["onnx", "int8"]) == work.twin
    assert work.reference_for(PRECISIONS["tflite", "float32"]) == work.reference
    assert work.reference_for(PRECISIONS["tflite", "int16x8"]) == work.reference
    with pytest.raises(
        WeightsError, match=r"has no range for 'conv_1'; train it again with `make train MODEL=v1 QAT=1`"
    ):
        answer_as_twin(silent, spec, tmp_path / "trained.keras", {}, work)
