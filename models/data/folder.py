"""A folder of pictures as a data set: `DIR/class/picture.jpg`, or `DIR/{train,val,test}/class/picture.jpg`."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.data.cache import cache_folder
from models.data.dataset import SPLIT_SEED, SPLITS, Dataset, Pixels, Split
from models.data.decode import decode_picture
from models.data.duplicates import group_duplicates
from models.data.scan import Picture, scan_files
from models.data.split import grouped_split
from models.data.tree import Problem, explain_layout, list_tree
from models.errors import DataError
from models.worker import Report

MAX_BROKEN = 0.01
"""Share of files that may be unusable before somebody must look at them."""

SHARES: Mapping[Split, float] = MappingProxyType({"validation": 0.1, "test": 0.2})
"""Of each class, for splits that the folder does not have itself."""

DECODER = "decoder 1"
"""To be raised when the same files give other pixels, so that accuracies before and after are not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderImages:
    """Pictures on the disk, decoded when they are taken."""

    root: Path
    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> Pixels:
        """uint8 `[H, W, 3]`, RGB, upright.

        Raises:
            DataError: the file was changed or taken away since it was examined.
        """
        return np.array(self._decode(index, None))

    def decoded(self, index: int, /, at_least_px: int) -> Image.Image:
        """The picture in mode RGB, upright; see `decode_picture`.

        Raises:
            DataError: the file was changed or taken away since it was examined.
        """
        return self._decode(index, at_least_px)

    def _decode(self, index: int, at_least_px: int | None) -> Image.Image:
        path = self.root / self.paths[index]
        try:
            return decode_picture(path, at_least_px)
        except DataError as error:
            raise DataError(f"picture {path} {error}, which it was not when the run began; run it again") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Folder:
    """Everything found out about a picture folder."""

    root: Path
    labels: tuple[str, ...]
    pictures: tuple[Picture, ...]
    broken: tuple[Problem, ...]
    """Files in class folders that are no usable pictures."""
    skipped: tuple[Problem, ...]
    """What lies outside of the classes, and links that were not followed."""
    groups: NDArray[np.int64]
    """`[N]`: equal for pictures that are the same or nearly."""

    @property
    def classes(self) -> NDArray[np.int64]:
        """Class index per picture, `[N]`."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        return np.array([numbers[picture.candidate.label] for picture in self.pictures], dtype=np.int64)

    @property
    def duplicates(self) -> int:
        """Pictures that equal or nearly equal an earlier one."""
        return int(np.sum(self.groups != np.arange(len(self.groups))))

    def check(self, *, allow_broken: bool) -> None:
        """Refuses a folder that nothing can be trained on.

        Raises:
            DataError: too many broken files, fewer than two classes, a class without pictures.
        """
        files = len(self.broken) + len(self.pictures)
        if len(self.broken) > MAX_BROKEN * files and not allow_broken:
            first = self.broken[0]
            raise DataError(
                f"{len(self.broken)} of {files} files in {self.root} are no usable pictures (more than "
                f"{MAX_BROKEN:.0%}), the first is {first.path}: it {first.reason}; "
                "`.venv/bin/python -m models data FOLDER` lists them, allow-broken:FOLDER for FOLDER leaves them out"
            )
        if len(self.labels) < 2:
            raise DataError(
                f"{self.root} has one class only, {self.labels[0]!r}; a classifier needs two; "
                f"{explain_layout(self.root, [picture.candidate.path for picture in self.pictures])}"
            )
        trained = {p.candidate.label for p in self.pictures if p.candidate.split in (None, "train")}
        empty = [label for label in self.labels if label not in trained]
        if empty:
            more = f" and {len(empty) - 1} more classes" if len(empty) > 1 else ""
            raise DataError(
                f"{self.root} has no picture to train class {empty[0]!r}{more}; add pictures or remove the folder"
            )

    def splits(self) -> dict[Split, NDArray[np.int64]]:
        """The folder's own splits; those it has not are taken from its training pictures, duplicates on one side.

        Raises:
            DataError: a split has no picture.
        """
        own = {picture.candidate.split for picture in self.pictures} - {None}
        given = [picture.candidate.split or "train" for picture in self.pictures]
        parts = {split: np.flatnonzero([name == split for name in given]) for split in SPLITS}
        train = parts["train"]
        missing = {split: share for split, share in SHARES.items() if split not in own}
        taken = grouped_split(
            self.classes[train],
            self.groups[train],
            validation=missing.get("validation", 0.0),
            test=missing.get("test", 0.0),
            seed=SPLIT_SEED,
        )
        parts["train"] = train[taken["train"]]
        parts |= {split: train[taken[split]] for split in missing}
        for split, indices in parts.items():
            if not len(indices):
                raise DataError(
                    f"{self.root} has too few pictures: none of its {len(self.pictures)} falls to the {split} split; "
                    "ten different ones per class are enough"
                )
        return parts

    def leaks(self, splits: Mapping[Split, NDArray[np.int64]]) -> int:
        """Test pictures that equal or nearly equal one trained on, which only a folder's own splits can have."""
        return int(np.isin(self.groups[splits["test"]], self.groups[splits["train"]]).sum())


def folder_slug(root: Path) -> str:
    """The folder's name in ASCII with a part of its path's hash: safe as a file name, and different for each path."""
    # Not by pathlib, which gives up at a link in a circle.
    resolved = os.path.realpath(root)
    plain = unicodedata.normalize("NFKD", Path(resolved).name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:40] or "folder"
    return f"{name}-{hashlib.sha256(resolved.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def read_folder(root: Path, report: Report) -> Folder:
    """Examines every file of the folder that is not known yet.

    Raises:
        DataError: the folder cannot be read or has no classes.
        OutputError: the cache cannot be written.
    """
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise DataError(f"data set {root} {what}; name a folder with a folder per class, or a data set such as digits")
    tree = list_tree(root)
    pictures, broken = scan_files(root, tree.files, cache_folder() / "data" / folder_slug(root), report)
    groups = group_duplicates([p.sha256 for p in pictures], [p.look for p in pictures])
    return Folder(
        root=root,
        labels=tree.labels,
        pictures=tuple(pictures),
        broken=tuple(broken),
        skipped=tree.skipped,
        groups=np.array(groups, dtype=np.int64),
    )


def folder_dataset(folder: Folder, *, allow_broken: bool) -> Dataset:
    """The folder as a data set, whose pictures stay on the disk.

    Raises:
        DataError: nothing can be trained on it.
    """
    folder.check(allow_broken=allow_broken)
    sha = hashlib.sha256(DECODER.encode())
    for picture in folder.pictures:
        sha.update(picture.sha256.encode())
    return Dataset(
        name=folder_slug(folder.root),
        source=f"pictures of folder {folder.root.resolve().name}",
        labels=folder.labels,
        images=FolderImages(root=folder.root, paths=tuple(picture.candidate.path for picture in folder.pictures)),
        classes=folder.classes,
        splits=MappingProxyType(folder.splits()),
        content=sha.hexdigest(),
    )
