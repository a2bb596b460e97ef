"""Class names before they are shipped: as many as outputs, in the data set's order, background accounted for."""

from __future__ import annotations

from collections.abc import Sequence

from models.errors import DataError
from models.imagenet.classes import BACKGROUND


def background_index(names: Sequence[str]) -> int | None:
    """Where the class is that stands for nothing, as TensorFlow-slim's networks have it; None if there is none."""
    return next((number for number, name in enumerate(names) if name.lower() == BACKGROUND), None)


def check_order(names: Sequence[str], known: Sequence[str]) -> None:
    """Refuses the data set's own names in another order, or moved by one: each class would bear another's name.

    Args:
        names: To be shipped; they may be others, such as translations.
        known: The data set's, in the order of the class indices.

    Raises:
        DataError: they are out of order.
    """
    if tuple(names) == tuple(known) or len(names) != len(known):
        return
    remedy = "export again without --labels, or with the names in the order of the class indices"
    if tuple(names[1:]) == tuple(known[:-1]):
        raise DataError(
            f"the class names are moved by one: name 2 is {names[1]!r}, which is class 1 of the data set, and so on "
            f"for all, as lists with a background class are; {remedy}"
        )
    moved = [number for number, name in enumerate(names) if name in known and known[number] != name]
    if moved:
        first = moved[0]
        raise DataError(
            f"the class names are out of order: name {first + 1} is {names[first]!r}, which is class "
            f"{known.index(names[first]) + 1} of the data set; {remedy}"
        )
