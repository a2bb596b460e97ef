"""Ranges of the representative data set, and the integer input that realises the preprocessing."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st

from export.calibrate import input_quantization, measure_ranges, sample_digest
from export.quantization.ranges import RANGE_FLOOR, as_statistics
from export.tflite_file import read_model, write_model
from models.data import Pixels, load_dataset, normalise, stratified_sample
from models.errors import ConversionError, DataError
from models.spec import MINUS_ONE_TO_ONE, Preprocessing
from models.worker import Progress

if TYPE_CHECKING:
    from tests.export.conftest import Network


def same(mean: float, std: float) -> Preprocessing:
    return Preprocessing(mean=(mean, mean, mean), std=(std, std, std))


def source(network: "Network") -> bytes:
    return network.work.float_tflite.read_bytes()


def calibration_pixels(network: "Network", count: int | None = None) -> Pixels:
    pixels: Pixels = np.load(network.work.calibration_pixels)
    return pixels[:count]


def with_dead_layer(content: bytes, value: float, position: int = 2) -> bytes:
    """The network with the kernel of one operator zero and its bias `value`: its output is the same for any picture."""
    model = read_model(content)
    operator = model.subgraphs[0].operators[position]
    for index, number in zip(operator.inputs[1:], (0.0, value), strict=True):
        tensor = model.subgraphs[0].tensors[index]
        model.buffers[tensor.buffer].data = np.full(int(np.prod(tensor.shape)), number, np.float32).view(np.uint8)
    return write_model(model)


@given(mean=st.integers(0, 255), std=st.floats(0.5, 512))
def test_a_whole_mean_is_realised_exactly(mean: int, std: float) -> None:
    pixel = input_quantization(same(mean, std))
    assert pixel.residual == 0
    every_byte = np.arange(256)
    wanted = (every_byte - mean) / std
    np.testing.assert_allclose(pixel.scale * (every_byte - pixel.zero_point), wanted, rtol=1e-12)


@given(mean=st.floats(0, 255), std=st.floats(0.5, 512))
def test_any_mean_is_realised_within_half_a_grey_level(mean: float, std: float) -> None:
    pixel = input_quantization(same(mean, std))
    assert pixel.residual <= 0.5
    every_byte = np.arange(256)
    difference = np.abs(pixel.scale * (every_byte - pixel.zero_point) - (every_byte - mean) / std) * std
    np.testing.assert_allclose(difference, pixel.residual, atol=1e-9)


def test_the_range_minus_one_to_one_leaves_half_a_grey_level() -> None:
    pixel = input_quantization(MINUS_ONE_TO_ONE)
    assert (pixel.scale, pixel.zero_point, pixel.residual) == (1 / 127.5, 128, 0.5)


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
        Preprocessing(mean=(0, 0, 0), std=(255, 255, 254)),
    ],
)
def test_a_preprocessing_that_differs_between_channels_has_no_integer_input(preprocessing: Preprocessing) -> None:
    with pytest.raises(ConversionError) as refusal:
        input_quantization(preprocessing)
    assert str(refusal.value) == (
        f"int8 input has one scale for all channels, but mean {preprocessing.mean} and std {preprocessing.std} "
        "differ between channels; export float precisions only"
    )


@pytest.mark.parametrize("mean", [-1.0, 256.0, 300.0])
def test_a_mean_outside_the_bytes_has_no_integer_input(mean: float) -> None:
    with pytest.raises(ConversionError, match=f"a mean of {mean} grey levels lies outside the bytes 0..255"):
        input_quantization(same(mean, 1.0))


@given(seed=st.integers(0, 2**32 - 1))
def test_the_digest_of_a_sample_is_the_same_in_any_order(seed: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), np.uint8)
    assert sample_digest(np.random.default_rng(seed).permutation(pixels)) == sample_digest(pixels)


def test_the_digest_of_a_sample_changes_with_any_byte_and_with_repetition() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    other = pixels.copy()
    other[2, 3, 3, 2] ^= 1
    digests = {sample_digest(p) for p in (pixels, other, pixels[:2], pixels[[0, 1, 2, 2]], pixels[[0, 1, 1, 2]])}
    assert len(digests) == 5


def test_ranges_are_the_same_bit_for_bit_in_any_order(trained: "Network") -> None:
    pixels = calibration_pixels(trained, 24)
    shuffled = np.random.default_rng(1).permutation(pixels)
    assert not np.array_equal(pixels, shuffled)
    forth, back, mixed = (
        measure_ranges(source(trained), p, trained.spec.preprocessing, lambda _: None)
        for p in (pixels, pixels[::-1], shuffled)
    )
    assert forth == back == mixed


def test_ranges_cover_every_computed_tensor_and_the_input(trained: "Network") -> None:
    ranges = measure_ranges(source(trained), calibration_pixels(trained, 2), trained.spec.preprocessing, lambda _: None)
    graph = read_model(source(trained)).subgraphs[0]
    outputs = {graph.tensors[i].name.decode() for operator in graph.operators for i in operator.outputs}
    assert set(ranges) == {"image", *outputs}
    assert all(low <= 0 <= high for low, high in ranges.values())


def test_ranges_are_the_extremes_over_all_images(trained: "Network") -> None:
    pixels = calibration_pixels(trained, 8)
    preprocessing = trained.spec.preprocessing
    ranges = measure_ranges(source(trained), pixels, preprocessing, lambda _: None)
    interpreter = Interpreter(model_content=source(trained))
    interpreter.allocate_tensors()
    rows = []
    for image in pixels:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], normalise(image[None], preprocessing))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    # Zero is in every range: padding and ReLU need it exactly.
    assert ranges["probabilities"] == pytest.approx((0.0, np.max(rows)), abs=1e-6)
    # Single images have narrower ranges, so all of them have been looked at.
    alone = [measure_ranges(source(trained), image[None], preprocessing, lambda _: None) for image in pixels]
    for name, (low, high) in ranges.items():
        assert (low, high) == (min(r[name][0] for r in alone), max(r[name][1] for r in alone))


def test_the_input_range_comes_from_the_preprocessing_and_not_from_the_images(trained: "Network") -> None:
    grey = np.full_like(calibration_pixels(trained, 1), 100)
    for mean, std in ((0.0, 255.0), (128.0, 128.0), (127.5, 127.5)):
        ranges = measure_ranges(source(trained), grey, same(mean, std), lambda _: None)
        zero_point = round(mean)
        assert ranges["image"] == pytest.approx((-zero_point / std, (255 - zero_point) / std), abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 1e-9, -1.0])
def test_no_range_is_narrower_than_the_floor(trained: "Network", value: float) -> None:
    dead = with_dead_layer(source(trained), value)
    ranges = measure_ranges(dead, calibration_pixels(trained, 2), trained.spec.preprocessing, lambda _: None)
    widths = [high - low for low, high in ranges.values()]
    assert min(widths) == pytest.approx(RANGE_FLOOR, rel=1e-3)


def test_progress_is_reported_for_every_image(trained: "Network") -> None:
    seen: list[Progress] = []
    measure_ranges(source(trained), calibration_pixels(trained, 3), trained.spec.preprocessing, seen.append)
    assert [(p.stage, p.done, p.total) for p in seen] == [("calibrate", n, 3) for n in (1, 2, 3)]


def test_no_images_give_no_ranges(trained: "Network") -> None:
    with pytest.raises(DataError, match="calibration needs at least one image"):
        measure_ranges(source(trained), calibration_pixels(trained, 0), trained.spec.preprocessing, lambda _: None)


@pytest.mark.parametrize(("value", "operator"), [(np.nan, 2), (np.inf, -2)])
def test_activations_that_are_not_finite_are_refused_by_the_name_of_their_layer(
    trained: "Network", value: float, operator: int
) -> None:
    # Infinity survives in the classifier only; elsewhere ReLU6 makes 6 of it.
    broken = with_dead_layer(source(trained), value, operator)
    graph = read_model(broken).subgraphs[0]
    name = graph.tensors[graph.operators[operator].outputs[0]].name.decode()
    with pytest.raises(DataError) as refusal:
        measure_ranges(broken, calibration_pixels(trained, 1), trained.spec.preprocessing, lambda _: None)
    assert str(refusal.value) == (
        f"activations of {name} are not finite on the calibration images; check the checkpoint"
    )


def test_statistics_have_one_element_and_the_rank_of_their_tensor(trained: "Network") -> None:
    statistics = as_statistics({"image": (-1.0, 2.0), "probabilities": (0.0, 1.0)}, source(trained))
    assert {name: value["min"].shape for name, value in statistics.items()} == {
        "image": (1, 1, 1, 1),
        "probabilities": (1, 1),
    }
    assert [statistics["image"][key].item() for key in ("min", "max")] == [-1.0, 2.0]
    assert statistics["image"]["min"].dtype == np.float32


def test_the_default_sample_is_seeded_and_holds_every_class_alike() -> None:
    data = load_dataset("digits")

    def sample(seed: int) -> Any:
        return stratified_sample(data.classes, data.splits["train"], 128, seed)

    assert np.array_equal(sample(0), sample(0))
    assert not np.array_equal(sample(0), sample(1))
    assert set(sample(0)) <= set(data.splits["train"])
    per_class = np.bincount(data.classes[sample(0)])
    assert per_class.sum() == 128
    assert per_class.max() - per_class.min() <= 1
