"""Class names as they travel in files: checked before they are written, bounded when they are read."""

from __future__ import annotations

from collections.abc import Sequence

from models.errors import DataError

MAX_LABEL_CHARACTERS = 1000
"""Of one class name; longer ones are a sentence, or no names at all."""


def format_labels(labels: Sequence[str]) -> bytes:
    """`labels.txt`: UTF-8, one class name per line, line number = class index from 0."""
    return "".join(f"{label}\n" for label in labels).encode(errors="replace")


def parse_labels(content: bytes, classes: int) -> tuple[str, ...]:
    """The names in a `labels.txt` that every reader takes apart alike.

    Args:
        content: The file.
        classes: Number of outputs of the network.

    Raises:
        DataError: it is not UTF-8; a line is empty, repeated, too long or holds what is no letter but a command (line
            breaks of other systems, control characters, marks of direction); or there are more or fewer than classes.
    """
    remedy = "write one class name per line, in the order of the class indices"
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"the class names are not UTF-8 (byte {error.start}); {remedy}") from error
    names = text.removesuffix("\n").split("\n")
    if len(names) != classes:
        background = "; one more is often a `background` that the network does not have" * (len(names) == classes + 1)
        raise DataError(f"there are {len(names)} class names and {classes} outputs{background}; {remedy}")
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        fault = _fault(name, seen)
        if fault:
            raise DataError(f"class name {number} {fault} ({name[:40]!r}); {remedy}")
        seen.add(name)
    return tuple(names)


def _fault(name: str, seen: set[str]) -> str | None:
    if not name.strip():
        return "is empty"
    if len(name) > MAX_LABEL_CHARACTERS:
        return f"has {len(name)} characters, allowed are {MAX_LABEL_CHARACTERS}"
    # Also what Python, Java or JavaScript takes for the end of a line, and what turns the direction of writing.
    if not name.isprintable():
        return "is not printable"
    return "occurs before" if name in seen else None
