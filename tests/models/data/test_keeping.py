"""Pictures kept on the disk: the same bytes as made, from many threads, and nothing left behind, full disk or not."""

import errno
import gc
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.data.cache import cache_folder
from models.data.keeping import KeptPictures, room_for

SHAPE = (5, 4, 3)
BYTES = 60


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, SHAPE, dtype=np.uint8)


def room(count: int = 10) -> KeptPictures:
    made = room_for(count, BYTES)
    assert made is not None
    return made


def test_a_kept_picture_is_read_back_and_another_is_not() -> None:
    kept, row = room(), np.zeros(SHAPE, np.uint8)
    kept.keep(7, picture(7))
    kept.keep(0, picture(0))
    assert len(kept) == 2
    assert kept.read(7, row)
    assert np.array_equal(row, picture(7))
    assert kept.read(0, row)
    assert np.array_equal(row, picture(0))
    assert not kept.read(6, row)  # before the end of the file, where nothing but zeros lie
    assert not kept.read(9, row)
    assert np.array_equal(row, picture(0))


def test_many_threads_keep_and_read_their_own_pictures() -> None:
    kept, batch = room(200), np.zeros((200, *SHAPE), np.uint8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: kept.keep(n, picture(n)), range(200)))
        assert all(pool.map(lambda n: kept.read(n, batch[n]), range(200)))
    assert np.array_equal(batch, [picture(n) for n in range(200)])


def test_the_file_has_no_name_and_is_closed_with_its_user() -> None:
    gc.collect()
    before = len(list(Path("/dev/fd").iterdir()))
    kept = room()
    assert not list((cache_folder() / "prepared").iterdir())
    assert len(list(Path("/dev/fd").iterdir())) == before + 1
    del kept
    gc.collect()
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_full_disk_ends_the_keeping_and_leaves_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, row, pwrite = room(), np.zeros(SHAPE, np.uint8), os.pwrite
    kept.keep(1, picture(1))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    kept.keep(2, picture(2))
    monkeypatch.setattr(os, "pwrite", pwrite)
    kept.keep(3, picture(3))
    assert (len(kept), kept.read(2, row), kept.read(3, row)) == (1, False, False)
    assert kept.read(1, row)
    assert np.array_equal(row, picture(1))


def test_a_picture_that_the_disk_took_in_part_is_not_kept() -> None:
    """With a real limit on the size of files, in a process of its own."""
    program = (
        "import resource, signal, numpy as np; from models.data.keeping import room_for\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))\n"
        "kept = room_for(10, 60); ones = np.ones((5, 4, 3), np.uint8)\n"
        "[kept.keep(n, ones) for n in range(10)]; print(len(kept), kept.read(1, ones), kept.read(2, ones))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "2 True False\n", done.stderr


def test_a_picture_that_the_disk_lost_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, row = room(), np.zeros(SHAPE, np.uint8)
    kept.keep(1, picture(1))

    def failed(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", failed)
    assert not kept.read(1, row)


def test_there_is_room_only_if_as_much_again_stays_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1200))
    assert room_for(10, 60) is not None
    assert room_for(10, 61) is None


def test_two_splits_that_were_promised_the_same_space_leave_the_rest_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1200))
    one, other = room(), room()
    free = [1200]

    def pwrite(_: int, data: memoryview, __: int) -> int:
        free[0] -= data.nbytes
        return data.nbytes

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(os, "fstatvfs", lambda _: SimpleNamespace(f_bavail=free[0], f_frsize=1))
    for number in range(10):
        one.keep(number, picture(number))
        other.keep(number, picture(number))
    assert free == [600]
    assert (len(one), len(other)) == (5, 5)


def test_there_is_no_room_where_the_cache_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert room_for(10, 60) is None
