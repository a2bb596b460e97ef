"""What files say of themselves, composed from the network and its weights."""

from dataclasses import replace

import pytest

from export.deployed import deployed
from export.metadata.info import compose_info, describe_input
from models.errors import ConversionError
from models.presets import PRESETS
from models.spec import MINUS_ONE_TO_ONE, Preprocessing
from models.zoo import lookup

SPEC = replace(lookup("mobilenet_v2_0.35_96"), num_classes=10)


def test_the_version_is_that_of_the_weights_and_nobody_is_made_up() -> None:
    info = compose_info(SPEC, source="digits", weights_sha256="0123456789abcdef" * 4)
    assert (info.name, info.version, info.author, info.license) == (SPEC.name, "0123456789ab", None, None)
    assert info.description == "Says which of 10 classes a picture shows (weights: digits)"
    assert (info.mean, info.std) == (127.5, 127.5)


def test_untrained_files_say_so() -> None:
    info = compose_info(SPEC, source="random", weights_sha256="0" * 64, author="A", license_name="MIT")
    assert info.description.endswith("(untrained, for latency only)")
    assert (info.author, info.license) == ("A", "MIT")


@pytest.mark.parametrize(
    "given", [PRESETS["imagenet"], replace(MINUS_ONE_TO_ONE, channel_order="BGR")], ids=["per channel", "BGR"]
)
def test_what_metadata_cannot_say_is_refused_and_what_the_files_take_is_not(given: Preprocessing) -> None:
    spec = replace(SPEC, preprocessing=given)
    with pytest.raises(ConversionError, match="TFLite metadata has one mean and std for RGB"):
        compose_info(spec, source="digits", weights_sha256="0" * 64)
    taken = replace(spec, preprocessing=deployed(spec.preprocessing))
    assert compose_info(taken, source="digits", weights_sha256="0" * 64).std == 255


def test_the_picture_is_described_as_it_is_made() -> None:
    assert describe_input(MINUS_ONE_TO_ONE, 96) == (
        "RGB, the whole picture, stretched to 96 x 96 px (bilinear, antialiased); floats are (byte - 127.5) / 127.5, "
        "uint8 the bytes, int8 the bytes - 128"
    )
    cropped = replace(MINUS_ONE_TO_ONE, fit="crop", crop_share=0.875, resize="bicubic")
    assert "the middle square (87.5% of the shorter side), scaled to 96 x 96 px (bicubic" in describe_input(cropped, 96)
    assert "set between black bars to 96 x 96 px" in describe_input(replace(MINUS_ONE_TO_ONE, fit="pad"), 96)
