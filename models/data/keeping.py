"""Prepared pictures in a file without a name: the first epoch makes them, later ones read them, then it is gone."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from threading import Event

import numpy as np

from models.data.cache import cache_folder
from models.data.dataset import Pixels
from models.errors import OutputError

FREE_SHARE = 0.5
"""Of the disk's free space that one split may take: checkpoints, and others, need the rest.

Space is taken as pictures come, and other splits and other trainings count on the same space meanwhile. So what is to
stay free is looked at before each picture, too.
"""


class KeptPictures:
    """Room on the disk for pictures of one size, by position. Safe to use from many threads.

    The file has no name from the start, so that its space is free again when this object or its process is gone,
    however that ends, and no later run can read what was made of other files.
    """

    def __init__(self, folder: Path, count: int, picture_bytes: int, *, leaving_bytes: float = 0) -> None:
        """None kept yet.

        Args:
            folder: Where the file is made.
            count: Of pictures.
            picture_bytes: Of each.
            leaving_bytes: Of the disk's space that stay free.

        Raises:
            OSError: there is no making a file in that folder.
        """
        descriptor, name = tempfile.mkstemp(prefix="pictures.", dir=folder)
        weakref.finalize(self, os.close, descriptor)
        os.unlink(name)  # noqa: PTH108 - a name, not a path
        self._descriptor, self._picture_bytes, self._leaving_bytes = descriptor, picture_bytes, leaving_bytes
        self._there = np.zeros(count, np.bool_)
        self._refused = Event()

    def __len__(self) -> int:
        """How many are kept."""
        return int(np.count_nonzero(self._there))

    def read(self, position: int, row: Pixels) -> bool:
        """Whether that picture was kept, and now fills `row`, uint8, contiguous."""
        if not self._there[position]:
            return False
        # The system may give less than was asked for, or nothing where a disk fails; then it is made anew.
        try:
            return os.preadv(self._descriptor, [row.data], position * self._picture_bytes) == self._picture_bytes
        except OSError:
            return False

    def keep(self, position: int, row: Pixels) -> None:
        """Writes a picture, uint8, contiguous. After the disk had no room for one, no more are kept."""
        if self._refused.is_set():
            return
        try:
            disk = os.fstatvfs(self._descriptor)
            room = disk.f_bavail * disk.f_frsize - self._leaving_bytes >= self._picture_bytes
            written = os.pwrite(self._descriptor, row.data, position * self._picture_bytes) if room else 0
        except OSError:
            written = 0
        if written == self._picture_bytes:
            self._there[position] = True
        else:
            self._refused.set()


def room_for(count: int, picture_bytes: int) -> KeptPictures | None:
    """Room for that many pictures in the cache; None where it cannot be written, or has not twice the space free."""
    try:
        folder = cache_folder() / "prepared"
        folder.mkdir(parents=True, exist_ok=True)
        spendable = FREE_SHARE * (free := shutil.disk_usage(folder).free)
        if count * picture_bytes > spendable:
            return None
        return KeptPictures(folder, count, picture_bytes, leaving_bytes=free - spendable)
    except (OSError, OutputError):
        return None
