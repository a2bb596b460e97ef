"""What is in a TFLite file, found without running it and without trusting it."""

from __future__ import annotations

import hashlib
import math
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from export.contents import TensorInfo
from export.metadata.flatbuffer import Table
from export.metadata.read import MODEL_IDENTIFIER, FileMetadata, read_metadata
from export.tflite_file import operator_name, tensor_type_name
from models.errors import BrokenFileError, UsageError

MAX_FILE_BYTES = 2**31 - 1
"""Flatbuffers end there, and so does what a phone loads."""

SHOWN_KINDS = 40
"""Of operators, in words; the JSON has all."""

_CODES, _SUBGRAPHS = 1, 2
_CODE_OLD, _CODE_CUSTOM, _CODE = 0, 1, 3
_TENSORS, _INPUTS, _OUTPUTS, _OPERATORS = 0, 1, 2, 3
_SHAPE, _TYPE, _NAME, _QUANTIZATION = 0, 1, 3, 4
_SCALE, _ZERO_POINT = 2, 3
"""Slots of TFLite's schema: Model, OperatorCode, SubGraph, Tensor, QuantizationParameters."""

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A TFLite file as it lies there."""

    size_bytes: int
    sha256: str
    subgraphs: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: dict[str, int]
    """Of the first subgraph, the most frequent first."""
    metadata: FileMetadata | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; numbers that JSON does not have are words."""
        value = asdict(self) | {"metadata": self.metadata.to_json() if self.metadata else None}
        plain: dict[str, Any] = _plain(value)
        return plain


def read_facts(path: Path) -> FileFacts:
    """What is in the file.

    Raises:
        UsageError: it cannot be read, or is larger than TFLite files can be.
        BrokenFileError: it is no TFLite file, or damaged.
    """
    try:
        status = path.stat()
        # A device or a pipe has no end, or waits for ever.
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is no regular file; name a .tflite file")
        if status.st_size > MAX_FILE_BYTES:
            raise UsageError(
                f"{path} has {status.st_size} bytes, a TFLite file has at most {MAX_FILE_BYTES}; name another"
            )
        with path.open("rb") as file:
            head = file.read(8)
            content = head + file.read() if head[4:] == MODEL_IDENTIFIER else b""
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; name a .tflite file") from error
    if not content:
        raise BrokenFileError(f"{path} is no TFLite file: it begins with {head!r}; name a .tflite file")
    try:
        return _facts(content)
    except BrokenFileError as error:
        raise BrokenFileError(f"{path} is no whole TFLite file: {error}; get it anew from where it was made") from error


def _facts(content: bytes) -> FileFacts:
    model = Table.root(content, MODEL_IDENTIFIER)
    graphs = model.tables(_SUBGRAPHS)
    if not graphs:
        raise BrokenFileError("it has no graph")
    graph, tensors = graphs[0], graphs[0].tables(_TENSORS)
    names = [_operator(code) for code in model.tables(_CODES)]
    used = Counter(_pick(names, operator.number(0, "uint32")) for operator in graph.tables(_OPERATORS))
    return FileFacts(
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        subgraphs=len(graphs),
        inputs=tuple(_tensor(_pick(tensors, int(index))) for index in graph.numbers(_INPUTS, "int32")),
        outputs=tuple(_tensor(_pick(tensors, int(index))) for index in graph.numbers(_OUTPUTS, "int32")),
        operators=dict(used.most_common()),
        metadata=read_metadata(content),
    )


def _operator(code: Table) -> str:
    number = code.number(_CODE, "int32") or code.number(_CODE_OLD, "int8")
    custom = code.text(_CODE_CUSTOM)
    return f"{operator_name(number)} {custom}" if custom else operator_name(number)


def _pick(sequence: Sequence[_Part], index: int) -> _Part:
    if not 0 <= index < len(sequence):
        raise BrokenFileError(f"it names part {index} of {len(sequence)}")
    return sequence[index]


def _tensor(tensor: Table) -> TensorInfo:
    quantization = tensor.table(_QUANTIZATION)
    scales = quantization.numbers(_SCALE, "float32") if quantization else ()
    zeros = quantization.numbers(_ZERO_POINT, "int64") if quantization else ()
    return TensorInfo(
        name=tensor.text(_NAME) or "",
        dtype=tensor_type_name(tensor.number(_TYPE, "int8")),
        shape=tuple(int(side) for side in tensor.numbers(_SHAPE, "int32")),
        scale=scales[0] if scales else None,
        zero_point=int(zeros[0]) if zeros else None,
    )


def _plain(value: Any) -> Any:
    """The value without NaN and infinity, which a file may hold and JSON may not."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def format_facts(path: Path, facts: FileFacts) -> list[str]:
    """Lines for a person; texts of the file are shortened, and shown as they stand in it otherwise."""
    lines = [f"{path.name}  {facts.size_bytes} bytes  sha256 {facts.sha256}"]
    for side, tensors in (("input", facts.inputs), ("output", facts.outputs)):
        lines += [f"  {side:<10} {_short(t.name)}  {t.dtype} {list(t.shape)}{_quantization(t)}" for t in tensors]
    kinds = [f"{count} {_short(name)}" for name, count in facts.operators.items()]
    lines.append(f"  operators  {', '.join([*kinds[:SHOWN_KINDS], '…'] if len(kinds) > SHOWN_KINDS else kinds)}")
    if facts.subgraphs > 1:
        lines.append(f"  subgraphs  {facts.subgraphs}; the first is shown")
    if facts.metadata is None:
        return [*lines, "  metadata   none"]
    return lines + _metadata_lines(facts.metadata)


def _metadata_lines(metadata: FileMetadata) -> list[str]:
    said = {
        "name": metadata.name,
        "about": metadata.description,
        "version": metadata.version,
        "author": metadata.author,
        "license": metadata.license,
        "for readers": f"{metadata.min_parser_version} and later" if metadata.min_parser_version else None,
    }
    lines = ["  metadata", *(f"    {key:<12} {_short(text, 300)}" for key, text in said.items() if text)]
    for side, tensors in (("input", metadata.inputs), ("output", metadata.outputs)):
        for notes in tensors:
            lines.append(f"    {side:<12} {_short(notes.name or '-')}: {notes.content or 'unknown'}")
            if notes.description:
                lines.append(f"    {'':<12} {_short(notes.description, 300)}")
            for key, numbers in (
                ("mean, std", (*notes.mean, *notes.std)),
                ("range", (*notes.minimum, *notes.maximum)),
                ("threshold", () if notes.score_threshold is None else (notes.score_threshold,)),
            ):
                if numbers:
                    lines.append(f"    {'':<12} {key} {', '.join(f'{n:g}' for n in numbers[:8])}")
            lines += [f"    {'':<12} {kind} in {_short(name)}" for name, kind in notes.files.items()]
    lines += [f"    {'file':<12} {_short(name)}, {size} bytes" for name, size in metadata.files.items()]
    if metadata.labels is not None:
        names = metadata.labels.decode(errors="replace").removesuffix("\n").split("\n")
        shown = [*names[:3], "…", names[-1]] if len(names) > 4 else names
        lines.append(f"    {'classes':<12} {len(names)}: {', '.join(_short(name, 30) for name in shown)}")
    return lines


def _quantization(tensor: TensorInfo) -> str:
    return "" if tensor.scale is None else f"  scale {tensor.scale:g}, zero point {tensor.zero_point}"


def _short(text: str, characters: int = 80) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
