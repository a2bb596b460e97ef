"""Rounding by the layer's output: never worse than to the nearest, on the grid, the same in any order."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.precision import PRECISIONS
from export.quantization.bias import bias_shifts, with_shifted_biases
from export.quantization.calibration import calibrate
from export.quantization.kernels import LEVEL, kernel_steps, with_kernels
from export.quantization.observe import Activations
from export.quantization.rounding import round_kernels, round_weights, trusted
from export.quantization.settings import NAIVE, QuantizationSettings
from export.quantize import make_tflite
from export.tflite_file import read_model
from models.spec import Preprocessing
from tests.export.quantization.graphs import random_pictures, small_network, tiny_network

EXACT = Preprocessing(mean=(128.0,) * 3, std=(128.0,) * 3)


def problem(seed: int, inputs: int, channels: int, matrices: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights in steps, and moments of inputs that resemble each other."""
    rng = np.random.default_rng(seed)
    wanted = rng.uniform(-LEVEL, LEVEL, (inputs, channels))
    wanted[rng.integers(inputs, size=channels), np.arange(channels)] = LEVEL
    rows = rng.normal(1, 1, (matrices, 200, 1)) + 0.4 * rng.normal(size=(matrices, 200, inputs))
    return wanted, np.swapaxes(rows, 1, 2) @ rows / 200


def error(levels: NDArray[Any], wanted: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean square of the output's error, by channel."""
    off = levels - wanted
    matrices = np.broadcast_to(moments, (off.shape[1], *moments.shape[1:]))
    return np.asarray(np.einsum("ic,cij,jc->c", off, matrices, off))


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 6), st.booleans())
@settings(max_examples=40, deadline=None)
def test_levels_are_whole_bounded_and_the_greatest_weight_stays(
    seed: int, inputs: int, channels: int, depthwise: bool
) -> None:
    wanted, moments = problem(seed, inputs, channels, channels if depthwise else 1)
    levels = round_weights(wanted, moments)
    assert np.array_equal(levels, np.round(levels))
    assert np.abs(levels).max() == LEVEL
    assert np.all(levels[wanted == LEVEL] == LEVEL)


@pytest.mark.parametrize("matrices", [1, 40])
def test_outputs_err_less_than_with_the_nearest_levels(matrices: int) -> None:
    wanted, moments = problem(0, 24, 40, matrices)
    nearest, found = (error(levels, wanted, moments) for levels in (np.round(wanted), round_weights(wanted, moments)))
    assert found.mean() < 0.3 * nearest.mean()


def test_nine_weights_come_near_the_best_of_all_512_ways() -> None:
    wanted, moments = problem(1, 9, 30, 30)
    found = error(round_weights(wanted, moments), wanted, moments)
    ways = np.array(list(itertools.product((0, 1), repeat=9))).T[:, :, None]
    best = []
    for channel in range(30):
        column = np.minimum(np.floor(wanted[:, channel, None]) + ways[..., 0], LEVEL)
        column[wanted[:, channel] == LEVEL] = LEVEL
        tried = np.repeat(wanted[:, channel, None], 512, axis=1)
        best.append(error(column, tried, moments[channel : channel + 1]).min())
    nearest = error(np.round(wanted), wanted, moments)
    assert found.mean() < 1.5 * np.mean(best)
    assert nearest.mean() > 3 * np.mean(best), "rounding to the nearest is as good, so that nothing is shown"


def test_what_few_pictures_say_of_many_inputs_is_trusted_less() -> None:
    moments = np.full((1, 10, 10), 0.5)
    np.einsum("cii->ci", moments)[...] = 1
    few, many = (trusted(moments, images, images * 4) for images in (5, 5000))
    assert few[0, 0, 1] == pytest.approx(0.5 * 10 / 20)
    assert many[0, 0, 1] == pytest.approx(0.5, rel=1e-3)
    assert np.all(np.einsum("cii->ci", few) == 1)


def test_dead_inputs_leave_the_moments_positive_definite() -> None:
    moments = np.zeros((1, 4, 4))
    moments[0, 0, 0] = 2.0
    assert np.linalg.eigvalsh(trusted(moments, 8, 8)[0]).min() > 0
    assert np.linalg.eigvalsh(trusted(np.zeros((1, 4, 4)), 8, 8)[0]).min() > 0


@pytest.mark.parametrize("per_tensor", [False, True])
def test_kernels_are_stored_to_the_last_weight_as_they_were_chosen(per_tensor: bool) -> None:
    network, pictures = small_network(), random_pictures(24)
    settings_ = QuantizationSettings(rounding=True, per_tensor=per_tensor)
    found = calibrate(network, pictures, EXACT, settings_, lambda _: None)
    assert len(found.kernels) == 6
    model = read_model(make_tflite(network, PRECISIONS["tflite", "int8_npu"], found))
    graph, moved = model.subgraphs[0], 0
    before = {t.name.decode(): t for t in read_model(network).subgraphs[0].tensors}
    for operator in graph.operators:
        for tensor in (graph.tensors[index] for index in operator.inputs):
            kernel = found.kernels.get(tensor.name.decode())
            if kernel is not None:
                stored = model.buffers[tensor.buffer].data.view(np.int8).reshape(kernel.shape).astype(np.float64)
                depthwise = kernel.ndim == 4 and kernel.shape[0] == 1
                turned = stored if depthwise else np.moveaxis(stored, 0, -1)
                wanted = kernel if depthwise else np.moveaxis(kernel, 0, -1)
                np.testing.assert_allclose(turned * np.array(tensor.quantization.scale), wanted, rtol=1e-5, atol=1e-9)
                assert tuple(before[tensor.name.decode()].shape) == kernel.shape
                moved += 1
    assert moved == 6


def test_the_greatest_weight_of_each_channel_keeps_its_place_so_that_the_steps_stay() -> None:
    rng = np.random.default_rng(3)
    kernel = rng.normal(size=(6, 3, 3, 3)).astype(np.float32)
    network = tiny_network(kernel, np.zeros(6, np.float32), 16)
    (found,) = round_kernels(network, random_pictures(24), EXACT, lambda _: None, centred=True).values()
    rows, chosen = kernel.reshape(6, -1), found.reshape(6, -1)
    assert np.array_equal(np.abs(chosen).argmax(axis=1), np.abs(rows).argmax(axis=1))
    steps = kernel_steps(rows.T.astype(np.float64), per_tensor=False)
    assert np.abs(chosen / steps[:, None] - rows / steps[:, None]).max() > 0.55, "each weight went to the nearest"


def test_the_network_errs_less_on_pictures_it_was_not_rounded_with() -> None:
    rng = np.random.default_rng(5)
    kernel = rng.normal(size=(16, 3, 3, 3)).astype(np.float32)
    network = tiny_network(kernel, np.full(16, 2.0, np.float32), 16)
    cal, held_out = random_pictures(64), random_pictures(32, seed=9)

    def outputs(file: bytes) -> NDArray[np.float64]:
        activations = Activations(file, EXACT)
        return np.stack([activations.compute(picture)[0].astype(np.float64) for picture in held_out])

    def power(chosen: dict[str, NDArray[np.float32]]) -> float:
        shifts = bias_shifts(network, cal, EXACT, lambda _: None, kernels=chosen)
        nearest = {"layer/kernel": rounded(kernel)} | chosen
        return float(np.mean((outputs(with_shifted_biases(with_kernels(network, nearest), shifts)) - wanted) ** 2))

    def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
        steps = np.abs(values).reshape(16, -1).max(axis=1)[:, None, None, None] / LEVEL
        return np.asarray(np.round(values / steps) * steps, np.float32)

    wanted = outputs(network)
    assert power(round_kernels(network, cal, EXACT, lambda _: None, centred=True)) < 0.5 * power({})


def test_the_order_of_the_pictures_changes_no_bit() -> None:
    pictures = random_pictures(40)
    one, other = (
        round_kernels(small_network(), order, EXACT, lambda _: None, centred=True)
        for order in (pictures, pictures[::-1])
    )
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_it_is_not_done_unless_asked_for() -> None:
    assert calibrate(small_network(), random_pictures(4), EXACT, NAIVE, lambda _: None).kernels == {}
