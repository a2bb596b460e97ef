"""What a TFLite file says of itself, read from any file: damaged and hostile ones are refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from export.metadata import schema
from export.metadata.flatbuffer import Table
from models.errors import BrokenFileError

MODEL_IDENTIFIER = b"TFL3"
MAX_MEMBERS = 100
MAX_MEMBER_BYTES = 10_000_000
"""Of a file behind the model; 100 000 class names of 100 letters are as much."""

_METADATA, _BUFFERS = 6, 4
"""Slots of TFLite's Model; `_BUFFER_*` of its Buffer."""
_BUFFER_OFFSET, _BUFFER_SIZE = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorNotes:
    """What is said of an input or output; None or empty where nothing is said."""

    name: str | None
    description: str | None
    content: str | None
    """`image RGB 224 x 224`, `feature`, or None."""
    mean: tuple[float, ...]
    """Of the normalisation of float inputs, in grey levels."""
    std: tuple[float, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    score_threshold: float | None
    files: Mapping[str, str]
    """Type of each file that belongs to the tensor: `TENSOR_AXIS_LABELS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMetadata:
    """The metadata of a TFLite file."""

    name: str | None
    description: str | None
    version: str | None
    author: str | None
    license: str | None
    min_parser_version: str | None
    inputs: tuple[TensorNotes, ...]
    outputs: tuple[TensorNotes, ...]
    files: Mapping[str, int]
    """Size in bytes of each file in the archive at the end."""
    labels: bytes | None
    """The class names that belong to the first output, as they stand in the archive; None if there are none."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; the class names as a list of lines."""
        lines = None if self.labels is None else self.labels.decode(errors="replace").removesuffix("\n").split("\n")
        return {**asdict(self), "labels": lines}


def read_metadata(file: bytes) -> FileMetadata | None:
    """What the file says of itself; None if it says nothing.

    Raises:
        BrokenFileError: it is no TFLite file, or is damaged.
    """
    place = _find(file)
    if place is None:
        return None
    root = Table.root(file[place[0] : place[0] + place[1]], schema.IDENTIFIER)
    graphs = root.tables(schema.ModelMetadata.SUBGRAPHS)
    inputs, outputs = (
        tuple(_notes(tensor) for tensor in graphs[0].tables(slot)) if graphs else ()
        for slot in (schema.SubGraphMetadata.INPUTS, schema.SubGraphMetadata.OUTPUTS)
    )
    members = _members(file)
    wanted = [name for name, kind in (outputs[0].files if outputs else {}).items() if kind == "TENSOR_AXIS_LABELS"]
    present = next((name for name in wanted if name in members), None)
    if wanted and present is None:
        raise BrokenFileError(f"its metadata names the file {wanted[0]!r}, which is not in the archive at its end")
    return FileMetadata(
        name=root.text(schema.ModelMetadata.NAME),
        description=root.text(schema.ModelMetadata.DESCRIPTION),
        version=root.text(schema.ModelMetadata.VERSION),
        author=root.text(schema.ModelMetadata.AUTHOR),
        license=root.text(schema.ModelMetadata.LICENSE),
        min_parser_version=root.text(schema.ModelMetadata.MIN_PARSER_VERSION),
        inputs=inputs,
        outputs=outputs,
        files=members,
        labels=None if present is None else _member(file, present),
    )


def _find(file: bytes) -> tuple[int, int] | None:
    """Where the metadata's flatbuffer starts, and its length."""
    root = Table.root(file, MODEL_IDENTIFIER)
    numbers = [entry.number(1, "uint32") for entry in root.tables(_METADATA) if entry.text(0) == schema.ENTRY]
    if not numbers:
        return None
    buffers = root.tables(_BUFFERS)
    if numbers[0] >= len(buffers):
        raise BrokenFileError(f"its metadata should be in buffer {numbers[0]}, it has {len(buffers)}")
    buffer = buffers[numbers[0]]
    # Large files keep buffers behind the flatbuffer; offsets 0 and 1 mean: not this one.
    offset, size = buffer.number(_BUFFER_OFFSET, "uint64"), buffer.number(_BUFFER_SIZE, "uint64")
    return (offset, size) if offset > 1 else buffer.block(0)


def _notes(tensor: Table) -> TensorNotes:
    slots, unit = schema.TensorMetadata, schema.ProcessUnit
    units = {
        step.number(unit.OPTIONS_TYPE, "uint8"): step.table(unit.OPTIONS) for step in tensor.tables(slots.PROCESS_UNITS)
    }
    normalization, thresholding = units.get(schema.NORMALIZATION), units.get(schema.SCORE_THRESHOLDING)
    stats = tensor.table(slots.STATS)
    file = schema.AssociatedFile
    return TensorNotes(
        name=tensor.text(slots.NAME),
        description=tensor.text(slots.DESCRIPTION),
        content=_content(tensor.table(slots.CONTENT)),
        mean=_reals(normalization, schema.Normalization.MEAN),
        std=_reals(normalization, schema.Normalization.STD),
        minimum=_reals(stats, schema.Stats.MIN),
        maximum=_reals(stats, schema.Stats.MAX),
        score_threshold=thresholding.real(schema.SCORE_THRESHOLD_SLOT) if thresholding else None,
        files={
            f.text(file.NAME) or "": schema.FILE_TYPES.get(f.number(file.TYPE, "int8"), "unknown")
            for f in tensor.tables(slots.FILES)
        },
    )


def _content(content: Table | None) -> str | None:
    if content is None:
        return None
    kind, properties = content.number(schema.Content.PROPERTIES_TYPE, "uint8"), content.table(schema.Content.PROPERTIES)
    if kind == schema.FEATURE_PROPERTIES:
        return "feature"
    if kind != schema.IMAGE_PROPERTIES or properties is None:
        return None
    colors = schema.COLOR_SPACES.get(properties.number(schema.ImageProperties.COLOR_SPACE, "int8"), "unknown")
    size = properties.table(schema.ImageProperties.DEFAULT_SIZE)
    if size is None:
        return f"image {colors}"
    width, height = (size.number(slot, "uint32") for slot in (schema.ImageSize.WIDTH, schema.ImageSize.HEIGHT))
    return f"image {colors} {width} x {height}"


def _reals(table: Table | None, slot: int) -> tuple[float, ...]:
    return table.numbers(slot, "float32") if table else ()


def _members(file: bytes) -> dict[str, int]:
    """Names and sizes of the archive at the end; empty if there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile:
        return {}
    except Exception as error:  # whatever a hostile directory makes zipfile raise
        raise BrokenFileError(f"the archive at its end is damaged: {' '.join(str(error).split())[:200]}") from error
    if len(members) > MAX_MEMBERS:
        raise BrokenFileError(f"the archive at its end has {len(members)} members, allowed are {MAX_MEMBERS}")
    return {member.filename: member.file_size for member in members}


def _member(file: bytes, name: str) -> bytes:
    try:
        # Opened anew, and read to the limit only: the size that the directory states may be a lie.
        with zipfile.ZipFile(io.BytesIO(file)) as archive, archive.open(name) as member:
            content = member.read(MAX_MEMBER_BYTES + 1)
    except Exception as error:  # whatever a hostile member makes zipfile raise
        raise BrokenFileError(
            f"{name!r} in the archive at its end is damaged: {' '.join(str(error).split())[:200]}"
        ) from error
    if len(content) > MAX_MEMBER_BYTES:
        raise BrokenFileError(f"{name!r} in the archive at its end has more than {MAX_MEMBER_BYTES} bytes")
    return content
