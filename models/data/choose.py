"""What a data set is called on the command line, and what that stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from models.data.dataset import Dataset
from models.data.digits import load_digits
from models.errors import UnknownNameError, UsageError
from models.worker import Progress, Report


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetChoice:
    """A data set that was asked for and that can be loaded."""

    slug: str
    """Its name in file names and records: letters, digits, `-` and `_`."""
    load: Callable[[Report], Dataset]
    """Raises `DataError`, and `OutputError` where it keeps files."""


def _choose_digits(options: str) -> DatasetChoice:
    if options:
        raise UsageError(f"data set digits has no options, got {options!r}; write digits")
    return DatasetChoice(slug="digits", load=lambda _: load_digits())


DATASETS: Mapping[str, Callable[[str], DatasetChoice]] = MappingProxyType({"digits": _choose_digits})
"""By name; each takes what follows the colon."""


def find_dataset(text: str) -> DatasetChoice:
    """The data set that a text stands for.

    Raises:
        UnknownNameError: there is none of that name.
        UsageError: it has other options.
    """
    name, _, options = text.partition(":")
    if name not in DATASETS:
        raise UnknownNameError("data set", text, DATASETS)
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
    return find_dataset(text).load(report)


def dataset_loader(text: str) -> Callable[[], Dataset]:
    """What loads the data set, once the text is known to stand for one.

    Raises:
        UnknownNameError: there is none of that name.
        UsageError: it has other options.
    """
    return partial(find_dataset(text).load, silent)
