"""A user's own classifier: what is known of it, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from models.build import build
from models.cost import model_cost
from models.errors import UsageError, WeightsError
from models.own import count_mult_adds, describe_own
from models.presets import PRESETS
from models.zoo import lookup

PATH = Path("my_net.keras")
BYTES = PRESETS["bytes"]


def network(*middle: keras.Layer, side: int | None = 32, classes: int = 5, end: str | None = "softmax") -> keras.Model:
    pool, dense = layers.GlobalAveragePooling2D(), layers.Dense(classes, activation=end)
    return keras.Sequential([keras.Input((side, side, 3)), *middle, pool, dense])


def test_an_own_network_is_known_by_its_file() -> None:
    spec = describe_own(PATH, network(layers.Conv2D(8, 3)), BYTES)
    assert (spec.name, spec.family, spec.resolution_px, spec.num_classes) == ("my_net", "own", 32, 5)
    assert spec.preprocessing == BYTES
    assert spec.own is not None
    assert (spec.own.path, spec.own.gives) == ("my_net.keras", "probabilities")
    assert spec.own.parameters == 3 * 9 * 8 + 8 + 8 * 5 + 5
    assert spec.own.mult_adds == 30 * 30 * 3 * 9 * 8 + 8 * 5


@pytest.mark.parametrize(
    ("last", "gives"),
    [
        ([layers.Dense(5)], "logits"),
        ([layers.Dense(5), layers.Softmax()], "probabilities"),
        ([layers.Dense(5), layers.Activation("softmax")], "probabilities"),
        ([layers.Dense(5), layers.Activation("linear")], "logits"),
        ([layers.Reshape((1, 1, 3)), layers.Conv2D(5, 1), layers.Flatten()], "logits"),
    ],
)
def test_the_last_layer_says_what_comes_out(last: list[keras.Layer], gives: str) -> None:
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.GlobalAveragePooling2D(), *last])
    own = describe_own(PATH, model, BYTES).own
    assert own is not None
    assert own.gives == gives


def test_the_mult_adds_of_a_network_of_the_zoo_are_those_of_its_table() -> None:
    for name in ("mobilenet_v3_small_1.0", "vgg_small_separable"):
        assert count_mult_adds(build(lookup(name))) == model_cost(lookup(name)).mult_adds


def test_a_separable_layer_costs_both_its_halves() -> None:
    model = network(layers.SeparableConv2D(8, 3, strides=2, padding="same"))
    assert count_mult_adds(model) == 16 * 16 * (9 * 3 + 3 * 8) + 8 * 5


def test_mult_adds_that_cannot_be_counted_are_none() -> None:
    assert count_mult_adds(network(layers.Conv2DTranspose(4, 3))) is None
    assert count_mult_adds(network(keras.Sequential([layers.Conv2DTranspose(4, 3)]))) is None


def test_a_layer_that_is_used_twice_counts_twice() -> None:
    shared, picture = layers.Conv2D(3, 3, padding="same"), keras.Input((32, 32, 3))
    twice = layers.Dense(5)(layers.GlobalAveragePooling2D()(shared(shared(picture))))
    assert count_mult_adds(keras.Model(picture, twice)) == 2 * 32 * 32 * 27 * 3 + 3 * 5


def test_a_network_within_a_network_is_seen() -> None:
    inner = keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(8, 3, padding="same"), layers.ReLU()])
    assert count_mult_adds(network(inner)) == 32 * 32 * 27 * 8 + 8 * 5


class Doubled(layers.Layer):  # type: ignore[misc]
    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return 2 * x


def two_inputs() -> keras.Model:
    one, two = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    return keras.Model([one, two], layers.Dense(5)(layers.GlobalAveragePooling2D()(layers.Add()([one, two]))))


def two_outputs() -> keras.Model:
    picture = keras.Input((32, 32, 3))
    pooled = layers.GlobalAveragePooling2D()(picture)
    return keras.Model(picture, [layers.Dense(5)(pooled), layers.Dense(2)(pooled)])


REFUSED: list[tuple[str, Callable[[], keras.Model], str]] = [
    ("custom", lambda: network(Doubled(name="twice")), r"holds the layer 'twice' of class Doubled, which is no stock"),
    ("nested", lambda: network(keras.Sequential([Doubled(name="deep")])), r"holds the layer 'deep' of class Doubled"),
    ("two inputs", two_inputs, r"has 2 inputs and 1 outputs, a classifier of pictures has one of each"),
    ("two outputs", two_outputs, r"has 1 inputs and 2 outputs"),
    (
        "open",
        lambda: network(side=None),
        r"takes inputs of shape \(None, None, None, 3\); needed is \(None, side, side",
    ),
    ("tiny", lambda: network(side=4), r"takes inputs of shape \(None, 4, 4, 3\)"),
    (
        "grey",
        lambda: keras.Sequential([keras.Input((32, 32, 1)), layers.Flatten(), layers.Dense(5)]),
        r"takes inputs of shape \(None, 32, 32, 1\)",
    ),
    (
        "map",
        lambda: keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(5, 1)]),
        r"gives outputs of shape \(None, 32, 32, 5\); a classifier gives \(None, classes\), at least 2: end it",
    ),
    ("one class", lambda: network(classes=1), r"gives outputs of shape \(None, 1\)"),
    ("sigmoid", lambda: network(end="sigmoid"), r"ends with 'dense.*' \(Dense, sigmoid\), which gives neither"),
]


@pytest.mark.parametrize(("make", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_classifier_of_stock_layers_is_refused(make: Callable[[], keras.Model], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        describe_own(PATH, make(), BYTES)
    assert str(raised.value).startswith("my_net.keras ")
    assert "\n" not in str(raised.value)


def test_a_network_with_nan_is_refused() -> None:
    model = network(layers.Conv2D(8, 3, name="first"))
    kernel, bias = model.get_layer("first").get_weights()
    model.get_layer("first").set_weights([np.full_like(kernel, np.nan), bias])
    with pytest.raises(WeightsError, match=r"has NaN or infinite values in 1 of 4 arrays, first in .*first/kernel;"):
        describe_own(PATH, model, BYTES)
