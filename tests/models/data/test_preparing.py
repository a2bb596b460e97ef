"""The one preprocessing: what it does to a picture, exactly, and what it refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.data import Pixels, normalise, prepare_picture, preprocess
from models.data.preparing import FILTERS
from models.errors import DataError
from models.spec import MINUS_ONE_TO_ONE


def random_images(*shapes: tuple[int, int]) -> tuple[Pixels, ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes)


@pytest.mark.parametrize("size_px", [7, 96, 224])
def test_preprocessing_is_a_bilinear_stretch_by_pillow(size_px: int) -> None:
    images = random_images((8, 8), (37, 11), (5, 301), (240, 320))
    batch = preprocess(images, MINUS_ONE_TO_ONE, size_px)
    assert batch.dtype == np.uint8
    assert batch.shape == (4, size_px, size_px, 3)
    for made, image in zip(batch, images, strict=True):
        expected = Image.fromarray(image, "RGB").resize((size_px, size_px), Image.Resampling.BILINEAR)
        assert np.array_equal(made, np.asarray(expected))
        nearest = Image.fromarray(image, "RGB").resize((size_px, size_px), Image.Resampling.NEAREST)
        assert not np.array_equal(made, np.asarray(nearest))


def test_preprocessing_keeps_channels_apart_and_in_order() -> None:
    image = np.zeros((9, 4, 3), np.uint8)
    image[..., 0], image[..., 2] = 200, 50
    batch = preprocess((image,), MINUS_ONE_TO_ONE, 16)
    assert np.unique(batch.reshape(-1, 3), axis=0).tolist() == [[200, 0, 50]]


def test_preprocessing_of_no_picture_is_an_empty_batch() -> None:
    assert preprocess((), MINUS_ONE_TO_ONE, 96).shape == (0, 96, 96, 3)


@pytest.mark.parametrize(
    "other", [{"resize": "area"}, {"fit": "zoom"}, {"channel_order": "GRB"}, {"crop_share": 0.0}, {"crop_share": 1.5}]
)
def test_a_preprocessing_that_is_not_known_is_refused_and_not_replaced(other: dict[str, Any]) -> None:
    with pytest.raises(DataError) as raised:
        preprocess(random_images((8, 8)), replace(MINUS_ONE_TO_ONE, **other), 16)
    assert "cannot execute the preprocessing" in str(raised.value)
    assert str(next(iter(other.values()))) in str(raised.value)
    assert str(raised.value).endswith(
        "known are resize nearest, box, bilinear, bicubic, lanczos; fit stretch, crop, pad; channel_order RGB, BGR; "
        "crop_share above 0, at most 1"
    )


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_is_the_one_of_its_name(name: str) -> None:
    (image,) = random_images((20, 30))
    made = prepare_picture(image, replace(MINUS_ONE_TO_ONE, resize=name), 12)
    expected = Image.fromarray(image).resize((12, 12), Image.Resampling[name.upper()])
    assert np.array_equal(made, np.asarray(expected))


def test_a_crop_is_the_middle_square() -> None:
    (image,) = random_images((10, 20))
    cropped = prepare_picture(image, replace(MINUS_ONE_TO_ONE, fit="crop"), 10)
    assert np.array_equal(cropped, image[:, 5:15])
    inner = prepare_picture(image, replace(MINUS_ONE_TO_ONE, fit="crop", crop_share=0.8), 8)
    assert np.array_equal(inner, image[1:9, 6:14])


def test_padding_shows_the_whole_picture_between_black_bars() -> None:
    (image,) = random_images((10, 20))
    padded = prepare_picture(image, replace(MINUS_ONE_TO_ONE, fit="pad"), 20)
    assert np.array_equal(padded[5:15], image)
    assert not padded[:5].any()
    assert not padded[15:].any()
    thin = prepare_picture(np.full((1, 400, 3), 9, np.uint8), replace(MINUS_ONE_TO_ONE, fit="pad"), 16)
    assert thin.any(axis=(1, 2)).sum() == 1


def test_the_channels_come_in_the_order_of_the_network() -> None:
    (image,) = random_images((6, 6))
    made = prepare_picture(image, replace(MINUS_ONE_TO_ONE, channel_order="BGR"), 6)
    assert np.array_equal(made, image[:, :, ::-1])


def test_normalising_maps_bytes_to_minus_one_to_one() -> None:
    pixels = np.array([0, 51, 255], np.uint8).reshape(1, 1, 3, 1).repeat(3, axis=3)
    values = normalise(pixels, MINUS_ONE_TO_ONE)
    assert values.dtype == np.float32
    assert values.shape == pixels.shape
    assert values[0, 0, :, 0] == pytest.approx([-1, -0.6, 1])


def test_normalising_is_per_channel() -> None:
    preprocessing = replace(MINUS_ONE_TO_ONE, mean=(0.0, 10.0, 20.0), std=(1.0, 2.0, 4.0))
    values = normalise(np.full((1, 1, 1, 3), 100, np.uint8), preprocessing)
    assert values.ravel().tolist() == [100, 45, 20]
