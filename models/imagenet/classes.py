"""The 1000 classes of ImageNet (ILSVRC 2012) in the order of the networks' outputs. Standard library only.

`classes.txt` has a line per class: its WordNet 3.0 id and its name. Outputs are in ascending order of the ids, as in
tensorflow/models research/slim/datasets/imagenet_lsvrc_2015_synsets.txt. A name is the first lemma of the synset, but
that three lemmas stand for two classes each, which WordNet's further lemmas and definitions tell apart.

TensorFlow-slim's own releases have 1001 outputs, with `background` at 0; Keras cut it off as it took the weights over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.errors import DataError
from models.imagenet.released import CLASS_COUNT

BACKGROUND = "background"

# First lemmas of two classes each. `cardigan` in small letters is the jacket, as it stands in the table.
_AMBIGUOUS = {
    "crane": ("n02012849", "n03126707"),
    "maillot": ("n03710637", "n03710721"),
    "cardigan": ("n02113186", "n02963159"),
}
_WORDNET_ID = re.compile(r"(n\d{8})(?:[-_ ].*)?")
"""Also `n02085620-Chihuahua`, as some data sets name their folders."""


@dataclass(frozen=True, slots=True)
class ImagenetClass:
    """One of the 1000."""

    wordnet_id: str
    """Part of speech and offset in WordNet 3.0: `n01440764`."""
    name: str
    """For people; unique."""


@cache
def imagenet_classes() -> tuple[ImagenetClass, ...]:
    """All classes; the position is the class index, from 0."""
    lines = Path(__file__).with_name("classes.txt").read_text("utf-8").splitlines()
    return tuple(ImagenetClass(*line.split(" ", 1)) for line in lines)


def imagenet_labels() -> tuple[str, ...]:
    """Their names; the position is the class index."""
    return tuple(row.name for row in imagenet_classes())


def class_indices(names: Sequence[str], where: str) -> tuple[int, ...]:
    """Class indices for names of folders: WordNet ids, or names as in the table, also with `_` for spaces.

    Args:
        names: Of the folders.
        where: They are, for the message.

    Raises:
        DataError: a name stands for none of the classes or for two, or two names stand for one.
    """
    found: dict[int, str] = {}
    for name in names:
        index = _index(name, where, len(names))
        if index in found:
            row = imagenet_classes()[index]
            raise DataError(
                f"{where} has two folders for class {row.wordnet_id} ({row.name}): {found[index]!r} and {name!r}; "
                "put their pictures into one"
            )
        found[index] = name
    return tuple(found)


def _index(name: str, where: str, count: int) -> int:
    by_id, by_name, by_plain_name = _tables()
    match = _WORDNET_ID.fullmatch(name)
    spaced = name.replace("_", " ")
    plain = spaced.casefold()
    if match and match[1] in by_id:
        return by_id[match[1]]
    if spaced in by_name:
        return by_name[spaced]
    if plain in _AMBIGUOUS:
        meant = ", ".join(f"{i} ({imagenet_classes()[by_id[i]].name})" for i in _AMBIGUOUS[plain])
        raise DataError(f"{where} has a class {name!r}, which stands for two: {meant}; name the folder by its id")
    if plain in by_plain_name:
        return by_plain_name[plain]
    if plain == BACKGROUND and count > 1:
        raise DataError(
            f"{where} has a class {name!r}, which TensorFlow-slim has at 0 of 1001 classes; the weights here have "
            f"{CLASS_COUNT}, without it: remove the folder"
        )
    raise DataError(f"{where} has a class {name!r}, which is none of ImageNet's {CLASS_COUNT}; {explain_folders()}")


def explain_folders() -> str:
    """What is needed, as the end of a message."""
    return (
        "give a folder whose class folders are WordNet ids (n01440764) or class names (tench) of ImageNet, any of "
        "them, with --dataset DIR"
    )


@cache
def _tables() -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    rows = list(enumerate(imagenet_classes()))
    return (
        {row.wordnet_id: index for index, row in rows},
        {row.name: index for index, row in rows},
        {row.name.casefold(): index for index, row in rows},
    )


def background_hint(names: Sequence[str] | None, count: int) -> str:
    """The end of a message on a wrong number of classes, where it is slim's 1001; else nothing.

    Args:
        names: Of the classes; None if unknown.
        count: Of the classes.
    """
    if count != CLASS_COUNT + 1 or (names and names[0].casefold() not in (BACKGROUND, "dummy")):
        return ""
    return (
        f" (TensorFlow-slim's {count}: ImageNet's {CLASS_COUNT} behind a `{BACKGROUND}` at 0, so that all are one off)"
    )
