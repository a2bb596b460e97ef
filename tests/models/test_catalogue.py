"""What is said of the networks."""

import json

import pytest

from models.catalogue import describe_kinds, describe_model, describe_row, format_page
from models.cost import model_cost
from models.spec import ModelSpec
from models.zoo import MODELS


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_the_shares_of_the_kinds_add_up_to_the_network(spec: ModelSpec) -> None:
    kinds = describe_kinds(spec)
    for share in ("mult_adds_share", "weights_share"):
        assert sum(kind[share] for kind in kinds.values()) == pytest.approx(1)
    assert not {"pool", "add", "multiply", "squeeze", "max_pool", "flatten"} & set(kinds)


@pytest.mark.parametrize("name", ["mobilenet_v3_large_0.75", "vgg_small", "mobilenet_v4_conv_large"])
def test_what_is_said_of_a_network_is_json_and_adds_up(name: str) -> None:
    spec = MODELS[name]
    described = describe_model(spec, layers=True)
    assert json.loads(json.dumps(described))["kinds"] == described["kinds"]
    for total in ("parameters", "mult_adds", "weights"):
        assert sum(layer[total] for layer in described["layers"]) == described[total]
    assert {key: described[key] for key in describe_row(spec)} == describe_row(spec)
    assert described["preprocessing"] == spec.preprocessing.to_json()


def test_what_no_source_states_is_none_and_not_zero() -> None:
    row = describe_row(MODELS["vgg_small"])
    assert [row[key] for key in ("published_top1", "published_mult_adds", "published_parameters", "source")] == [
        None
    ] * 4


def test_the_page_has_every_network_with_its_cost() -> None:
    lines = {line.split("`")[1]: line for line in format_page().splitlines() if line.startswith("| `")}
    assert list(lines) == list(MODELS)
    for name, spec in MODELS.items():
        assert f"| {model_cost(spec).parameters / 1e6:.2f} M |" in lines[name]
        assert f"| {spec.resolution_px} |" in lines[name]
    assert "| 1.19 M | - | 152.8 M | - | - | - |" in lines["vgg_small"]
    assert "| 0.738" not in lines["mobilenet_v4_conv_small"]
    assert "| 73.8% |" in lines["mobilenet_v4_conv_small"]
