"""Where data sets keep what takes long to make: whole or not at all, outside the project, safe to delete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import OutputError
from models.files import work_folder

CACHE_NAME = "mobile-deploy-toolchain"


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/mobile-deploy-toolchain`, by default under `~/.cache`.

    Raises:
        OutputError: there is no home folder.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if Path(base).is_absolute():
        return Path(base) / CACHE_NAME
    try:
        return Path.home() / ".cache" / CACHE_NAME
    except RuntimeError as error:
        raise OutputError("there is no home folder to keep data sets in; set XDG_CACHE_HOME to a folder") from error


@contextmanager
def making_in(folder: Path) -> Iterator[Path]:
    """A private folder inside `folder`, for one process at a time, gone afterwards.

    Raises:
        OutputError: the cache cannot be written, or another process is making the same.
    """
    try:
        with work_folder(folder) as made:
            yield made
    except OutputError as error:
        if "--build-dir" not in str(error):
            raise
        reason = str(error).rpartition(";")[0]
        raise OutputError(f"{reason}; set XDG_CACHE_HOME to a folder that can be written") from error
