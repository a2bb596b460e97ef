"""Results that stay: each tool's file and what it gives for the test pictures, so that a second run goes on."""

from __future__ import annotations

import hashlib
import io
import json
import time
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.answers import answers
from benchmarks.peers.subject import Subject
from benchmarks.peers.tools import Tool
from models.data import lazy_pixels, load_dataset
from models.errors import ConversionError, ToolchainError
from models.files import write_file
from models.worker import Progress, Report, run_in_worker

VERSION = "1"
"""Of this script: another one, and everything is made again."""
ANSWERS_VERSION = "2"
"""Of the way in which files are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of a tool's attempt."""

    tool: str
    file: str | None
    """Name in the subject's folder; None if there is none."""
    size_bytes: int | None
    seconds: float | None
    """From the float file to the 8-bit one, calibration included, start of the process excluded."""
    reason: str
    """Why there is no file; empty if there is one."""
    refused: bool = True
    """Whether that was the tool's own word: it is kept, and what stood in the tool's way is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A tool's file and its answers."""

    made: Made
    content: bytes
    logits: NDArray[np.float32]
    """`[N, classes]`; none if there is no file."""


def result_of(tool: Tool, subject: Subject, images: int, report: Report) -> Result:
    """A tool's result for the first test pictures: read if it is there, made otherwise.

    Args:
        tool: One of the table.
        subject: Prepared.
        images: How many test pictures.
        report: Receives the progress.
    """
    made = make_once(tool, subject, report)
    if made.file is None:
        return Result(made=made, content=b"", logits=np.zeros((0, subject.spec.num_classes), np.float32))
    content = (subject.folder / made.file).read_bytes()
    path = subject.folder / f"answers-{hashlib.sha256(content).hexdigest()[:16]}-{images}-v{ANSWERS_VERSION}.npy"
    if not path.exists():
        run_in_worker(write_answers, subject, made.file, images, path.name, report=report)
    return Result(made=made, content=content, logits=np.load(path))


def make_once(tool: Tool, subject: Subject, report: Report) -> Made:
    """What became of a tool's attempt: read if it was made before by the same version, made otherwise.

    Kept is a file, or that the tool refused. Something missing, a full disk or a process that was killed says nothing
    of the tool, and the next call tries again.
    """
    key = hashlib.sha256(f"{VERSION}\0{tool.name}\0{tool.version()}".encode()).hexdigest()[:12]
    stem = f"{tool.name.replace(', ', '-').replace(' ', '-')}-{key}"
    record = subject.folder / f"{stem}.json"
    if record.exists():
        return Made(**json.loads(record.read_text("utf-8")))
    try:
        content, seconds = run_in_worker(timed, tool, subject, report=report)
        name = f"{stem}.{tool.format}"
        write_file(subject.folder / name, content)
        made = Made(tool=tool.name, file=name, size_bytes=len(content), seconds=seconds, reason="")
    except ToolchainError as error:
        made = Made(
            tool=tool.name,
            file=None,
            size_bytes=None,
            seconds=None,
            reason=" ".join(str(error).split()),
            refused=isinstance(error, ConversionError),
        )
        if not made.refused:
            return made
    write_file(record, json.dumps(asdict(made)).encode())
    return made


def timed(report: Report, tool: Tool, subject: Subject) -> tuple[bytes, float]:
    """A tool's file and the seconds it took.

    Raises:
        ConversionError: the tool refused, in whatever way.
        ToolchainError: something else stood in its way.
    """
    started = time.monotonic()
    try:
        content = tool.make(report, subject)
    except (ToolchainError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        raise ConversionError(f"{type(error).__name__}: {error}") from error
    return content, time.monotonic() - started


def write_answers(report: Report, subject: Subject, file: str, images: int, name: str) -> None:
    """Writes what a file of the subject's folder gives for the first test pictures."""
    data, spec = load_dataset(subject.dataset), subject.spec
    chosen = data.splits["test"][:images]
    pixels = lazy_pixels(data, chosen, spec.preprocessing, spec.resolution_px)[:]
    report(Progress(stage=file, done=0, total=len(pixels)))
    logits = answers((subject.folder / file).read_bytes(), pixels, spec.preprocessing)
    report(Progress(stage=file, done=len(pixels), total=len(pixels)))
    buffer = io.BytesIO()
    np.save(buffer, logits)
    write_file(subject.folder / name, buffer.getvalue())


def true_classes(subject: Subject, images: int) -> NDArray[np.int64]:
    """True classes of the first test pictures."""
    data = load_dataset(subject.dataset)
    return data.classes[data.splits["test"][:images]]
