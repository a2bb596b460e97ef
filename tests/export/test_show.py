"""`python -m export show`: any file, said in a few lines, and nothing in it steers the terminal."""

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.metadata.info import ModelInfo
from export.metadata.write import add_metadata
from export.show import FileFacts, format_facts, read_facts
from export.tflite_file import read_model, write_model
from models.errors import BrokenFileError, UsageError
from tests.export.probe import make_probe

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PROBE = make_probe("uint8", side_px=4)


def facts_of(content: bytes, tmp_path: Path) -> FileFacts:
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    return read_facts(path)


def test_facts_are_those_of_the_file(tmp_path: Path) -> None:
    facts = facts_of(PROBE, tmp_path)
    assert (facts.size_bytes, facts.subgraphs, facts.operators) == (len(PROBE), 1, {"RESHAPE": 1})
    (image,), (scores,) = facts.inputs, facts.outputs
    assert (image.name, image.dtype, image.shape, image.zero_point) == ("image", "uint8", (1, 4, 4, 3), 0)
    assert image.scale == pytest.approx(1 / 255)
    assert (scores.name, scores.shape) == ("probabilities", (1, 48))
    assert facts.metadata is not None
    assert json.loads(json.dumps(facts.to_json(), allow_nan=False))["metadata"]["name"] == "probe"


def test_the_lines_say_what_a_developer_needs(tmp_path: Path) -> None:
    lines = "\n".join(format_facts(tmp_path / "net.tflite", facts_of(PROBE, tmp_path)))
    for part in (
        "input      image  uint8 [1, 4, 4, 3]  scale 0.00392157, zero point 0",
        "operators  1 RESHAPE",
        "mean, std 0, 255",
        "TENSOR_AXIS_LABELS in labels.txt",
        "classes      48: value 0, value 1, value 2, …, value 47",
    ):
        assert part in lines


def test_a_file_without_metadata_is_shown(tmp_path: Path) -> None:
    model = read_model(PROBE)
    model.metadata = None
    facts = facts_of(write_model(model), tmp_path)
    assert format_facts(tmp_path / "net.tflite", facts)[-1] == "  metadata   none"


def test_numbers_that_json_does_not_have_are_words(tmp_path: Path) -> None:
    model = read_model(PROBE)
    model.subgraphs[0].tensors[0].quantization.scale = [float("nan")]
    facts = facts_of(add_metadata(write_model(model), INFO, LABELS), tmp_path)
    assert json.loads(json.dumps(facts.to_json(), allow_nan=False))["inputs"][0]["scale"] == "nan"


LABELS = "".join(f"value {number}\n" for number in range(48)).encode()
INFO = ModelInfo(name="probe", description="", version="", input_description="", mean=0.0, std=255.0)


def test_the_terminal_is_not_steered_by_a_hostile_file(tmp_path: Path, run_script: Run) -> None:
    model = read_model(PROBE)
    model.metadata = None
    model.subgraphs[0].tensors[0].name = "\x1b[2J\u202eevil\x9b".encode()
    path = tmp_path / "net.tflite"
    path.write_bytes(write_model(model))
    for words in ((), ("--json",)):
        run = run_script("-m", "export", "show", str(path), *words)
        assert run.returncode == 0
        assert "evil" in run.stdout
        assert all(character.isprintable() or character == "\n" for character in run.stdout)


def test_a_name_of_a_megabyte_is_shortened(tmp_path: Path) -> None:
    model = read_model(PROBE)
    model.metadata = None
    model.subgraphs[0].tensors[0].name = b"x" * 900_000
    lines = format_facts(tmp_path / "net.tflite", facts_of(write_model(model), tmp_path))
    assert max(len(line) for line in lines) < 200


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"is no TFLite file: it begins with b''; name a \.tflite file"),
        (b"root:x:0:0\n" * 9, r"is no TFLite file: it begins with b'root:x:0'; name a"),
        (b"PK\x03\x04\x1b[2J" * 9, r"is no TFLite file: it begins with b'PK\\x03\\x04\\x1b\[2J'; name a"),
        (PROBE[:200], "is no whole TFLite file: it ends at byte 200, before what it points to .*; get it anew"),
    ],
)
def test_what_is_no_tflite_file_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenFileError, match=reason):
        facts_of(content, tmp_path)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match=r"is no regular file; name a \.tflite file"):
            read_facts(path)
    with pytest.raises(UsageError, match="cannot be read: No such file or directory"):
        read_facts(tmp_path / "none.tflite")


def test_a_model_of_two_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.tflite"
    with path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(UsageError, match="has 2147483648 bytes, a TFLite file has at most 2147483647"):
        read_facts(path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_shown_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(PROBE)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.getbasetemp()
    with suppress(BrokenFileError):
        facts = facts_of(bytes(content), folder)
        json.dumps(facts.to_json(), allow_nan=False)
        format_facts(folder / "net.tflite", facts)
