"""Metadata into a TFLite classifier: what MediaPipe and other readers need to feed it, and the names of its classes."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from export.artifact import LABELS_FILE
from export.metadata import schema
from export.metadata.flatbuffer import Ref, Writer
from export.metadata.info import ModelInfo
from export.metadata.labels import parse_labels
from export.tflite_file import read_model, type_name, write_model
from models.cli import one_line
from models.errors import DataError

_ARCHIVE_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest a ZIP can state; fixed, so that equal models are equal files."""


@dataclass(frozen=True, slots=True)
class _Edge:
    """An input or output as its flatbuffer states it."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def add_metadata(model: bytes, info: ModelInfo, labels: bytes) -> bytes:
    """The TFLite classifier with metadata in it and the class names behind it; equal arguments give equal bytes.

    Interpreters see the same network. The names stand in a ZIP archive at the file's end, uncompressed, because
    readers on phones use them where they lie.

    Args:
        model: A `.tflite` file with one picture as input and one score per class as output.
        info: What to say of it.
        labels: The content of `labels.txt`.

    Raises:
        DataError: the class names are not one distinct line per output.
    """
    content = read_model(model)
    graph = content.subgraphs[0]
    image, scores = (
        _Edge(t.name.decode(), type_name(t), tuple(int(side) for side in t.shape))
        for t in (graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]])
    )
    parse_labels(labels, scores.shape[-1])
    entry, buffer = tflite.MetadataT(), type(content.buffers[0])()
    entry.name, entry.buffer = schema.ENTRY.encode(), len(content.buffers)
    buffer.data = np.frombuffer(_describe(info, image, scores), np.uint8)
    content.buffers.append(buffer)
    others = [old for old in content.metadata or () if old.name != entry.name]
    content.metadata = [*others, entry]
    file = io.BytesIO(write_model(content))
    # Appended, so that the archive's offsets count from the file's start, as readers expect.
    with zipfile.ZipFile(file, "a") as archive:
        member = zipfile.ZipInfo(LABELS_FILE, _ARCHIVE_TIME)
        # The system that made it, Unix, and a file all may read: the defaults depend on where this runs.
        member.create_system, member.external_attr = 3, 0o100644 << 16
        archive.writestr(member, labels)
    return file.getvalue()


def _describe(info: ModelInfo, image: _Edge, scores: _Edge) -> bytes:
    """The flatbuffer."""
    writer = Writer()
    inputs, outputs = writer.list([_input(writer, info, image)]), writer.list([_output(writer, info, scores)])
    graph = writer.table({schema.SubGraphMetadata.INPUTS: inputs, schema.SubGraphMetadata.OUTPUTS: outputs})
    root = schema.ModelMetadata
    texts = {
        root.NAME: info.name,
        root.DESCRIPTION: info.description,
        root.VERSION: info.version,
        root.AUTHOR: info.author,
        root.LICENSE: info.license,
        root.MIN_PARSER_VERSION: schema.MIN_PARSER_VERSION,
    }
    slots = {int(slot): writer.text(one_line(text)) for slot, text in texts.items() if text is not None}
    return writer.finish(writer.table({root.SUBGRAPHS: writer.list([graph]), **slots}), schema.IDENTIFIER)


def _input(writer: Writer, info: ModelInfo, image: _Edge) -> Ref:
    """A picture in RGB. Integer inputs carry the normalisation too: the schema has them share that of the floats."""
    if len(image.shape) != 4:
        raise DataError(f"the input {image.name} has the shape {image.shape}; a picture has [1, height, width, 3]")
    height, width = image.shape[1:3]
    size = writer.table({schema.ImageSize.WIDTH: ("uint32", width), schema.ImageSize.HEIGHT: ("uint32", height)})
    picture = writer.table(
        {schema.ImageProperties.COLOR_SPACE: ("int8", schema.RGB), schema.ImageProperties.DEFAULT_SIZE: size}
    )
    options = writer.table(
        {schema.Normalization.MEAN: writer.reals([info.mean]), schema.Normalization.STD: writer.reals([info.std])}
    )
    least, greatest = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}.get(
        image.dtype, ((0 - info.mean) / info.std, (255 - info.mean) / info.std)
    )
    return _tensor(
        writer,
        image.name,
        one_line(info.input_description),
        properties=(schema.IMAGE_PROPERTIES, picture),
        units=[(schema.NORMALIZATION, options)],
        stats=(least, greatest),
    )


def _output(writer: Writer, info: ModelInfo, scores: _Edge) -> Ref:
    """One score per class, with the names."""
    file = schema.AssociatedFile
    labels = writer.table(
        {
            file.NAME: writer.text(LABELS_FILE),
            file.DESCRIPTION: writer.text("Class names, one per line, in the order of the scores"),
            file.TYPE: ("int8", schema.TENSOR_AXIS_LABELS),
        }
    )
    units = []
    if info.score_threshold is not None:
        options = writer.table({schema.SCORE_THRESHOLD_SLOT: ("float32", info.score_threshold)})
        units.append((schema.SCORE_THRESHOLDING, options))
    stats: dict[str, tuple[float, float]] = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0), "float32": (0.0, 1.0)}
    return _tensor(
        writer,
        scores.name,
        "A score per class: the softmax" if scores.name != "logits" else "A logit per class, before the softmax",
        properties=(schema.FEATURE_PROPERTIES, writer.table({})),
        units=units,
        stats=None if scores.name == "logits" else stats.get(scores.dtype),
        files=[labels],
    )


def _tensor(
    writer: Writer,
    name: str,
    description: str,
    *,
    properties: tuple[int, Ref],
    units: list[tuple[int, Ref]],
    stats: tuple[float, float] | None,
    files: list[Ref] | None = None,
) -> Ref:
    """A TensorMetadata; properties and units are members of their unions, stats the least and the greatest value."""
    tensor, content, unit = schema.TensorMetadata, schema.Content, schema.ProcessUnit
    steps = [writer.table({unit.OPTIONS_TYPE: ("uint8", kind), unit.OPTIONS: options}) for kind, options in units]
    kind, options = properties
    meaning = writer.table({content.PROPERTIES_TYPE: ("uint8", kind), content.PROPERTIES: options})
    ranges = None
    if stats is not None:
        least, greatest = (writer.reals([value]) for value in stats)
        ranges = writer.table({schema.Stats.MIN: least, schema.Stats.MAX: greatest})
    return writer.table(
        {
            tensor.NAME: writer.text(name),
            tensor.DESCRIPTION: writer.text(description),
            tensor.CONTENT: meaning,
            tensor.PROCESS_UNITS: writer.list(steps) if steps else None,
            tensor.STATS: ranges,
            tensor.FILES: writer.list(files) if files else None,
        }
    )
