"""The frozen values: what survives the way through JSON."""

import dataclasses
import json

import pytest

from models.spec import Preprocessing
from models.zoo import MODELS

ODD = Preprocessing(
    mean=(123.68, 116.78, 103.94), std=(58.4, 57.1, 57.4), channel_order="BGR", resize="bicubic", fit="crop"
)
USED = dict.fromkeys([*(spec.preprocessing for spec in MODELS.values()), ODD])


@pytest.mark.parametrize("preprocessing", USED)
def test_a_preprocessing_survives_the_way_through_json(preprocessing: Preprocessing) -> None:
    text = json.dumps(preprocessing.to_json())
    assert Preprocessing.from_json(json.loads(text)) == preprocessing


def test_a_preprocessing_without_the_later_keys_means_bilinear_stretch_and_rgb() -> None:
    read = Preprocessing.from_json({"mean": [0, 0, 0], "std": [255, 255, 255]})
    assert (read.channel_order, read.resize, read.fit) == ("RGB", "bilinear", "stretch")


@pytest.mark.parametrize("name", MODELS)
def test_a_row_of_the_zoo_cannot_be_changed_and_can_be_a_key(name: str) -> None:
    spec = MODELS[name]
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.width = 2.0  # type: ignore[misc]
    assert {spec: name}[dataclasses.replace(spec)] == name
