"""The same picture in another size or compression is found; different pictures stay apart."""

import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.data import Pixels
from models.data.decode import decode_picture, read_picture
from models.data.duplicates import _BAND_EDGES, MAX_BITS, _band_keys, fingerprint, group_duplicates
from tests.models.data.pictures import blobs, save


def compressed(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "compressed": lambda pixels: compressed(pixels, 40),
    "smaller": lambda pixels: resized(pixels, 97, 80),
    "larger": lambda pixels: resized(pixels, 500, 400),
    "brighter": lambda pixels: np.clip(pixels.astype(int) + 4, 0, 255).astype(np.uint8),
    "cut by a pixel": lambda pixels: pixels[1:, 1:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_no_other_picture_is(change: str) -> None:
    originals = [blobs(seed, width=240, height=200) for seed in range(40)]
    copies = [CHANGES[change](pixels) for pixels in originals]
    looks = [fingerprint(pixels) for pixels in originals + copies]
    groups = group_duplicates([f"content {n}" for n in range(80)], looks)
    assert groups[:40] == list(range(40))
    found = sum(group == number for number, group in enumerate(groups[40:]))
    assert found >= 38
    assert all(group in (number, number + 40) for number, group in enumerate(groups[40:]))


def test_equal_files_are_one_group_whatever_they_show() -> None:
    looks = [fingerprint(blobs(seed)) for seed in (1, 2, 3)]
    assert group_duplicates(["a", "b", "a"], [looks[0], looks[1], looks[0]]) == [0, 1, 0]


def test_plain_pictures_of_different_brightness_are_different() -> None:
    looks = [fingerprint(np.full((20, 20, 3), level, np.uint8)) for level in (10, 14, 40, 200)]
    assert group_duplicates(list("abcd"), looks) == [0, 0, 2, 3]


def test_a_chain_of_small_steps_is_not_one_group() -> None:
    one, other = blobs(1).astype(float), blobs(2).astype(float)
    frames = [(one + (other - one) * step / 50).astype(np.uint8) for step in range(51)]
    groups = group_duplicates([str(n) for n in range(51)], [fingerprint(frame) for frame in frames])
    assert groups[1] == groups[0]
    assert groups[50] != groups[0]


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63), max_size=MAX_BITS))
def test_fingerprints_that_are_near_share_a_part(bits: int, flipped: set[int]) -> None:
    other = bits
    for bit in flipped:
        other ^= 1 << bit
    assert set(_band_keys(bits)) & set(_band_keys(other))


def test_the_parts_cover_all_bits_once() -> None:
    assert (_BAND_EDGES[0], _BAND_EDGES[-1]) == (0, 64)
    assert all(start < stop for start, stop in pairwise(_BAND_EDGES))
    assert len({key for bit in range(64) for key in _band_keys(1 << bit) if key[1]}) == 64


def test_a_picture_looks_the_same_as_an_array_and_as_pillow_decodes_it(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", blobs(1, width=300, height=200))
    assert fingerprint(read_picture(path)) == fingerprint(decode_picture(path))
