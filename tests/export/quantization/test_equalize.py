"""Cross-layer equalization: the network computes the same, and its channels are alike."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from export.equalized import equalize, greatest_values, read_weights
from export.quantization.equalize import (
    Channels,
    Group,
    Weights,
    equalizing_factors,
    expected_gain_db,
    find_groups,
    rescale,
    scalable,
)  # fmt: skip
from models.blocks import Kind, Layer, plan_layers
from models.build import build, fold_batch_norm
from models.data import Pixels, normalise
from models.spec import ModelSpec
from models.zoo import MODELS
from tests.export.quantization.twins import stress

CASES = {
    "mobilenet_v1_0.25_128": 32, "mobilenet_v2_0.35_96": 32, "mobilenet_v3_small_0.75": 32,
    "mobilenet_v4_conv_small": 32, "vgg_small": 32,
}  # fmt: skip
"""At which side, in pixels."""


def spec_of(name: str) -> ModelSpec:
    return replace(MODELS[name], resolution_px=CASES[name], num_classes=10)


def pictures(size_px: int) -> Pixels:
    squares = np.random.default_rng(1).integers(0, 256, (16, 4, 4, 3), np.uint8)
    return np.kron(squares, np.ones((1, size_px // 4, size_px // 4, 1), np.uint8))


def folded(spec: ModelSpec) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build(spec)
    inputs = normalise(pictures(spec.resolution_px), spec.preprocessing)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(inputs, training=True)
    return fold_batch_norm(model, spec)


@pytest.mark.parametrize("name", CASES)
def test_equalizing_and_stressing_leave_the_output_as_it_is(name: str) -> None:
    spec = spec_of(name)
    model, pixels = folded(spec), pictures(spec.resolution_px)
    inputs = normalise(pixels, spec.preprocessing)
    wanted, before = model.predict_on_batch(inputs), read_weights(model, spec)
    equalize(model, spec, pixels)
    changed = read_weights(model, spec)
    assert any(not np.array_equal(before[layer][0], changed[layer][0]) for layer in before)
    # Factors round every weight anew, which an untrained network makes much of; a wrong factor gives other answers.
    limit = 2e-4 * np.abs(wanted).max()
    np.testing.assert_allclose(model.predict_on_batch(inputs), wanted, atol=limit, rtol=0)
    assert stress(model, spec, pixels) > 100
    stressed = model.predict_on_batch(inputs)
    np.testing.assert_allclose(stressed, wanted, atol=limit, rtol=0)
    equalize(model, spec, pixels)
    np.testing.assert_allclose(model.predict_on_batch(inputs), stressed, atol=limit, rtol=0)


def test_what_a_twin_spread_is_alike_again() -> None:
    spec = spec_of("mobilenet_v4_conv_small")
    model, pixels = folded(spec), pictures(spec.resolution_px)

    def spread() -> float:
        """Median over the groups of how far channels are apart: standard deviation in powers of two."""
        greatest, found = greatest_values(model, spec, pixels), []
        for group in find_groups(plan_layers(spec)):
            values = np.max([greatest[name] for name in group.tensors], axis=0)
            found.append(np.std(np.log2(values[values > 0])))
        return float(np.median(found))

    natural = spread()
    stress(model, spec, pixels)
    stressed = spread()
    equalize(model, spec, pixels)
    assert stressed > natural + 1.0
    assert spread() < natural + 0.5


def layer(name: str, kind: Kind, inputs: tuple[str, ...], activation: str | None = None) -> Layer:
    return Layer(
        name=name, kind=kind, inputs=inputs, in_channels=2, channels=2, size_px=4, shift="bias", activation=activation
    )  # fmt: skip


def names(groups: tuple[Group, ...]) -> list[tuple[tuple[str, ...], list[str], list[str]]]:
    return [(g.tensors, [p.name for p in g.producers], [r.name for r in g.readers]) for g in groups]


def test_a_residual_is_one_group_with_everything_that_reads_it() -> None:
    plan = (
        layer("a", "conv", ("image",)),
        layer("b", "conv", ("a",)),
        layer("sum", "add", ("a", "b")),
        layer("c", "dense", ("sum",)),
    )
    assert names(find_groups(plan)) == [(("a", "b", "sum"), ["a", "b"], ["b", "c"])]


@pytest.mark.parametrize("activation", ["hard_swish", "hard_sigmoid"])
def test_what_is_not_linear_is_left_alone(activation: str) -> None:
    plan = (layer("a", "conv", ("image",), activation), layer("b", "dense", ("a",)))
    assert find_groups(plan) == ()


def test_a_gate_is_left_alone_and_what_it_gates_is_not() -> None:
    plan = (
        layer("a", "conv", ("image",), "relu"),
        layer("mean", "squeeze", ("a",)),
        layer("gate", "conv", ("mean",), "hard_sigmoid"),
        layer("product", "multiply", ("a", "gate")),
        layer("b", "dense", ("product",)),
    )
    assert names(find_groups(plan)) == [(("a", "mean", "product"), ["a"], ["gate", "b"])]


def test_the_last_layer_and_a_flattened_map_are_left_alone() -> None:
    plan = (layer("a", "conv", ("image",)), layer("flat", "flatten", ("a",)), layer("b", "dense", ("flat",)))
    assert find_groups(plan) == ()


def test_factors_share_the_burden_and_a_relu6_limits_them() -> None:
    plan = (layer("a", "conv", ("image",), "relu6"), layer("b", "dense", ("a",)))
    (group,) = find_groups(plan)
    kernel = np.array([[1.0], [1.0 / 16]], np.float32)
    weights = {"a": [np.ones((1, 1, 3, 2), np.float32), np.ones(2, np.float32)], "b": [kernel]}
    alike = {"a": np.array([1.0, 1.0])}
    # The second is read 16 times more weakly: a quarter for the activation, four times for the kernel.
    assert equalizing_factors(group, weights, alike).tolist() == [1.0, 4.0]
    assert scalable(group, alike, np.array([0.5, 0.4]), 3.0).tolist() == [True, False]
    assert equalizing_factors(group, weights, {"a": np.array([1.0, 5.0])}).tolist()[1] == 1.0
    assert equalizing_factors(group, weights, {"a": np.array([1.0, 0.0])}).tolist() == [1.0, 1.0]
    rescale(group, weights, np.array([1.0, 4.0]))
    assert weights["a"][1].tolist() == [1.0, 0.25]
    assert weights["b"][0].ravel().tolist() == [1.0, 0.25]


def test_channels_that_a_relu6_holds_are_what_the_others_are_made_like() -> None:
    plan = (layer("a", "conv", ("image",), "relu6"), layer("b", "dense", ("a",)))
    (group,) = find_groups(plan)
    # The second was divided by 16 where it is made, and multiplied by it where it is read.
    weights = {"a": [np.ones((1, 1, 3, 2), np.float32)], "b": [np.array([[1 / 16], [1.0]], np.float32)]}
    assert equalizing_factors(group, weights, {"a": np.array([6.0, 0.5 / 16])}).tolist() == [1.0, 2**-5.75]
    # 16 is wanted, but a ReLU6 lets it be multiplied by a third of 6 / (6 / 16) only.
    assert equalizing_factors(group, weights, {"a": np.array([6.0, 6 / 16])}).tolist() == [1.0, 2**-2.25]


def two_layers(sizes: list[float], kernel: list[list[float]]) -> tuple[Group, Weights, dict[str, Channels]]:
    """A convolution with channels of these sizes and a dense layer that reads them, `[in][out]`."""
    plan = (layer("a", "conv", ("image",)), layer("b", "dense", ("a",)))
    (group,) = find_groups(plan)
    weights = {"a": [np.ones((1, 1, 3, 2), np.float32)], "b": [np.array(kernel, np.float32)]}
    return group, weights, {"a": np.array(sizes)}


def test_the_gain_is_that_of_steps_of_the_greatest_channel_and_the_greatest_weight() -> None:
    group, weights, greatest = two_layers([1.0, 8.0], [[1.0], [1 / 8]])
    squares = {"a": np.array([1.0, 64.0]) / 3}
    found = expected_gain_db(group, weights, greatest, squares, np.array([1.0, 8.0]))
    before = (1 + 1 / 64) * (8 / 255) ** 2 / 12 + (1 + 64) / 3 * (1 / 127) ** 2 / 12
    after = 2 * (1 / 255) ** 2 / 12 + 2 / 3 * (1 / 127) ** 2 / 12
    assert found == pytest.approx(10 * np.log10(before / after))
    assert found > 10


def test_no_factors_gain_nothing_and_dead_channels_do_no_harm() -> None:
    group, weights, greatest = two_layers([1.0, 0.0], [[1.0], [1.0]])
    squares = {"a": np.array([1 / 3, 0.0])}
    assert expected_gain_db(group, weights, greatest, squares, np.ones(2)) == 0
    dead = {"a": np.zeros(2)}
    assert expected_gain_db(group, weights, dead, dead, np.ones(2)) == 0


def test_twins_are_equalized_where_it_pays_and_networks_that_are_alike_are_left_alone() -> None:
    spec = spec_of("mobilenet_v4_conv_small")
    model, pixels = folded(spec), pictures(spec.resolution_px)
    groups = len(find_groups(plan_layers(spec)))
    equalize(model, spec, pixels)
    again = equalize(model, spec, pixels, where_it_pays=True)
    stress(model, spec, pixels)
    stressed = equalize(model, spec, pixels, where_it_pays=True)
    assert again <= 0.1 * groups
    assert stressed >= 0.8 * groups
