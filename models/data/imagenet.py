"""A folder with pictures of some of ImageNet's classes, as a data set of all 1000."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import numpy as np

from models.data.dataset import Dataset
from models.data.folder import Folder, folder_dataset, folder_slug, read_folder
from models.data.tree import SPLIT_FOLDERS, list_tree
from models.errors import DataError
from models.imagenet.classes import class_indices, imagenet_labels
from models.worker import Report


def imagenet_slug(root: Path) -> str:
    """What the data set is called in file names and records; the folder's own classes are another data set."""
    return f"imagenet-{folder_slug(root)}"


def read_imagenet(root: Path, report: Report) -> Folder:
    """Examines every file of the folder that is not known yet, once the names of its classes are known to be good.

    Raises:
        DataError: the folder cannot be read, has no classes, or some that are none of ImageNet's.
        OutputError: the cache cannot be written.
    """
    if root.is_dir():
        _indices(root, list_tree(root).labels)
    return read_folder(root, report)


def _indices(root: Path, labels: tuple[str, ...]) -> tuple[int, ...]:
    split = next((label for label in labels if label.lower() in SPLIT_FOLDERS), None)
    if split is not None:
        raise DataError(
            f"{root} has a folder {split!r} where class folders should be; give {root / split} itself, or a folder "
            "that has train beside it"
        )
    return class_indices(labels, str(root))


def imagenet_dataset(folder: Folder, *, allow_broken: bool) -> Dataset:
    """The folder as a data set of 1000 classes, most of which may have no picture.

    A folder with pictures to train and to validate but none to test is laid out as ImageNet is: then the validation
    pictures test, because released weights were trained on the others.

    Raises:
        DataError: nothing can be done with it.
    """
    plain = folder_dataset(folder, allow_broken=allow_broken)
    indices = np.array(_indices(folder.root, folder.labels), dtype=np.int64)
    splits, own = dict(plain.splits), {picture.candidate.split for picture in folder.pictures}
    if "validation" in own and "test" not in own:
        splits["test"], splits["validation"] = splits["validation"], splits["test"]
    return Dataset(
        name=imagenet_slug(folder.root),
        source=f"{plain.source}, {len(indices)} of ImageNet's classes",
        labels=imagenet_labels(),
        images=plain.images,
        classes=indices[plain.classes],
        splits=MappingProxyType(splits),
        content=plain.content,
    )
