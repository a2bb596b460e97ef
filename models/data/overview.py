"""What is in a data set, for people: counts per class, what could not be used, and a contact sheet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.table import Table

from models.cli import inert
from models.data.choose import find_dataset, folder_path
from models.data.dataset import SPLITS, Dataset
from models.data.folder import Folder, folder_dataset, read_folder
from models.data.sheet import write_sheet
from models.data.tree import Problem
from models.errors import DataError
from models.worker import Report

MAX_ROWS = 40
"""Of a table on the terminal; JSON has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """Pictures of one class."""

    label: str
    train: int
    validation: int
    test: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What is known of a data set."""

    name: str
    source: str | None
    """None where nothing could be made of it."""
    sha256: str | None
    """The data set's digest."""
    classes: tuple[ClassCount, ...]
    broken: tuple[Problem, ...]
    skipped: tuple[Problem, ...]
    duplicates: int | None
    """Pictures that equal or nearly equal another; None where nobody looked."""
    leaks: int | None
    """Test pictures that equal or nearly equal one trained on."""
    sheet: Path | None
    failure: DataError | None
    """Why nothing can be trained on it."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        plain = {field: getattr(self, field) for field in ("name", "source", "sha256", "duplicates", "leaks")}
        return {
            "schema": 1,
            **plain,
            "classes": [asdict(row) for row in self.classes],
            "broken": [asdict(problem) for problem in self.broken],
            "skipped": [asdict(problem) for problem in self.skipped],
            "sheet": None if self.sheet is None else str(self.sheet),
            "failure": None if self.failure is None else str(self.failure),
        }


def show_dataset(text: str, report: Report, build_dir: Path, sheet: Path | None) -> Overview:
    """Reads all of a data set and writes its contact sheet to `sheet`, or to a file of its name in the build folder.

    Raises:
        UnknownNameError: there is no such data set.
        DataError: there is no such folder, or it has no classes.
        OutputError: the sheet cannot be written.
    """
    choice = find_dataset(text)
    named = folder_path(text)
    folder = read_folder(named[0], report) if named else None
    dataset, failure = None, None
    try:
        if folder and named:
            dataset = folder_dataset(folder, allow_broken=named[1])
        else:
            choice.prepare(report)
            dataset = choice.load()
    except DataError as error:
        if folder is None:
            raise
        failure = error
    path = sheet or build_dir / "data" / f"{choice.slug}.png"
    if dataset:
        write_sheet(dataset, path)
    return Overview(
        name=choice.slug,
        source=dataset.source if dataset else None,
        sha256=dataset.digest if dataset else None,
        classes=_counts(dataset, folder),
        broken=folder.broken if folder else (),
        skipped=folder.skipped if folder else (),
        duplicates=folder.duplicates if folder else None,
        leaks=folder.leaks(dataset.splits) if folder and dataset else None,
        sheet=path if dataset else None,
        failure=failure,
    )


def _counts(dataset: Dataset | None, folder: Folder | None) -> tuple[ClassCount, ...]:
    if dataset is None:
        # Without splits there is only what was found.
        classes = folder.classes if folder else np.zeros(0, np.int64)
        labels = folder.labels if folder else ()
        counts = np.bincount(classes, minlength=len(labels)).tolist()
        return tuple(
            ClassCount(label=name, train=n, validation=0, test=0) for name, n in zip(labels, counts, strict=True)
        )
    columns = [np.bincount(dataset.classes[dataset.splits[s]], minlength=len(dataset.labels)).tolist() for s in SPLITS]
    return tuple(
        ClassCount(label=label, train=train, validation=validation, test=test)
        for label, train, validation, test in zip(dataset.labels, *columns, strict=True)
    )


def format_overview(overview: Overview) -> list[RenderableType]:
    """Table and lines for a terminal; names from outside are inert."""
    table = Table(title=inert(f"{overview.name}: {overview.source or 'not usable'}"), title_justify="left", box=None)
    for heading in ("class", *SPLITS):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for row in overview.classes[:MAX_ROWS]:
        table.add_row(inert(row.label), str(row.train), str(row.validation), str(row.test))
    if len(overview.classes) > MAX_ROWS:
        table.add_row(f"... and {len(overview.classes) - MAX_ROWS} more", "", "", "")
    totals = [sum(getattr(row, split) for row in overview.classes) for split in SPLITS]
    table.add_row(f"[bold]all {len(overview.classes)}", *(f"[bold]{total}" for total in totals))
    lines: list[RenderableType] = [table]
    for what, problems in (("broken", overview.broken), ("left out", overview.skipped)):
        lines += [f"{what}: {inert(problem.path)}: {inert(problem.reason)}" for problem in problems[:MAX_ROWS]]
        if len(problems) > MAX_ROWS:
            lines.append(f"{what}: ... and {len(problems) - MAX_ROWS} more; --json lists all")
    if overview.duplicates:
        lines.append(f"{overview.duplicates} pictures equal or nearly equal another")
    if overview.leaks:
        lines.append(
            f"[red]{overview.leaks} test pictures equal or nearly equal one trained on[/]: accuracy is flattered"
        )
    if overview.sheet:
        lines.append(f"contact sheet: {inert(overview.sheet)}")
    return lines
