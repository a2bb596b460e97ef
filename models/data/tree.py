"""The files of a picture folder by class and split: found by name alone, none of them opened."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.data.dataset import Split
from models.errors import DataError

SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}

OUTSIDE = "lies in no class folder"

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""Of names that serve as examples; what a file is, its content tells."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A path, relative to the data set's folder, and why nothing could be made of it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that should be a picture."""

    path: str
    """Relative to the data set's folder."""
    label: str
    split: Split | None
    """None where the folder has no splits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What lies in a picture folder."""

    labels: tuple[str, ...]
    """In the order of their code points."""
    files: tuple[Candidate, ...]
    """In the order of their paths."""
    skipped: tuple[Problem, ...]
    """Outside of all classes, or not followed."""


def list_tree(root: Path) -> Tree:
    """Classes and files of a picture folder.

    Hidden files and folders (`.name`) do not count. Symbolic links are followed, but not in circles.

    Raises:
        DataError: it cannot be read, has no classes, names two alike, or has names that no list of labels can hold.
    """
    skipped: list[Problem] = []
    top = _folders(root, root, skipped)
    splits = {SPLIT_FOLDERS.get(path.name.lower()) for path in top}
    by_split: list[tuple[Split | None, Path]] = [(None, root)]
    if top and None not in splits and "train" in splits:
        if len(splits) < len(top):
            raise DataError(
                f"{root} has two folders for one split: {', '.join(p.name for p in top)}; leave one of each"
            )
        by_split = [(SPLIT_FOLDERS[path.name.lower()], path) for path in top]
    files: list[Candidate] = []
    labels: dict[str, None] = {}
    for split, folder in by_split:
        names: dict[str, str] = {}
        for path in top if folder == root else _folders(folder, root, skipped):
            label = _label(path.name, root)
            if label in names:
                raise DataError(
                    f"{folder} has two folders {label!r}, which differ only in how accents are encoded; rename one"
                )
            names[label] = path.name
            labels[label] = None
            files += [Candidate(name, label, split) for name in _files(path, root, skipped)]
    if not labels:
        loose = [problem.path for problem in skipped if problem.reason == OUTSIDE]
        what = f", {len(loose)} of its files lie outside of any ({loose[0]!r} first)" if loose else " and no files"
        raise DataError(f"{root} has no class folders{what}; {explain_layout(root, loose)}")
    return Tree(
        labels=tuple(sorted(labels)), files=tuple(sorted(files, key=lambda file: file.path)), skipped=tuple(skipped)
    )


def explain_layout(root: Path, files: Sequence[str]) -> str:
    """What to do about a folder without classes, with one of its own files as the example."""
    names = [name for name in map(os.path.basename, files) if name.isprintable()]
    example = next((name for name in names if name.lower().endswith(ENDINGS)), "picture.jpg")
    return (
        f"put the pictures of each class into a folder that bears its name: {root / 'CLASS' / example} or, with splits "
        f"of your own, {root / 'train' / 'CLASS' / example}"
    )


def _label(name: str, root: Path) -> str:
    label = unicodedata.normalize("NFC", name)
    if not label.isprintable() or any("\ud800" <= character <= "\udfff" for character in label):
        raise DataError(
            f"{root} has a class folder {name!r}, whose name cannot stand on a line of labels.txt; rename it in "
            "printable UTF-8"
        )
    return label


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"folder {folder} cannot be read: {error.strerror}; check its path and permissions") from error


def _folders(folder: Path, root: Path, skipped: list[Problem]) -> list[Path]:
    """The folders in a folder; everything else is noted as skipped."""
    found = []
    for entry in _entries(folder):
        if _is_folder(entry):
            found.append(Path(entry.path))
        else:
            skipped.append(Problem(os.path.relpath(entry.path, root), OUTSIDE))
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _files(folder: Path, root: Path, skipped: list[Problem]) -> Iterator[str]:
    """Paths of all files in a class folder and in the folders below it."""
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(str(folder), frozenset())]
    while waiting:
        path, above = waiting.pop()
        try:
            status = os.stat(path)  # noqa: PTH116 - a million paths
        except OSError as error:
            skipped.append(Problem(os.path.relpath(path, root), f"cannot be read: {error.strerror}"))
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            skipped.append(Problem(os.path.relpath(path, root), "is a link to a folder above it"))
            continue
        for entry in _entries(Path(path)):
            if _is_folder(entry):
                waiting.append((entry.path, above | {identity}))
            else:
                yield os.path.relpath(entry.path, root)
