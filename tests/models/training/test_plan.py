"""Every recipe, the default one of every network and data set, and what becomes of wishes."""

import json

import pytest

from models.cost import model_cost
from models.errors import UnknownNameError, UsageError
from models.spec import ModelSpec
from models.training.plan import Wishes, plan_training
from models.training.recipes import FINE_TUNE, QAT, RECIPES
from models.training.settings import TrainSettings
from models.zoo import MODELS

SPEC = MODELS["mobilenet_v2_0.35_96"]
FREE = [name for name in RECIPES if name not in (FINE_TUNE, QAT)]


def plan(name: str = "mobilenet_v2_0.35_96", dataset: str = "digits", **wishes: object) -> TrainSettings:
    return plan_training(MODELS[name], dataset, wishes=Wishes(**wishes))  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_digits_grow_from_32_px_to_the_networks_own_size(spec: ModelSpec) -> None:
    sizes = [phase.resolution_px for phase in plan_training(spec, "digits").phases]
    assert sizes[0] == 32
    assert sizes[-1] == spec.resolution_px
    assert sizes == sorted(set(sizes)), "each size once, growing"
    assert all(size < 0.8 * spec.resolution_px for size in sizes[:-1]), "a phase near the last one is wasted"


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_the_last_phase_on_digits_costs_about_an_epoch_of_the_largest_network_at_most(spec: ModelSpec) -> None:
    epochs = [phase.epochs for phase in plan_training(spec, "digits").phases]
    assert epochs[:-1] == sorted(epochs[:-1], reverse=True)
    assert 1 <= epochs[-1] <= 8
    assert epochs[-1] == 1 or epochs[-1] * model_cost(spec).mult_adds < 1.3 * 580e6


def test_thousands_of_pictures_are_learned_in_14_epochs_after_smaller_ones() -> None:
    # What docs/training.md states the accuracy of.
    phases = plan("mobilenet_v1_0.25_128", "shapes").phases
    assert [(phase.resolution_px, phase.epochs, phase.learning_rate, phase.batch) for phase in phases] == [
        (32, 6, 3e-3, 32), (64, 4, 2e-3, 32), (96, 3, 1e-3, 16), (128, 14, 3e-3, 32),
    ]  # fmt: skip
    assert {phase.shift for phase in phases} == {1 / 8}


def test_thousands_of_pictures_may_be_learned_at_the_networks_own_size_from_a_warm_up_on() -> None:
    (phase,) = plan("mobilenet_v1_0.25_128", "shapes", recipe="steady").phases
    assert (phase.resolution_px, phase.epochs, phase.learning_rate, phase.batch) == (128, 16, 3e-3, 32)
    assert (phase.warmup_epochs, phase.shift) == (1, 1 / 8)


def test_thin_networks_get_more_epochs_at_their_own_size_and_shifted_pictures() -> None:
    thin, thick = (plan(name).phases[-1] for name in ("mobilenet_v1_0.25_128", "mobilenet_v2_1.4"))
    assert (thin.epochs, thin.shift, thick.epochs, thick.shift) == (8, 1 / 8, 1, 0)


@pytest.mark.parametrize("dataset", ["digits", "shapes"])
@pytest.mark.parametrize("name", ["vgg_small", "vgg_small_separable"])
def test_networks_without_normalization_learn_at_a_third_of_the_rate(name: str, dataset: str) -> None:
    assert {phase.learning_rate for phase in plan(name, dataset).phases} == {1e-3}
    assert plan(name, dataset, recipe="vgg", batch=256).phases[-1].learning_rate == 0.01, "their own is as printed"


@pytest.mark.parametrize(
    ("dataset", "recipe"),
    [("digits", "progressive"), ("shapes", "scratch"), ("shapes:size=64", "scratch"), ("cifar10", "scratch"),
     ("some/folder", "scratch")],
)  # fmt: skip
def test_the_data_set_decides_on_the_recipe(dataset: str, recipe: str) -> None:
    settings = plan(dataset=dataset)
    assert settings.recipe == recipe
    assert settings.source == RECIPES[recipe].source


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.summary
    assert recipe.source.startswith(("own", "arXiv:", "tensorflow/models"))
    assert json.loads(json.dumps(recipe.to_json()))["name"] == name


@pytest.mark.parametrize("name", FREE)
def test_epochs_and_batch_asked_for_are_those_of_the_training(name: str) -> None:
    settings = plan(dataset="shapes", recipe=name, epochs=7, batch=24)
    assert settings.phases[-1].epochs == 7
    assert {phase.batch for phase in settings.phases} == {24}
    assert plan(dataset="shapes", recipe=name, batch=24).phases[-1].epochs == (RECIPES[name].epochs or 8)


@pytest.mark.parametrize(("name", "factor"), [("mobilenet_v1", 2), ("bag_of_tricks", 2), ("mobilenet_v4", 2**0.5)])
def test_the_rate_grows_with_the_batch_as_the_optimizer_wants(name: str, factor: float) -> None:
    one, two = (plan(recipe=name, batch=batch).phases[0].learning_rate for batch in (64, 128))
    assert two == pytest.approx(factor * one)


@pytest.mark.parametrize(
    ("name", "batch", "rate"),
    [
        ("mobilenet_v1", 4096, 0.256),
        ("mobilenet_v2", 1024, 0.064),
        ("mobilenet_v3", 4096, 0.01),
        ("mobilenet_v4", 4096, 0.002),
    ],
)
def test_at_the_batch_of_the_source_the_rate_is_the_sources(name: str, batch: int, rate: float) -> None:
    assert plan(recipe=name, batch=batch).phases[0].learning_rate == pytest.approx(rate)


def test_a_short_training_warms_up_for_a_tenth_of_it() -> None:
    assert [plan(recipe="mobilenet_v2", epochs=n).phases[0].warmup_epochs for n in (10, 100)] == [1, 5]


@pytest.mark.parametrize(
    ("dataset", "wish", "mirrored"),
    [("digits", None, False), ("shapes:size=64", None, True), ("cifar10", None, True), ("a/folder", None, False),
     ("a/folder", True, True), ("shapes", False, False)],
)  # fmt: skip
def test_pictures_are_mirrored_only_where_that_keeps_their_class(
    dataset: str, wish: bool | None, mirrored: bool
) -> None:
    assert plan(dataset=dataset, flip=wish, recipe="mobilenet_v3").method.flip is mirrored


@pytest.mark.parametrize("wish", [True, False])
def test_a_wish_for_mirrored_pictures_comes_before_the_recipe(wish: bool) -> None:
    assert plan(dataset="shapes", flip=wish, recipe="scratch").method.flip is wish


def test_fine_tuning_lets_the_classifier_learn_alone_and_then_all_at_a_tenth_of_the_rate() -> None:
    settings = plan(dataset="shapes", fine_tune="imagenet")
    head, whole = settings.phases
    assert (settings.recipe, settings.fine_tune) == (FINE_TUNE, "imagenet")
    assert (head.frozen, head.epochs, whole.frozen, whole.epochs) == (True, 3, False, 7)
    assert whole.learning_rate == pytest.approx(head.learning_rate / 10)


@pytest.mark.parametrize(
    ("frozen", "epochs"), [(0, [(False, 4)]), (1, [(True, 1), (False, 3)]), (None, [(True, 3), (False, 1)])]
)
def test_the_frozen_epochs_are_part_of_the_epochs(frozen: int | None, epochs: list[tuple[bool, int]]) -> None:
    phases = plan(fine_tune="imagenet", epochs=4, frozen_epochs=frozen).phases
    assert [(phase.frozen, phase.epochs) for phase in phases] == epochs


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"epochs": 0}, "--epochs 0: 1 to 1000000 is possible"),
        ({"epochs": 10**400}, f"--epochs {10**400}: 1 to 1000000 is possible"),
        ({"batch": -3}, "--batch-size -3: 1 to 1000000 is possible"),
        ({"fine_tune": "x.keras"}, "checkpoint x.keras does not exist; give the path of a .keras file, or imagenet"),
        ({"frozen_epochs": 2},
         "--frozen-epochs is for --fine-tune; name the weights with --fine-tune, or leave it out"),
        ({"fine_tune": "imagenet", "epochs": 4, "frozen_epochs": 4},
         "--frozen-epochs 4 of 4: from 0 to 3 is possible, the kernels need one too; raise --epochs or lower it"),
        ({"fine_tune": "imagenet", "recipe": "vgg", "frozen_epochs": 1},
         "--frozen-epochs is for recipe fine_tune, by vgg all kernels learn; leave one out"),
        ({"learning_rate": 0.0}, "--learning-rate 0: above 0 and up to 100 is possible"),
        ({"learning_rate": -1e-3}, "--learning-rate -0.001: above 0 and up to 100 is possible"),
        ({"learning_rate": 1e9}, "--learning-rate 1e+09: above 0 and up to 100 is possible"),
        ({"learning_rate": float("nan")}, "--learning-rate nan: above 0 and up to 100 is possible"),
        ({"recipe": "fine_tune"},
         "--recipe fine_tune goes with --fine-tune: name the weights, imagenet or a .keras file"),
    ],
)  # fmt: skip
def test_wishes_that_cannot_be_are_refused(wishes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan(**wishes)  # type: ignore[arg-type]
    assert str(raised.value) == message


@pytest.mark.parametrize("recipe", FREE)
def test_a_learning_rate_is_the_highest_and_the_course_keeps_its_shape(recipe: str) -> None:
    usual, given = plan(recipe=recipe).phases, plan(recipe=recipe, learning_rate=0.25).phases
    assert max(phase.learning_rate for phase in given) == 0.25
    shares = [phase.learning_rate / max(one.learning_rate for one in usual) for phase in usual]
    assert [phase.learning_rate / 0.25 for phase in given] == pytest.approx(shares)


def test_by_another_recipe_all_kernels_go_on_from_the_weights_at_once() -> None:
    settings = plan(recipe="steady", fine_tune="imagenet", epochs=4, learning_rate=2e-3)
    assert (settings.recipe, settings.fine_tune) == ("steady", "imagenet")
    assert [(phase.frozen, phase.epochs, phase.learning_rate) for phase in settings.phases] == [(False, 4, 2e-3)]


def test_a_network_without_released_weights_cannot_start_from_them() -> None:
    with pytest.raises(
        UsageError, match=r"^no ImageNet weights were released for vgg_small; .*; leave --fine-tune out$"
    ):
        plan("vgg_small", fine_tune="imagenet")


def test_an_unknown_recipe_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown recipe 'mobilenet_v5'; did you mean mobilenet_v") as raised:
        plan(recipe="mobilenet_v5")
    assert str(raised.value).endswith("? `.venv/bin/python -m models recipes` lists them")


def test_the_recipe_of_quantization_aware_training_goes_with_its_option() -> None:
    with pytest.raises(UsageError, match=r"^--recipe qat is what --qat does; give --qat instead$"):
        plan(recipe=QAT)
