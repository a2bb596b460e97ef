"""Which networks have weights, where, and under which hash: against what Keras itself would ask for."""

from unittest.mock import patch

import keras
import pytest
from keras.src.applications import mobilenet, mobilenet_v2, mobilenet_v3

from models.errors import WeightsError
from models.imagenet import RELEASES, find_release
from models.imagenet.network import TWINS
from models.zoo import MODELS

ONE_EACH = {MODELS[name].family: name for name in RELEASES}.values()
MODULES = {"mobilenet_v1": mobilenet, "mobilenet_v2": mobilenet_v2}


class AskedError(Exception):
    """Carries what Keras wanted to download."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ONE_EACH else pytest.mark.slow) for name in RELEASES]
)
def test_address_and_hash_are_those_that_keras_asks_for(name: str) -> None:
    spec = MODELS[name]
    asked: dict[str, str | None] = {}

    def get_file(file_name: str, origin: str, *, cache_subdir: str, file_hash: str | None = None) -> str:
        asked.update(name=file_name, url=origin, folder=cache_subdir, md5=file_hash)
        raise AskedError

    module = MODULES.get(spec.family, mobilenet_v3)
    side = spec.resolution_px
    # Nothing of the network is needed but the question, which Keras asks once it is built.
    with patch.object(module.file_utils, "get_file", get_file), pytest.raises(AskedError):
        TWINS[spec.family](input_shape=(side, side, 3), alpha=spec.width, weights="imagenet")
    release = RELEASES[name]
    assert asked == {"name": release.file_name, "url": release.url, "folder": "models", "md5": release.md5}


def test_the_rows_with_weights_are_those_that_were_released() -> None:
    families = {"mobilenet_v1": 16, "mobilenet_v2": 22, "mobilenet_v3_large": 2, "mobilenet_v3_small": 2}
    families |= {"mobilenet_v3_large_minimalistic": 1, "mobilenet_v3_small_minimalistic": 1}
    counts = {family: sum(MODELS[name].family == family for name in RELEASES) for family in TWINS}
    assert counts == families
    # The authors state an accuracy for each network that they released, and for no other of V1 to V3.
    assert all(MODELS[name].published is not None for name in RELEASES)
    assert len({release.url for release in RELEASES.values()}) == len(RELEASES)


@pytest.mark.parametrize("name", ["mobilenet_v4_conv_small", "mobilenet_v2_1.4_96", "vgg_small", "conv_mobilenet"])
def test_a_network_without_weights_is_refused_with_those_that_have_some(name: str) -> None:
    with pytest.raises(WeightsError) as raised:
        find_release(MODELS[name])
    assert str(raised.value) == (
        f"no ImageNet weights were released for {name}; there are some for mobilenet_v1 in all widths and resolutions, "
        "mobilenet_v2 in all but those of widths 1.3 and 1.4 below 224 px, and mobilenet_v3 "
        "(`.venv/bin/python -m models list` marks them); use --weights auto, which trains here"
    )


def test_keras_still_has_a_function_for_each_family() -> None:
    assert {spec.family for name, spec in MODELS.items() if name in RELEASES} == set(TWINS)
    assert all(getattr(twin, "func", twin).__module__.startswith(keras.__name__) for twin in TWINS.values())
