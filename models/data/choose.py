"""What a data set is called on the command line, and what that stands for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from models.data.cifar10 import load_cifar10, prepare_cifar10
from models.data.dataset import Dataset
from models.data.digits import load_digits
from models.data.folder import folder_dataset, folder_slug, read_folder
from models.data.imagenet import imagenet_dataset, imagenet_slug, read_imagenet
from models.data.shapes import load_shapes, parse_shapes, prepare_shapes
from models.errors import DataError, UnknownNameError, UsageError
from models.imagenet.classes import explain_folders
from models.worker import Report


def silent(_: object) -> None:
    """Takes progress and shows none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetChoice:
    """A data set that was asked for and that can be loaded."""

    slug: str
    """Its name in file names and records: letters, digits, `-` and `_`."""
    load: Callable[[], Dataset]
    """Opens it once it is prepared. Raises `DataError`."""
    prepare: Callable[[Report], None] = silent
    """Renders, reads or downloads what takes long, unless it is there. Raises `DataError`, `OutputError`."""


def _choose_digits(options: str) -> DatasetChoice:
    if options:
        raise UsageError(f"data set digits has no options, got {options!r}; write digits")
    return DatasetChoice(slug="digits", load=load_digits)


def _choose_cifar10(options: str) -> DatasetChoice:
    if options:
        raise UsageError(f"data set cifar10 has no options, got {options!r}; write cifar10")
    return DatasetChoice(slug="cifar10", load=load_cifar10, prepare=prepare_cifar10)


def _choose_shapes(text: str) -> DatasetChoice:
    options = parse_shapes(text)
    return DatasetChoice(
        slug=options.slug, load=partial(load_shapes, options), prepare=partial(prepare_shapes, options)
    )


def _choose_folder(path: Path, *, allow_broken: bool) -> DatasetChoice:
    def prepare(report: Report) -> None:
        folder_dataset(read_folder(path, report), allow_broken=allow_broken)

    def load() -> Dataset:
        return folder_dataset(read_folder(path, silent), allow_broken=allow_broken)

    return DatasetChoice(slug=folder_slug(path), load=load, prepare=prepare)


def _choose_imagenet(text: str) -> DatasetChoice:
    folder = folder_path(text)
    if folder is None:
        given = f"data set {text}" if text else "no folder"
        raise DataError(f"ImageNet's classes need pictures of ImageNet, got {given}; {explain_folders()}")
    path, allow_broken = folder

    def prepare(report: Report) -> None:
        imagenet_dataset(read_imagenet(path, report), allow_broken=allow_broken)

    def load() -> Dataset:
        return imagenet_dataset(read_imagenet(path, silent), allow_broken=allow_broken)

    return DatasetChoice(slug=imagenet_slug(path), load=load, prepare=prepare)


DATASETS: Mapping[str, Callable[[str], DatasetChoice]] = MappingProxyType(
    {"cifar10": _choose_cifar10, "digits": _choose_digits, "shapes": _choose_shapes}
)
"""By name; each takes what follows the colon."""

IMAGENET_PREFIX = "imagenet:"
"""Before the path of a folder: its classes are some of ImageNet's 1000. Without the colon it is a folder's name."""

ALLOW_BROKEN = "allow-broken:"
"""Before the path of a folder: what is no usable picture in it is left out, however much it is."""


def folder_path(text: str) -> tuple[Path, bool] | None:
    """Path of the folder that a text names, and whether broken files are allowed in it; None if it names none.

    `digits` is the data set and `./digits` a folder.
    """
    path = text.removeprefix(ALLOW_BROKEN)
    allowed = path != text
    if not path or path.startswith(IMAGENET_PREFIX):
        return None
    if not allowed and path.partition(":")[0] in DATASETS:
        return None
    return (Path(path), allowed) if os.sep in path or allowed or Path(path).is_dir() else None


def allowing_broken(text: str, allowed: bool) -> str:
    """The text for a folder in which any number of files may be broken, if that is allowed."""
    if text.startswith(IMAGENET_PREFIX):
        return as_imagenet(allowing_broken(text.removeprefix(IMAGENET_PREFIX), allowed))
    return f"{ALLOW_BROKEN}{text}" if allowed and not text.startswith(ALLOW_BROKEN) else text


def as_imagenet(text: str) -> str:
    """The text for the same folder as a data set of ImageNet's 1000 classes."""
    return text if text.startswith(IMAGENET_PREFIX) else f"{IMAGENET_PREFIX}{text}"


def find_dataset(text: str) -> DatasetChoice:
    """The data set that a text stands for.

    Raises:
        UnknownNameError: there is none of that name.
        UsageError: it has other options.
    """
    if text.startswith(IMAGENET_PREFIX):
        return _choose_imagenet(text.removeprefix(IMAGENET_PREFIX))
    folder = folder_path(text)
    if folder:
        return _choose_folder(folder[0], allow_broken=folder[1])
    name, _, options = text.partition(":")
    if name not in DATASETS:
        raise UnknownNameError("data set", text, DATASETS, see="a folder of pictures is named by its path")
    return DATASETS[name](options)


def dataset_slug(text: str) -> str:
    """What a data set is called in file names and records.

    Raises:
        UnknownNameError: there is none of that name.
        UsageError: it has other options.
    """
    return find_dataset(text).slug


def load_dataset(text: str, report: Report = silent) -> Dataset:
    """The data set that a text stands for; what has to be rendered, read or downloaded first is.

    Raises:
        UnknownNameError: there is none of that name.
        UsageError: it has other options.
        DataError: its pictures cannot be used.
        OutputError: its files cannot be kept.
    """
    choice = find_dataset(text)
    choice.prepare(report)
    return choice.load()


def dataset_loader(text: str) -> Callable[[], Dataset]:
    """What loads the data set, once the text is known to stand for one.

    Raises:
        UnknownNameError: there is none of that name.
        UsageError: it has other options.
    """
    find_dataset(text)
    return partial(load_dataset, text)
