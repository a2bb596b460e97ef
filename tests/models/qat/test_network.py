"""The twin of a network, and the way back to an ordinary one."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from models.build import build, fold_batch_norm
from models.errors import UsageError
from models.qat.begin import begin_ranges
from models.qat.layers import Kernel
from models.qat.network import build_twin, learned_ranges, take_ranges, take_weights, unfold
from models.spec import ModelSpec, Preprocessing
from models.worker import Progress
from tests.models.qat.networks import SPECS, random_network
from tests.models.random_networks import pictures


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


def as_bytes(images: NDArray[Any]) -> NDArray[Any]:
    return np.rint(images * 127.5 + 127.5).astype(np.uint8)


def predict(model: keras.Model, images: NDArray[Any]) -> NDArray[Any]:
    """Without the seconds of tracing that `predict_on_batch` begins with."""
    return np.asarray(model(images, training=False))


def twin_of(spec: ModelSpec, model: keras.Model) -> keras.Model:
    twin = build_twin(spec)
    take_weights(twin, model, spec)
    begin_ranges(twin, model, spec, as_bytes(pictures(spec.resolution_px, 8)), silent)
    return twin


every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))


@every_spec
def test_the_twin_computes_what_the_network_does_up_to_8_bits(spec: ModelSpec) -> None:
    model = random_network(spec)
    images = pictures(spec.resolution_px, 8)
    exact = predict(model, images)
    off = predict(twin_of(spec, model), images) - exact
    ratio = np.square(exact).sum() / np.square(off).sum()
    # 8 bits leave some 25 dB of so few layers; another function would leave none.
    assert 10 * np.log10(ratio) > 15
    assert np.abs(off).max() > 0


@every_spec
def test_a_network_made_of_the_twin_folds_to_its_very_kernels(spec: ModelSpec) -> None:
    twin = twin_of(spec, random_network(spec))
    ordinary = unfold(twin, spec)
    take_weights(twin, ordinary, spec)
    folded = fold_batch_norm(ordinary, spec)
    kernels = [layer for layer in twin.layers if isinstance(layer, Kernel)]
    assert len(kernels) > 3
    for layer in kernels:
        for own, kept in zip((layer.kernel, layer.bias), folded.get_layer(layer.name).get_weights(), strict=False):
            assert np.array_equal(np.asarray(own), kept), layer.name


@every_spec
def test_a_network_made_of_the_twin_computes_the_float_function(spec: ModelSpec) -> None:
    model = random_network(spec)
    images = pictures(spec.resolution_px)
    found = predict(unfold(twin_of(spec, model), spec), images)
    assert np.abs(found - predict(model, images)).max() < 1e-4


def test_kernels_that_no_gate_stands_before_come_back_to_the_last_bit() -> None:
    spec = SPECS["v2"]
    twin = twin_of(spec, random_network(spec))
    before = [np.array(weight) for weight in twin.weights]
    take_weights(twin, unfold(twin, spec), spec)
    assert all(np.array_equal(old, np.asarray(new)) for old, new in zip(before, twin.weights, strict=True))


@every_spec
def test_everything_learns_but_what_is_known_exactly(spec: ModelSpec) -> None:
    twin = twin_of(spec, random_network(spec))
    images = pictures(spec.resolution_px, 8)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(twin(images, training=True)))
    gradients = tape.gradient(loss, [weight.value for weight in twin.trainable_weights])
    still = [w.path for w, g in zip(twin.trainable_weights, gradients, strict=True) if g is None or not np.any(g)]
    assert still == []
    assert not any("gate/growth" in weight.path for weight in twin.trainable_weights)


def test_a_step_against_its_gradient_lowers_the_loss_of_a_range() -> None:
    spec = SPECS["v1"]
    twin = twin_of(spec, random_network(spec))
    images = pictures(spec.resolution_px, 8)
    wanted = predict(twin, images)
    layer = twin.get_layer("separable_1_project")
    low, high = (float(end) for end in layer.ends())
    layer.start((low, high / 4))

    def loss_and_gradient() -> tuple[float, NDArray[Any]]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(twin(images, training=True) - wanted))
        return float(loss), tape.gradient(loss, layer.growth.value).numpy()

    before, gradient = loss_and_gradient()
    # Cut off at a quarter of what there is: the range must grow.
    assert gradient[1] < 0
    layer.growth.assign((0.0, 0.2))
    assert loss_and_gradient()[0] < before


@every_spec
def test_ranges_are_of_every_tensor_by_its_name_and_can_be_given_back(spec: ModelSpec) -> None:
    twin = twin_of(spec, random_network(spec))
    twin.get_layer("classifier").growth.assign((0.1, -0.1))
    found = learned_ranges(twin, spec)
    images = pictures(spec.resolution_px)
    before = predict(twin, images)
    again = build_twin(spec)
    take_weights(again, unfold(twin, spec), spec)
    take_weights(twin, unfold(twin, spec), spec)
    take_ranges(again, found)
    assert learned_ranges(again, spec) == found
    assert np.abs(predict(again, images) - before).max() < 0.2
    assert np.array_equal(predict(again, images), predict(twin, images))


def test_what_only_picks_values_has_the_range_of_its_input() -> None:
    spec = SPECS["vgg"]
    found = learned_ranges(twin_of(spec, random_network(spec)), spec)
    assert found["max_pool_1"] == found["factorized_1_project"]
    assert found["flatten"] == found["max_pool_2"]


def test_one_twin_takes_pictures_of_any_size() -> None:
    spec = SPECS["v1"]
    twin = build_twin(spec, resolution_px=0)
    take_weights(twin, build(spec), spec)
    begin_ranges(twin, build(spec), spec, as_bytes(pictures(spec.resolution_px)), silent)
    assert predict(twin, pictures(8)).shape == predict(twin, pictures(32)).shape == (4, 10)


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(mean=(1.0, 2.0, 3.0), std=(4.0, 4.0, 4.0)),
        Preprocessing(mean=(1.0, 1.0, 1.0), std=(4.0, 4.0, 5.0)),
        Preprocessing(mean=(1.0, 1.0, 1.0), std=(4.0, 4.0, 4.0), channel_order="BGR"),
    ],
)
def test_an_input_that_no_integer_realises_is_refused(preprocessing: Preprocessing) -> None:
    with pytest.raises(
        UsageError, match=r"^quantization-aware training of v1 needs one mean and std .*leave --qat out$"
    ):
        build_twin(replace(SPECS["v1"], preprocessing=preprocessing))
