"""Metadata of any file: ours, none, damaged, hostile."""

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.metadata.read import MAX_MEMBER_BYTES, MAX_MEMBERS, read_metadata
from export.tflite_file import read_model, write_model
from models.errors import BrokenFileError
from tests.export.probe import SIDE_PX, make_probe

PROBE = make_probe(side_px=4)


def with_archive(fill: Callable[[zipfile.ZipFile], object]) -> bytes:
    """The probe with another archive behind it."""
    file = io.BytesIO(write_model(read_model(PROBE)))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        fill(archive)
    return file.getvalue()


def test_what_was_written_is_read() -> None:
    metadata = read_metadata(make_probe())
    assert metadata is not None
    assert (metadata.name, metadata.version, metadata.min_parser_version) == ("probe", "1", "1.0.0")
    (image,), (scores,) = metadata.inputs, metadata.outputs
    assert (image.name, image.content, image.mean, image.std) == ("image", "image RGB 24 x 24", (0.0,), (255.0,))
    assert (image.minimum, image.maximum) == ((0.0,), (1.0,))
    assert (scores.content, scores.files) == ("feature", {"labels.txt": "TENSOR_AXIS_LABELS"})
    assert metadata.labels is not None
    assert metadata.labels.splitlines()[-1] == f"value {3 * SIDE_PX**2 - 1}".encode()
    assert metadata.to_json()["labels"][:2] == ["value 0", "value 1"]


def test_a_file_without_metadata_has_none() -> None:
    model = read_model(PROBE)
    model.metadata = None
    assert read_metadata(write_model(model)) is None


def test_names_that_are_promised_must_be_there() -> None:
    with pytest.raises(BrokenFileError, match=r"names the file 'labels.txt', which is not in the archive"):
        read_metadata(write_model(read_model(PROBE)))


def test_a_buffer_that_is_not_there_is_named() -> None:
    model = read_model(PROBE)
    model.metadata[0].buffer = 99
    with pytest.raises(BrokenFileError, match="its metadata should be in buffer 99, it has 4"):
        read_metadata(write_model(model))


def test_metadata_of_another_format_is_named() -> None:
    model = read_model(PROBE)
    model.buffers[model.metadata[0].buffer].data = np.zeros(40, np.uint8)
    with pytest.raises(BrokenFileError, match=r"at byte 4, not b'M001'"):
        read_metadata(write_model(model))


def test_an_archive_that_unpacks_to_more_than_allowed_is_refused() -> None:
    bomb = with_archive(lambda archive: archive.writestr("labels.txt", b"a" * (MAX_MEMBER_BYTES + 1)))
    assert len(bomb) < 100_000
    with pytest.raises(BrokenFileError, match=f"more than {MAX_MEMBER_BYTES} bytes"):
        read_metadata(bomb)


def test_an_archive_of_many_members_is_refused() -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        for number in range(MAX_MEMBERS + 1):
            archive.writestr(f"{number}", b"")

    with pytest.raises(BrokenFileError, match=f"has {MAX_MEMBERS + 1} members, allowed are {MAX_MEMBERS}"):
        read_metadata(with_archive(fill))


def test_hostile_names_and_lines_are_given_as_they_are_and_nothing_is_unpacked() -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr("labels.txt", b"<script>\n" + b"x" * 1_000_000 + b"\n\xff\n")
        archive.writestr("../../escape", b"")

    metadata = read_metadata(with_archive(fill))
    assert metadata is not None
    assert metadata.files == {"labels.txt": 1_000_012, "../../escape": 0}
    lines = metadata.to_json()["labels"]
    assert (lines[0], len(lines[1]), lines[2]) == ("<script>", 1_000_000, "\N{REPLACEMENT CHARACTER}")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(PROBE)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    for damaged in (bytes(content), bytes(content[: data.draw(st.integers(0, len(content)))])):
        with suppress(BrokenFileError):
            read_metadata(damaged)
