"""Class names from a text file. Standard library only."""

from __future__ import annotations

from pathlib import Path

from models.errors import UsageError

MAX_FILE_BYTES = 10_000_000


def read_labels(path: Path) -> tuple[str, ...]:
    """The lines of a UTF-8 file, one class name each; line number = class index from 0.

    Raises:
        UsageError: it cannot be read, is no text, or has an empty, unprintable or repeated name.
    """
    remedy = "write one class name per line, in UTF-8"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"labels {path} cannot be read: {error.strerror}; {remedy}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"labels {path} are not UTF-8 (byte {error.start}); {remedy}") from error
    if len(content) > MAX_FILE_BYTES:
        raise UsageError(f"labels {path} are larger than {MAX_FILE_BYTES} bytes; {remedy}")
    names = [line.strip() for line in text.removesuffix("\n").split("\n")]
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if not name or not name.isprintable() or name in seen:
            fault = "is empty" if not name else "occurs before" if name in seen else "is not printable"
            raise UsageError(f"labels {path}: line {number} {fault} ({name[:40]!r}); {remedy}")
        seen.add(name)
    return tuple(names)
