"""Files of every format, colour mode and orientation become upright RGB; everything else is refused with its reason."""

import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from models.data.decode import MAX_PIXELS, decode_picture, read_picture
from models.data.preparing import least_side_px, prepare_picture
from models.errors import DataError
from models.spec import MINUS_ONE_TO_ONE
from tests.models.data.pictures import blobs, save


@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "jpg", "JPEG", "PNG", "anything"])
def test_every_format_is_read_whatever_the_ending_says(tmp_path: Path, ending: str) -> None:
    formats: dict[str, tuple[str, dict[str, Any]]] = {
        "webp": ("WEBP", {"lossless": True}),
        "jpg": ("JPEG", {"quality": 95}),
        "bmp": ("BMP", {}),
    }
    name, options = formats.get(ending, ("PNG", {}))
    pixels = blobs(1)
    Image.fromarray(pixels).save(tmp_path / f"a.{ending}", format=name, **options)
    read = read_picture(tmp_path / f"a.{ending}")
    assert (str(read.dtype), read.shape) == ("uint8", pixels.shape)
    worst = np.abs(read.astype(int) - pixels).max()
    assert worst <= (24 if name == "JPEG" else 0)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "webp"])
def test_a_picture_is_turned_as_the_camera_was_held(tmp_path: Path, orientation: int, ending: str) -> None:
    upright = blobs(2)
    # How each orientation is stored, from the EXIF 2.3 table: (row, column) of the file against the upright picture.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    path = save(tmp_path / f"a.{ending}", np.ascontiguousarray(stored), exif=exif(orientation), lossless=True)
    assert np.array_equal(read_picture(path), upright)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(tmp_path: Path, orientation: int) -> None:
    path = save(tmp_path / "a.png", blobs(2), exif=exif(orientation))
    assert np.array_equal(read_picture(path), blobs(2))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_spoil_a_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", blobs(2), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", quality=95)
    assert read_picture(path).shape == blobs(2).shape


GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


def written(tmp_path: Path, image: Image.Image, ending: str = "png", **options: Any) -> Any:
    path = tmp_path / f"a.{ending}"
    image.save(path, **options)
    return read_picture(path)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    assert np.array_equal(written(tmp_path, Image.fromarray(GREY)), np.stack([GREY] * 3, axis=2))


def test_black_and_white_uses_the_whole_range(tmp_path: Path) -> None:
    read = written(tmp_path, Image.fromarray(GREY > 100))
    assert np.array_equal(read[..., 0], np.where(GREY > 100, 255, 0))


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray((GREY // 64).astype(np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7])
    assert np.unique(written(tmp_path, image).reshape(-1, 3), axis=0).tolist() == [
        [0, 0, 255],
        [0, 255, 0],
        [9, 8, 7],
        [255, 0, 0],
    ]


def test_transparent_pictures_lie_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((4, 3, 4), np.uint8)
    rgba[..., 3] = [0, 128, 255]
    for ending, options in (("png", {}), ("webp", {"lossless": True, "exact": True})):
        read = written(tmp_path, Image.fromarray(rgba), ending, **options)
        assert read[0, :, 0].tolist() == [255, 127, 0]


def test_grey_with_alpha_and_a_transparent_palette_colour_lie_over_white_too(tmp_path: Path) -> None:
    la = np.array([[[0, 0], [0, 255]]], np.uint8)
    assert written(tmp_path, Image.fromarray(la, "LA"))[0, :, 0].tolist() == [255, 0]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    assert written(tmp_path, palette, transparency=0)[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_a_transparent_colour_of_an_rgb_png_lies_over_white(tmp_path: Path) -> None:
    rgb = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    read = written(tmp_path, Image.fromarray(rgb), transparency=(1, 2, 3))
    assert read[0].tolist() == [[255, 255, 255], [4, 5, 6]]


def test_sixteen_bits_keep_their_upper_byte_and_are_not_clipped(tmp_path: Path) -> None:
    deep = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    assert written(tmp_path, Image.fromarray(deep))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_sixteen_bit_colour_keeps_its_upper_byte(tmp_path: Path) -> None:
    # Pillow writes none, so by hand: one row of two pixels.
    row = b"\0" + struct.pack(">6H", 0, 0x1234, 0xFFFF, 0x80FF, 256, 255)
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, row, depth=16))
    assert read_picture(path)[0].tolist() == [[0, 0x12, 0xFF], [0x80, 1, 0]]


def png(width: int, height: int, rows: bytes, *, depth: int = 8) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_cmyk_jpeg_is_converted(tmp_path: Path) -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    read = written(tmp_path, red, "jpg", quality=95)
    assert np.abs(read.reshape(-1, 3).astype(int) - [255, 0, 0]).max() <= 4


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [Image.fromarray(blobs(seed)) for seed in (1, 2)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(read_picture(tmp_path / "a.webp"), blobs(1))


def test_the_first_picture_of_a_telephone_s_multi_picture_jpeg_is_taken(tmp_path: Path) -> None:
    frames = [Image.fromarray(blobs(seed)) for seed in (1, 2)]
    frames[0].save(tmp_path / "a.mpo", save_all=True, append_images=frames[1:], quality=95)
    (tmp_path / "a.mpo").rename(tmp_path / "a.jpg")
    assert np.abs(read_picture(tmp_path / "a.jpg").astype(int) - blobs(1)).max() <= 24


def test_a_large_jpeg_may_be_halved_while_it_is_decoded_but_not_below_the_sides_asked_for(tmp_path: Path) -> None:
    pixels = blobs(1, width=800, height=600)
    large = save(tmp_path / "a.jpg", pixels, quality=95, exif=exif(6))
    sizes = {least: decode_picture(large, least).size for least in (75, 76, 150, 151, 300, 301, 601)}
    assert sizes == {
        75: (75, 100),
        76: (150, 200),
        150: (150, 200),
        151: (300, 400),
        300: (300, 400),
        301: (600, 800),
        601: (600, 800),
    }
    assert decode_picture(save(tmp_path / "a.png", pixels), 75).size == (800, 600)


@pytest.mark.parametrize("fit", [{"fit": "stretch"}, {"fit": "crop", "crop_share": 0.875}, {"fit": "pad"}])
def test_halving_changes_what_a_network_sees_by_a_few_grey_levels_at_most(tmp_path: Path, fit: dict[str, Any]) -> None:
    preprocessing = replace(MINUS_ONE_TO_ONE, **fit)
    path = save(tmp_path / "a.jpg", blobs(5, width=2000, height=1500), quality=90)
    fast = prepare_picture(decode_picture(path, least_side_px(preprocessing, 96)), preprocessing, 96)
    whole = prepare_picture(decode_picture(path), preprocessing, 96)
    assert decode_picture(path, least_side_px(preprocessing, 96)).size < (2000, 1500)
    difference = np.abs(fast.astype(int) - whole)
    assert difference.mean() < 0.5
    assert difference.max() <= 4


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as raised:
        read_picture(path)
    return str(raised.value)


def test_what_is_no_picture_of_the_four_formats_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("notes")
    assert refusal(tmp_path / "a.jpg") == "is no JPEG, PNG, WebP or BMP picture"
    for ending in ("gif", "tiff", "pdf", "eps"):
        save(tmp_path / f"a.{ending}", blobs(1)).rename(tmp_path / "a.png")
        assert refusal(tmp_path / "a.png") == "is no JPEG, PNG, WebP or BMP picture"


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.jpg") == "cannot be opened: No such file or directory"
    assert refusal(tmp_path) == "is no regular file"
    assert refusal(tmp_path / "nul\0.jpg") == "cannot be opened: embedded null byte"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refusal(tmp_path / "pipe.jpg") == "is no regular file"
    (tmp_path / "empty.jpg").touch()
    assert refusal(tmp_path / "empty.jpg") == "is empty"
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    assert refusal(tmp_path / "circle.jpg").startswith("cannot be opened: Too many levels")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(2**29)
    assert refusal(tmp_path / "huge.jpg") == "has 536870912 bytes, more than the 268435456 allowed"


@pytest.mark.parametrize(("width", "height"), [(8001, 8000), (20_000, 20_000), (1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png(width, height, b"\0" * 10_000))
    assert refusal(tmp_path / "bomb.png").startswith("claims ")
    assert str(MAX_PIXELS) in refusal(tmp_path / "bomb.png")


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.98])
def test_a_picture_that_is_cut_off_is_damaged(tmp_path: Path, ending: str, share: float) -> None:
    path = save(tmp_path / f"a.{ending}", blobs(3, width=200, height=200))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert refusal(path).startswith(("is damaged: ", "is no JPEG"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.sampled_from(["png", "jpg", "webp", "bmp"]), st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_bytes_changed_anywhere_give_a_picture_or_one_line(
    tmp_path: Path, ending: str, place: int, noise: bytes
) -> None:
    content = bytearray(save(tmp_path / f"good.{ending}", blobs(4)).read_bytes())
    start = place % len(content)
    content[start : start + len(noise)] = noise
    path = tmp_path / f"changed.{ending}"
    path.write_bytes(content)
    try:
        outcome = str(read_picture(path).shape[2])
    except DataError as error:
        outcome = str(error)
    assert outcome == "3" or (outcome.startswith(("is ", "claims ")) and "\n" not in outcome)
