"""Preprocessings from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import DataError, UnknownNameError, UsageError
from models.presets import PRESETS, parse_preprocessing


@pytest.mark.parametrize(
    ("name", "black", "white"),
    [
        ("minus-one-to-one", -1, 1),
        ("zero-to-one", 0, 1),
        ("bytes", 0, 255),
        ("imagenet", -0.485 / 0.229, 0.515 / 0.229),
    ],
)
def test_a_preset_maps_black_and_white_where_its_name_says(name: str, black: float, white: float) -> None:
    preset = parse_preprocessing(name)
    assert (0 - preset.mean[0]) / preset.std[0] == pytest.approx(black)
    assert (255 - preset.mean[0]) / preset.std[0] == pytest.approx(white)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_written_to_a_file_is_read_from_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(PRESETS[name].to_json()))
    assert parse_preprocessing(str(path)) == PRESETS[name]


def test_mean_and_std_are_enough_and_may_be_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text('{"mean": [104, 117, 123], "std": [1, 1, 1], "channel_order": "BGR"}')
    read = parse_preprocessing(str(path))
    assert (read.mean, read.std, read.channel_order) == ((104.0, 117.0, 123.0), (1.0, 1.0, 1.0), "BGR")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as raised:
        parse_preprocessing("zero_to_one")
    message = str(raised.value)
    assert message.startswith("unknown preprocessing 'zero_to_one'; did you mean zero-to-one")
    assert message.endswith("did you mean zero-to-one? or give the path of a .json file")


@pytest.mark.parametrize("more", [{"resize": "sharp"}, {"fit": "squeeze"}, {"channel_order": "GRB"}, {"crop_share": 2}])
def test_what_cannot_be_executed_is_refused_at_once(tmp_path: Path, more: dict[str, Any]) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"mean": THREE, "std": THREE, **more}))
    with pytest.raises(DataError, match="cannot execute the preprocessing"):
        parse_preprocessing(str(path))


THREE = [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], "no JSON object"),
        ({"mean": THREE}, "'std'"),
        ({"mean": THREE, "std": 1}, "std is not three numbers"),
        ({"mean": THREE, "std": [1, 1]}, "std is not three numbers"),
        ({"mean": THREE, "std": [1, 1, "1"]}, "std is not three numbers"),
        ({"mean": THREE, "std": [1, 1, True]}, "std is not three numbers"),
        ({"mean": [float("nan")] * 3, "std": THREE}, "mean is not three numbers"),
        ({"mean": [1e300] * 3, "std": THREE}, "mean is not three numbers"),
        ({"mean": THREE, "std": [1, 0, 1]}, "std must be above 0"),
        ({"mean": THREE, "std": THREE, "gamma": 2.2}, "gamma"),
    ],
)
def test_a_file_that_is_no_preprocessing_is_refused_in_one_line(tmp_path: Path, value: Any, fault: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(value))
    with pytest.raises(UsageError) as raised:
        parse_preprocessing(str(path))
    message = str(raised.value)
    assert message.startswith(f"preprocessing {path} is not understood (")
    assert fault in message
    assert message.endswith('"std": [127.5, 127.5, 127.5]}, in grey levels 0..255')


def test_a_file_that_is_missing_or_huge_or_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    with pytest.raises(UsageError, match=r"cannot be read: No such file or directory; give minus-one-to-one, "):
        parse_preprocessing(str(path))
    path.write_text("mean: 1")
    with pytest.raises(UsageError, match="is not understood"):
        parse_preprocessing(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not understood"):
        parse_preprocessing(str(path))
    path.write_text("[" * 9_000)
    with pytest.raises(UsageError, match="is not understood"):
        parse_preprocessing(str(path))
    path.write_text(" " * 20_000)
    with pytest.raises(UsageError, match=r"is larger than 10000 bytes; it needs mean and std only$"):
        parse_preprocessing(str(path))
