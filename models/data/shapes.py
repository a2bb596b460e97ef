"""`shapes`: rendered scenes in any number and size, for work on colour pictures without a download."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

import models.data.outlines
import models.data.scenes
from models.data.cache import cache_folder, making_in
from models.data.dataset import SPLITS, Dataset, Pixels
from models.data.reading import thread_count
from models.data.scenes import LABELS, render
from models.errors import DataError, ToolchainError, UsageError
from models.files import format_json, replace_file, sha256_file, write_file
from models.worker import Progress, Report, Task, run_in_workers

STAGE = "render shapes"
PIXELS_FILE, RECORD_FILE = "pictures.bin", "record.json"
REPORT_EVERY = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapesOptions:
    """Which scenes; the same number of a split shows the same scene however many there are."""

    train: int = 8000
    validation: int = 1000
    test: int = 2000
    size: int = 96
    """Side in pixels."""
    seed: int = 0

    @property
    def slug(self) -> str:
        """`shapes`, with what differs from the default."""
        own = [(field.name, getattr(self, field.name)) for field in fields(self)]
        changed = [f"{name}{value}" for name, value in own if value != getattr(ShapesOptions(), name)]
        return "-".join(["shapes", *changed])

    @property
    def images(self) -> int:
        """Of all splits."""
        return self.train + self.validation + self.test

    @property
    def file_bytes(self) -> int:
        """Of the rendered pictures."""
        return self.images * self.size * self.size * 3

    def scene(self, index: int) -> tuple[int, int]:
        """Split number and number within it of a picture; train comes first, then validation, then test."""
        for stream, count in enumerate((self.train, self.validation, self.test)):
            if index < count:
                return stream, index
            index -= count
        raise IndexError(index)


LIMITS = {
    "train": (17, 10**7),
    "validation": (17, 10**6),
    "test": (17, 10**6),
    "size": (16, 1024),
    "seed": (0, 2**32 - 1),
}
"""17 is one of each class."""


def parse_shapes(text: str) -> ShapesOptions:
    """Options from `train=8000,test=10000,size=128`; what is not given keeps its default.

    Raises:
        UsageError: an unknown option, or a value out of its range.
    """
    values: dict[str, int] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = word.partition("=")
        if name not in LIMITS or name in values:
            raise UsageError(
                f"data set shapes: cannot use {word!r}; write shapes or, with some of the options, "
                "shapes:train=8000,validation=1000,test=2000,size=96,seed=0"
            )
        low, high = LIMITS[name]
        if not (number.isascii() and number.isdigit() and len(number) < 12 and low <= int(number) <= high):
            raise UsageError(f"data set shapes: {name} is {number!r}, must be a whole number from {low} to {high}")
        values[name] = int(number)
    return ShapesOptions(**values)


def shapes_folder(options: ShapesOptions) -> Path:
    """Where the rendered pictures are kept, by what decides them: the options, and the text of the renderer."""
    sha = hashlib.sha256(repr(options).encode())
    for module in (models.data.outlines, models.data.scenes):
        sha.update(Path(str(module.__file__)).read_bytes())
    return cache_folder() / "data" / f"{options.slug}-{sha.hexdigest()[:12]}"


def prepare_shapes(options: ShapesOptions, report: Report) -> None:
    """Renders the pictures on all cores, unless it has been done.

    Raises:
        OutputError: the cache cannot be written, or another process renders the same.
    """
    folder = shapes_folder(options)
    if _record(folder, options) is not None:
        return
    with making_in(folder) as private:
        made = private / PIXELS_FILE
        made.touch()
        done = 0

        def count(progress: Progress) -> None:
            nonlocal done
            done += progress.done
            report(Progress(stage=STAGE, done=done, total=options.images, detail=f"kept in {folder}"))

        # A worker process may not start others; then this one renders.
        cores = 1 if multiprocessing.current_process().daemon else thread_count()
        ends = np.linspace(0, options.images, cores + 1).astype(int).tolist()
        tasks = [Task(render_part, (options, made, *ends[core : core + 2])) for core in range(cores)]
        if cores == 1:
            render_part(count, options, made, 0, options.images)
        else:
            for outcome in run_in_workers(tasks, at_once=cores, report=count):
                if isinstance(outcome, ToolchainError):
                    raise outcome
        digest = sha256_file(made)
        replace_file(made, folder / PIXELS_FILE)
        # The record comes last and vouches for the pictures.
        write_file(folder / RECORD_FILE, format_json({"sha256": digest, "bytes": options.file_bytes}).encode())


def render_part(report: Report, options: ShapesOptions, path: Path, start: int, stop: int) -> None:
    """Renders pictures `start` to `stop` into their place in the file; reports how many more are done."""
    with path.open("r+b") as file:
        file.seek(start * options.size * options.size * 3)
        for index in range(start, stop):
            stream, number = options.scene(index)
            scene = render(number % len(LABELS), size_px=options.size, seed=options.seed, stream=stream, number=number)
            file.write(scene.tobytes())
            if (index + 1 - start) % REPORT_EVERY == 0 or index + 1 == stop:
                report(Progress(stage=STAGE, done=(index - start) % REPORT_EVERY + 1, total=options.images))


def _record(folder: Path, options: ShapesOptions) -> str | None:
    """SHA-256 of the rendered pictures; None if they are not there whole."""
    try:
        record = json.loads((folder / RECORD_FILE).read_bytes())
        whole = record["bytes"] == options.file_bytes == (folder / PIXELS_FILE).stat().st_size
        return str(record["sha256"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load_shapes(options: ShapesOptions) -> Dataset:
    """The rendered scenes, read from the disk when they are needed.

    Raises:
        DataError: they are not rendered.
    """
    folder = shapes_folder(options)
    digest = _record(folder, options)
    if digest is None:
        raise DataError(f"the pictures of {options.slug} are not in {folder}; run the command again to render them")
    shape = (options.images, options.size, options.size, 3)
    images: Pixels = np.memmap(folder / PIXELS_FILE, np.uint8, mode="r", shape=shape)
    counts = (options.train, options.validation, options.test)
    classes: NDArray[np.int64] = np.concatenate([np.arange(count) for count in counts]) % len(LABELS)
    indices = np.split(np.arange(options.images), np.cumsum(counts)[:-1])
    return Dataset(
        name=options.slug,
        source=f"rendered scenes of {len(LABELS)} shapes, {options.size} px, seed {options.seed}",
        labels=LABELS,
        images=images,
        classes=classes,
        splits=MappingProxyType(dict(zip(SPLITS, indices, strict=True))),
        content=digest,
    )
