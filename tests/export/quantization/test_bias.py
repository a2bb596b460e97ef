"""Bias correction: the mean of every channel is that of the float network."""

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from export.quantization.bias import bias_shifts, with_shifted_biases, with_shifted_onnx_biases
from export.quantization.layers import kernel_layers
from export.quantization.observe import Activations
from export.tflite_file import read_model, write_model
from models.spec import MINUS_ONE_TO_ONE, Preprocessing
from tests.export.quantization.graphs import small_network, tiny_network

if TYPE_CHECKING:
    from tests.export.conftest import Network

EXACT = Preprocessing(mean=(128.0,) * 3, std=(128.0,) * 3)


def pictures() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(100, 256, (12, 24, 24, 3), np.uint8)


def kernel() -> NDArray[np.float32]:
    """Small weights beside one great one, which makes the steps coarse; the outputs stay inside of ReLU6."""
    values = np.random.default_rng(0).normal(0, 0.003, (6, 3, 3, 3)).astype(np.float32)
    values[:, 1, 1, 0] = 0.9
    return values


def network(weights: NDArray[np.float32]) -> bytes:
    return tiny_network(weights, np.full(len(weights), 2.5, np.float32), 24)


def rounded(weights: NDArray[np.float32], channel: int = 0) -> NDArray[np.float32]:
    """With 127 steps on either side of zero for each slice along one axis."""
    others = tuple(axis for axis in range(weights.ndim) if axis != channel % weights.ndim)
    steps = np.maximum(np.abs(weights.astype(np.float64)).max(axis=others, keepdims=True), 1e-30) / 127
    return np.asarray(np.round(weights / steps) * steps, np.float32)


def means(file: bytes, preprocessing: Preprocessing) -> NDArray[np.float64]:
    activations = Activations(file, preprocessing)
    rows = [activations.compute(picture)[0][0].mean(axis=(0, 1)) for picture in pictures()]
    return np.asarray(np.mean(rows, axis=0), np.float64)


def test_rounded_weights_with_corrected_biases_have_the_float_means() -> None:
    weights = kernel()
    wanted = means(network(weights), EXACT)
    shifts = bias_shifts(network(weights), pictures(), EXACT, lambda _: None)
    assert set(shifts) == {"layer/bias"}
    plain = means(network(rounded(weights)), EXACT)
    corrected = means(with_shifted_biases(network(rounded(weights)), shifts), EXACT)
    assert np.abs(plain - wanted).max() > 3e-3, "rounding moves nothing, so that nothing is shown"
    np.testing.assert_allclose(corrected, wanted, atol=1e-5)


def test_the_half_grey_level_of_integer_pixels_is_made_up_for() -> None:
    weights = kernel()
    shifts = bias_shifts(network(weights), pictures(), MINUS_ONE_TO_ONE, lambda _: None)
    stored = Preprocessing(mean=(128.0,) * 3, std=(127.5,) * 3)
    wanted = means(network(weights), MINUS_ONE_TO_ONE)
    got = means(with_shifted_biases(network(rounded(weights)), shifts), stored)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_layers_that_share_their_constants_are_corrected_apart() -> None:
    model = read_model(small_network())
    graph = model.subgraphs[0]
    biases = {tensor.name.decode(): tensor for tensor in graph.tensors if tensor.name.endswith(b"/bias")}
    one, other = "block_1_depthwise/bias", "block_2_depthwise/bias"
    biases[one].buffer = biases[other].buffer
    made = read_model(with_shifted_biases(write_model(model), {one: (1.0,) * 8, other: (-2.0,) * 8}))
    stored = {
        tensor.name.decode(): made.buffers[tensor.buffer].data.view(np.float32) for tensor in made.subgraphs[0].tensors
        if tensor.name.decode() in biases
    }  # fmt: skip
    np.testing.assert_allclose(stored[one] - stored[other], 3.0, atol=1e-6)


def test_a_depthwise_layer_with_more_outputs_than_inputs_is_corrected() -> None:
    model = read_model(small_network())
    layers = {layer.name: layer for layer in kernel_layers(model)}
    layer = layers["block_1_depthwise/kernel"]
    layer.multiplier = 2
    reads = list(layer.reads(np.arange(8 * 8 * 4, dtype=np.float32).reshape(1, 8, 8, 4)))
    assert [rows.shape for rows in reads] == [(64, 8)] * 9
    # The centre of the kernel reads each input channel for two outputs.
    assert list(reads[4][0]) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_order_of_the_pictures_changes_no_bit() -> None:
    files = [bias_shifts(network(kernel()), p, EXACT, lambda _: None) for p in (pictures(), pictures()[::-1])]
    assert files[0] == files[1]


def coarse(tflite: bytes) -> bytes:
    """The network with every kernel rounded to 8 bits per output channel, all else float."""
    model = read_model(tflite)
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if tensor.name.endswith(b"/kernel"):
            values = data.view(np.float32).reshape(tensor.shape)
            # A depthwise kernel is [1, h, w, channels], others begin with their output channels.
            depthwise = tensor.shape[0] == 1 and len(tensor.shape) == 4
            model.buffers[tensor.buffer].data = rounded(values, -1 if depthwise else 0).reshape(-1).view(np.uint8)
    return write_model(model)


@pytest.mark.parametrize("name", ["trained", "untrained"])
def test_the_layers_of_a_whole_network_come_nearer_to_their_means(name: str, request: pytest.FixtureRequest) -> None:
    network: Network = request.getfixturevalue(name)
    source, pixels = network.work.float_tflite.read_bytes(), np.load(network.work.calibration_pixels)[:32]
    preprocessing = Preprocessing(mean=(127.0,) * 3, std=(127.5,) * 3)
    shifts = bias_shifts(source, pixels, preprocessing, lambda _: None)

    def channel_means(file: bytes) -> dict[str, NDArray[np.float64]]:
        activations = Activations(file, preprocessing)
        sums: dict[str, NDArray[np.float64]] = {}
        for picture in pixels:
            for layer, values in zip(activations.names, activations.compute(picture), strict=True):
                mean = values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64) / len(pixels)
                sums[layer] = sums.get(layer, 0) + mean
            del values
        return sums

    wanted, plain = channel_means(source), channel_means(coarse(source))
    corrected = channel_means(with_shifted_biases(coarse(source), shifts))
    layers = [bias.removesuffix("/bias") for bias in shifts]

    def error(found: dict[str, NDArray[np.float64]]) -> float:
        return float(np.median([np.abs(found[layer] - wanted[layer]).mean() for layer in layers if layer in found]))

    # Not all the way: what a ReLU cuts off has a mean of its own.
    assert error(corrected) < 0.8 * error(plain)


def test_onnx_has_the_same_biases(trained: "Network") -> None:
    source = trained.work.float_onnx.read_bytes()
    graph = read_model(trained.work.float_tflite.read_bytes()).subgraphs[0]
    names = [t.name.decode() for t in graph.tensors if t.name.endswith(b"/bias")]
    before = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load_from_string(source).graph.initializer}
    assert set(names) <= set(before)
    shifted = with_shifted_onnx_biases(source, {name: tuple(np.full(before[name].shape, 0.5)) for name in names})
    for tensor in onnx.load_from_string(shifted).graph.initializer:
        moved = 0.5 if tensor.name in names else 0.0
        np.testing.assert_allclose(onnx.numpy_helper.to_array(tensor) - before[tensor.name], moved, atol=1e-6)
