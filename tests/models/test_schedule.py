"""The default recipe of every network."""

import json

import pytest

from models.cost import model_cost
from models.errors import UsageError
from models.schedule import default_settings
from models.spec import ModelSpec
from models.zoo import MODELS


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_pictures_grow_from_32_px_to_the_networks_own_size(spec: ModelSpec) -> None:
    sizes = [phase.resolution_px for phase in default_settings(spec).phases]
    assert sizes[0] == 32
    assert sizes[-1] == spec.resolution_px
    assert sizes == sorted(set(sizes)), "each size once, growing"
    assert all(size < 0.8 * spec.resolution_px for size in sizes[:-1]), "a phase near the last one is wasted"


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_the_last_phase_costs_about_an_epoch_of_the_largest_network_at_most(spec: ModelSpec) -> None:
    epochs = [phase.epochs for phase in default_settings(spec).phases]
    assert epochs[:-1] == sorted(epochs[:-1], reverse=True)
    assert 1 <= epochs[-1] <= 8
    assert epochs[-1] == 1 or epochs[-1] * model_cost(spec).mult_adds < 1.3 * 580e6


def test_thin_networks_get_more_epochs_at_their_own_size_and_shifted_pictures() -> None:
    thin, thick = (default_settings(MODELS[name]).phases[-1] for name in ("mobilenet_v1_0.25_128", "mobilenet_v2_1.4"))
    assert (thin.epochs, thin.shift, thick.epochs, thick.shift) == (8, 1 / 8, 1, 0)


@pytest.mark.parametrize("epochs", [1, 7])
def test_epochs_asked_for_are_those_at_the_networks_own_size(epochs: int) -> None:
    spec = MODELS["mobilenet_v2_1.0"]
    asked, default = default_settings(spec, epochs=epochs), default_settings(spec)
    assert asked.phases[-1].epochs == epochs
    assert asked.phases[:-1] == default.phases[:-1]


@pytest.mark.parametrize("epochs", [0, -1])
def test_less_than_one_epoch_is_refused(epochs: int) -> None:
    with pytest.raises(UsageError, match=rf"^--epochs {epochs}: at least 1 epoch is needed$"):
        default_settings(MODELS["mobilenet_v2_1.0"], epochs=epochs)


def test_settings_are_recorded_with_every_field() -> None:
    settings = default_settings(MODELS["mobilenet_v1_0.25_128"], seed=5, epochs=2)
    recorded = json.loads(json.dumps(settings.to_json()))
    assert recorded["seed"] == 5
    assert recorded["phases"][-1] == {
        "resolution_px": 128, "epochs": 2, "learning_rate": 3e-3, "batch": 32, "shift": 1 / 8,
    }  # fmt: skip
    assert len(recorded["phases"]) == len(settings.phases)
