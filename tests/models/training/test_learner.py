"""Steps: what they change, what they leave, and that they go on from a kept state."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from models.build import build
from models.spec import ModelSpec
from models.training.augment import Batch
from models.training.learner import Learner, make_optimizer
from models.training.settings import PLAIN, Method, Optimizer

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (8, 16, 16, 3)).astype(np.float32)
CLASSES = np.arange(8) % 10


@pytest.fixture
def model(least: ModelSpec) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build(least)


def batch(method: Method = PLAIN, weights: Any = None) -> Batch:
    spreads = method.mixup or method.label_smoothing
    targets = np.eye(10, dtype=np.float32)[CLASSES] if spreads else CLASSES
    return Batch(images=IMAGES, targets=targets, weights=weights)


def learner(model: keras.Model, method: Method = PLAIN, *, steps: int = 1000, frozen: bool = False) -> Learner:
    made = Learner(model, method, steps=steps)
    made.freeze(frozen)
    return made


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimizer_is_keras_own_with_the_numbers_asked_for(name: Optimizer) -> None:
    optimizer = make_optimizer(Method(optimizer=name, momentum=0.6, epsilon=1e-3, weight_decay=0.01), 0.9)
    assert type(optimizer).__name__.lower() == name
    assert (optimizer.weight_decay, optimizer.use_ema, optimizer.ema_momentum) == (0.01, True, 0.9)
    assert getattr(optimizer, "momentum", None) == 0.6 or optimizer.beta_1 == 0.6
    assert name == "sgd" or optimizer.epsilon == 1e-3


def test_weights_decay_by_rate_times_share_where_there_is_no_gradient(model: keras.Model) -> None:
    method = Method(optimizer="sgd", momentum=0.0, weight_decay=0.5)
    some = learner(model, method)
    before = [np.array(weight) for weight in model.trainable_weights]
    zero = np.zeros(8, np.float32)
    some.step(batch(weights=zero), 0.1)
    for weight, values in zip(model.trainable_weights, before, strict=True):
        expected = values * 0.95 if values.ndim > 1 else values
        assert np.array(weight) == pytest.approx(expected, abs=1e-6), weight.path


def test_the_step_takes_the_rate_it_is_given_and_tells_loss_and_top1(model: keras.Model) -> None:
    some = learner(model, Method(optimizer="sgd", momentum=0.0))
    before = [np.array(weight) for weight in model.trainable_weights]
    loss, top1 = some.step(batch(), 0.0)
    assert all(map(np.array_equal, before, [np.array(weight) for weight in model.trainable_weights]))
    assert 1.5 < loss < 5
    assert top1 in np.arange(9) / 8
    losses = [some.step(batch(), 0.05)[0] for _ in range(12)]
    assert losses[-1] < losses[0]


def test_class_weights_weigh_the_loss(model: keras.Model) -> None:
    some = learner(model, Method(optimizer="sgd", momentum=0.0))
    plain, _ = some.step(batch(), 0.0)
    double, _ = some.step(batch(weights=np.full(8, 2.0, np.float32)), 0.0)
    # Dropout differs from step to step.
    assert double == pytest.approx(2 * plain, rel=0.3)


def test_label_smoothing_asks_for_a_share_of_every_class(model: keras.Model) -> None:
    method = Method(label_smoothing=0.2)
    some = learner(model, method)
    some.step(batch(method), 0.0)
    logits = np.zeros((1, 10), np.float32)
    logits[0, 3] = 50
    target = np.eye(10, dtype=np.float32)[[3]]
    # Nine classes get 0.02 each, and their logits are 50 below.
    assert float(model.loss(target, logits)) == pytest.approx(0.02 * 9 * 50, rel=1e-4)


def test_frozen_all_but_the_classifier_stays_as_it_is(model: keras.Model) -> None:
    some = learner(model, frozen=True)
    before = {weight.path: np.array(weight) for weight in model.weights}
    some.step(batch(), 0.1)
    changed = {weight.path for weight in model.weights if not np.array_equal(before[weight.path], np.array(weight))}
    assert changed == {"classifier/kernel", "classifier/bias"}


def test_thawed_kernels_learn_and_kept_normalizations_do_not(model: keras.Model) -> None:
    some = Learner(model, PLAIN, steps=100, keeps_norms=True)
    some.freeze(True)
    some.step(batch(), 0.1)
    first = some.optimizer
    some.freeze(False)
    assert some.optimizer is not first
    before = {weight.path: np.array(weight) for weight in model.weights}
    some.step(batch(), 0.1)
    same = {weight.path for weight in model.weights if np.array_equal(before[weight.path], np.array(weight))}
    assert same == {weight.path for weight in model.weights if "_norm" in weight.path}


def test_averages_follow_weights_and_statistics_and_are_there_only_when_asked_for(model: keras.Model) -> None:
    momentum = 0.8
    some = learner(model, Method(optimizer="sgd", ema_momentum=momentum))
    start = {w.path: np.array(w) for w in model.non_trainable_weights}
    courses: dict[str, list[Any]] = {weight.path: [] for weight in model.weights}
    for _ in range(4):
        some.step(batch(), 0.1)
        for weight in model.weights:
            courses[weight.path].append(np.array(weight))
    with some.averaged():
        averages = {weight.path: np.array(weight) for weight in model.weights}
    for path, course in courses.items():
        # Keras begins with the weights after the first step, the statistics begin with themselves.
        mean = start.get(path, course[0])
        for values in course[path not in start :]:
            mean = momentum * mean + (1 - momentum) * values
        assert averages[path] == pytest.approx(mean, rel=1e-4, abs=1e-6), path
        assert np.array_equal(np.array({w.path: w for w in model.weights}[path]), course[-1]), "swapped back"


def test_averages_reach_back_over_a_twentieth_of_the_training_at_most(model: keras.Model) -> None:
    momenta = [Learner(model, Method(ema_momentum=0.9999), steps=steps).ema_momentum for steps in (10, 400, 10**7)]
    assert momenta == pytest.approx([0.0, 0.95, 0.9999])


@pytest.mark.parametrize(
    "method",
    [PLAIN, Method(optimizer="rmsprop", ema_momentum=0.9, label_smoothing=0.1, weight_decay=1e-4)],
    ids=["Adam", "RMSprop with averages"],
)
def test_a_kept_state_goes_on_with_the_same_bits(model: keras.Model, least: ModelSpec, method: Method) -> None:
    some = learner(model, method)
    some.step(batch(method), 0.01)
    kept = some.state()
    told = [some.step(batch(method), 0.01) for _ in range(2)]
    keras.utils.set_random_seed(9)
    other = learner(build(least), method)
    other.restore(kept)
    assert [other.step(batch(method), 0.01) for _ in range(2)] == told
    for name, values in some.state().items():
        assert np.array_equal(values, other.state()[name]), name


def test_the_state_of_another_network_is_refused(model: keras.Model, least: ModelSpec) -> None:
    other = learner(build(replace(least, num_classes=3)))
    with pytest.raises(ValueError, match="it holds other variables"):
        other.restore(learner(model).state())
    with pytest.raises(ValueError, match="it holds other variables"):
        learner(model).restore({})


def test_float16_activations_keep_float32_weights_and_learn(least: ModelSpec) -> None:
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        mixed = build(least)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    policy = keras.mixed_precision.dtype_policy()
    assert policy.name == "float32"
    some = Learner(mixed, Method(ema_momentum=0.5), steps=1000)
    some.freeze(False)
    assert {str(weight.dtype) for weight in mixed.weights} == {"float32"}
    assert mixed.get_layer("conv_1").compute_dtype == "float16"
    losses = [some.step(batch(), 0.01)[0] for _ in range(8)]
    assert losses[-1] < losses[0]
