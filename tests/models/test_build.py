"""The built networks: against `models.cost`, against keras.applications, and against themselves folded."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from math import prod

import keras
import numpy as np
import pytest

from models.build import build, fold_batch_norm
from models.cost import model_cost
from models.spec import ModelSpec
from models.zoo import MODELS, variant_name
from tests.models.random_networks import Array, pictures, randomise

STOCK = {
    "InputLayer", "Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "Activation", "Add", "Multiply",
    "GlobalAveragePooling2D", "MaxPooling2D", "Flatten", "Dropout", "Dense",
}  # fmt: skip


def one_per_width() -> list[str]:
    """A network of every family and width, such that together they have every resolution."""
    widths: dict[tuple[str, float], list[str]] = {}
    for spec in MODELS.values():
        widths.setdefault((spec.family, spec.width), []).append(spec.name)
    return [names[number % len(names)] for number, names in enumerate(widths.values())]


CHOSEN = one_per_width()
# Of the V4 networks the small one has every kind of block but one; the others take seconds in every test.
LARGE = ("mobilenet_v4_conv_medium", "mobilenet_v4_conv_large")
EVERY_CHOSEN = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in CHOSEN]
)
# The resolution changes no layer, so that the other rows can wait for the slow tests.
ALL = [pytest.param(name, marks=() if name in CHOSEN else pytest.mark.slow) for name in MODELS]
TWINS: dict[str, Callable[..., keras.Model]] = {
    "mobilenet_v1": keras.applications.MobileNet,
    "mobilenet_v2": keras.applications.MobileNetV2,
    **{
        f"mobilenet_v3_{size}{kind}": partial(function, minimalistic=bool(kind), include_preprocessing=False)
        for size, function in (
            ("small", keras.applications.MobileNetV3Small),
            ("large", keras.applications.MobileNetV3Large),
        )
        for kind in ("", "_minimalistic")
    },
}


def small(name: str) -> ModelSpec:
    """The network, at 64 px where its own resolution would take seconds and prove nothing more."""
    spec = MODELS[name]
    cheap = spec.family in ("mobilenet_v1", "mobilenet_v2") or spec.resolution_px < 64
    return spec if cheap else replace(spec, resolution_px=64)


@cache
def network(name: str) -> keras.Model:
    """The network with random weights and statistics, whose logits have size 1 to 5 and differ between pictures."""
    spec = small(name)
    keras.utils.set_random_seed(2)
    model = build(spec)
    randomise(model, spec.resolution_px)
    return model


def logits_of(model: keras.Model) -> Array:
    logits: Array = model.predict_on_batch(pictures(model.input_shape[1]))
    return logits


def assert_tells_pictures_apart(logits: Array) -> None:
    """The comparisons below mean something only of a network whose output depends on its input."""
    assert 3 < np.abs(logits).max() < 10
    differences = [np.abs(a - b).max() for n, a in enumerate(logits) for b in logits[:n]]
    assert min(differences) > 0.5


def test_the_chosen_networks_have_every_width_and_every_resolution() -> None:
    chosen = [MODELS[name] for name in CHOSEN]
    assert {(s.family, s.width) for s in chosen} == {(s.family, s.width) for s in MODELS.values()}
    assert {(s.family, s.resolution_px) for s in chosen} == {(s.family, s.resolution_px) for s in MODELS.values()}


def mult_adds(model: keras.Model) -> int:
    """Counted from Keras' own shapes: every output value of a layer is a sum over one filter."""
    count = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            count += prod(layer.output.shape[1:]) * prod(layer.kernel.shape[:2])
        elif isinstance(layer, keras.layers.Conv2D):
            count += prod(layer.output.shape[1:]) * prod(layer.kernel.shape[:3])
        elif isinstance(layer, keras.layers.Dense):
            count += prod(layer.kernel.shape)
    return count


@pytest.mark.parametrize("name", ALL)
def test_the_built_network_costs_what_the_tables_say(name: str) -> None:
    spec = MODELS[name]
    model = network(name) if name in CHOSEN and spec == small(name) else build(spec)
    cost = model_cost(spec)
    assert sum(prod(weight.shape) for weight in model.trainable_weights) == cost.parameters
    assert mult_adds(model) == cost.mult_adds


@EVERY_CHOSEN
def test_only_stock_layers_with_same_padding_are_used(name: str) -> None:
    for layer in network(name).layers:
        kind = type(layer).__name__
        assert kind in STOCK
        assert type(layer) is getattr(keras.layers, kind), "a subclass of the same name"
        # A pooling that divides its map exactly has no padding.
        assert kind == "MaxPooling2D" or getattr(layer, "padding", "same") == "same"


@EVERY_CHOSEN
def test_a_network_maps_its_pictures_to_logits_under_a_legal_name(name: str) -> None:
    spec, model = small(name), network(name)
    assert model.input_shape == (None, spec.resolution_px, spec.resolution_px, 3)
    assert model.output_shape == (None, spec.num_classes)
    assert model.layers[-1].activation is keras.activations.linear
    assert model.name.isidentifier(), "converters take the name into their graphs"


def twin(spec: ModelSpec) -> keras.Model:
    """The same network of keras.applications, with the weights of ours."""
    side = spec.resolution_px
    model = TWINS[spec.family](input_shape=(side, side, 3), alpha=spec.width, weights=None)
    ours = network(spec.name).get_weights()
    wanted = [tuple(weight.shape) for weight in model.weights]
    assert len(wanted) == len(ours)
    # V1 and V3 write what follows the pooling as 1x1 convolutions; all else has one shape and one order.
    differing = [number for number, values in enumerate(ours) if values.shape != wanted[number]]
    dense = {"mobilenet_v1": [-2], "mobilenet_v2": []}.get(spec.family, [-4, -2])
    assert differing == [len(ours) + number for number in dense]
    model.set_weights([values.reshape(shape) for values, shape in zip(ours, wanted, strict=True)])
    return model


@pytest.mark.parametrize("name", [name for name in CHOSEN if MODELS[name].family in TWINS])
def test_a_network_computes_what_keras_applications_computes(name: str) -> None:
    logits = logits_of(network(name))
    assert_tells_pictures_apart(logits)
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    ours = powers / powers.sum(axis=1, keepdims=True)
    theirs = logits_of(twin(small(name)))
    # Both run the same kernels on the same numbers, so that only roundings differ: up to 4e-7 was seen. One stride,
    # padding or normalization elsewhere changes the probabilities by 1e-3 and more.
    assert np.abs(ours - theirs).max() < 1e-5


@EVERY_CHOSEN
def test_folding_batch_normalization_keeps_the_function(name: str) -> None:
    model = network(name)
    folded = fold_batch_norm(model, small(name))
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    assert not any(getattr(layer, "activation", None) is keras.activations.hard_sigmoid for layer in folded.layers)
    if not name.startswith("vgg"):
        assert all(layer.use_bias for layer in folded.layers if isinstance(layer, keras.layers.Conv2D))
    logits = logits_of(model)
    assert_tells_pictures_apart(logits)
    # Products are rounded at other places, in 28 to 53 layers after each other: up to 5e-5 was seen. A forgotten
    # epsilon alone costs 1e-3.
    assert np.abs(logits_of(folded) - logits).max() < 1e-4


@pytest.mark.parametrize("name", ["vgg_small", "vgg_small_separable"])
def test_without_normalization_random_weights_keep_the_size_of_values(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = build(MODELS[name])
    values = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    sizes = [float(np.sqrt(np.mean(np.square(values))))]
    for layer in model.layers[1:]:
        values = layer(values)
        if "conv" in layer.name or "project" in layer.name:
            sizes.append(float(np.sqrt(np.mean(np.square(values)))))
    # Within a factor of 4 after six convolutions; with Keras' own spread the separable one's shrink to 1e-5.
    assert len(sizes) > 6
    assert all(0.25 < size / sizes[0] < 4 for size in sizes), sizes


def test_folding_uses_the_epsilon_of_the_normalization() -> None:
    spec = MODELS["mobilenet_v1_0.25_128"]
    model = build(spec)
    norm = model.get_layer("conv_1_norm")
    gamma, beta, mean, _ = norm.get_weights()
    norm.set_weights([gamma, beta, mean, np.full_like(gamma, 3e-3)])
    kernel = model.get_layer("conv_1").get_weights()[0]
    folded = fold_batch_norm(model, spec).get_layer("conv_1").get_weights()[0]
    assert folded == pytest.approx(kernel / np.sqrt(3e-3 + 1e-3), rel=1e-6)


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=pytest.mark.slow if family in LARGE else ())
        for family in sorted({spec.family for spec in MODELS.values()})
    ],
)
def test_an_open_input_takes_every_size_with_the_same_weights(family: str) -> None:
    name = next(name for name in CHOSEN if MODELS[name].family == family)
    spec = small(name)
    model = build(spec, resolution_px=0)
    if spec.pooling == "flatten":
        assert model.input_shape == (None, 32, 32, 3), "a flattened map has one size"
        return
    assert model.input_shape == (None, None, None, 3)
    model.set_weights(network(name).get_weights())
    assert model.predict_on_batch(pictures(spec.resolution_px)) == pytest.approx(logits_of(network(name)), abs=1e-4)
    assert model.predict_on_batch(pictures(96)).shape == (4, spec.num_classes)


def test_a_gate_becomes_a_relu6_and_the_projection_takes_its_sixth() -> None:
    spec = small("mobilenet_v3_small_1.0")
    model = network(spec.name)
    folded = fold_batch_norm(model, spec)
    block = "inverted_residual_1"
    assert folded.get_layer(f"{block}_gate_hard_sigmoid").max_value == 6
    bias, moved = (m.get_layer(f"{block}_gate").get_weights()[1] for m in (model, folded))
    np.testing.assert_allclose(moved, bias + 3, rtol=1e-6)
    gamma, _, _, variance = model.get_layer(f"{block}_project_norm").get_weights()
    kernel = model.get_layer(f"{block}_project").get_weights()[0]
    sixth = folded.get_layer(f"{block}_project").get_weights()[0]
    np.testing.assert_allclose(sixth, kernel * gamma / np.sqrt(variance + 1e-3) / 6, rtol=1e-5)


def test_another_resolution_than_the_rows_can_be_built() -> None:
    spec = MODELS[variant_name("mobilenet_v1", 0.25, 128)]
    assert build(spec, resolution_px=96).input_shape == (None, 96, 96, 3)
