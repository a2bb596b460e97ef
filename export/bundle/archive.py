"""Bundles as one ZIP: written so that equal folders are equal bytes, and unpacked so that no archive can do harm."""

from __future__ import annotations

import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from export.bundle.shipped.verify_bundle import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, is_safe, shown
from models.errors import BrokenFileError
from models.files import output_errors

TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a ZIP can state."""

_END, _END_BYTES, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65_535
MAX_DIRECTORY_BYTES = 4 * 2**20
"""Of the list of members, which Python reads whole before it can be counted."""
BLOCK_BYTES = 1 << 20


_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, struct.error)
"""What a damaged archive makes Python's reader raise; `NotImplementedError` is a `RuntimeError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an archive may hold."""

    files: int = MAX_FILES
    file_bytes: int = MAX_FILE_BYTES
    total_bytes: int = MAX_TOTAL_BYTES


BOUNDS = Bounds()


def write_archive(folder: Path, archive: Path) -> None:
    """Writes `folder` with everything in it: names sorted, times and modes fixed, nothing compressed.

    Compressed, the bytes would depend on the build of zlib, and models and pictures hardly shrink.

    Raises:
        OSError: with the system's reason.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in paths:
            member = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix(), TIME)
            # Made on Unix, a regular file that all may read: the defaults depend on where this runs.
            member.create_system, member.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            file.writestr(member, path.read_bytes())


@contextmanager
def unpacked(archive: Path, bounds: Bounds = BOUNDS) -> Iterator[Path]:
    """The bundle's folder, unpacked in a private place that is gone afterwards.

    Raises:
        BrokenFileError: it is no ZIP archive of one bundle, is damaged, or has links, names that lead outside or mean
            something else on another system, a name twice, or too much of anything.
        OutputError: there is no space to unpack it.
    """
    with tempfile.TemporaryDirectory(prefix="bundle-") as private:
        place = Path(private)
        try:
            with archive.open("rb") as file:
                _check_end(file)
                with zipfile.ZipFile(file) as opened:
                    members = _check_members(opened.infolist(), bounds)
                    _unpack(opened, members, place, bounds)
        except _DAMAGE as error:
            raise BrokenFileError(f"{archive} is no whole ZIP archive: {shown(error)}; ask for it once more") from error
        except BrokenFileError as error:
            raise BrokenFileError(
                f"{archive} is not opened: {error}; ask for the bundle as `make bundle` made it"
            ) from None
        yield place / next(iter(members)).split("/")[0]


def _check_end(file: BinaryIO) -> None:
    """Refuses archives whose list of members would fill the memory."""
    file.seek(0, 2)
    size = file.tell()
    if size > MAX_TOTAL_BYTES + MAX_DIRECTORY_BYTES:
        raise BrokenFileError(f"it has {size} bytes, allowed are {MAX_TOTAL_BYTES}")
    file.seek(max(0, size - _END_BYTES - _LONGEST_COMMENT))
    tail = file.read()
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < _END_BYTES:
        raise zipfile.BadZipFile("its end is missing")
    listed_bytes = struct.unpack_from("<I", tail, place + 12)[0]
    # The greatest value says that another record has the true one, which a bundle never needs.
    if listed_bytes > MAX_DIRECTORY_BYTES:
        raise BrokenFileError(f"its list of members has {listed_bytes} bytes, allowed are {MAX_DIRECTORY_BYTES}")


def _check_members(members: list[zipfile.ZipInfo], bounds: Bounds) -> dict[str, zipfile.ZipInfo]:
    """The files by path; every one inside of the same folder."""
    files: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for member in members:
        path, is_folder = _check_name(member)
        if is_folder:
            folders.add(path)
            continue
        _check_file(path, member, bounds)
        if path in files:
            raise BrokenFileError(f"{path} is in it twice")
        files[path] = member
        if len(files) > bounds.files or sum(m.file_size for m in files.values()) > bounds.total_bytes:
            raise BrokenFileError(f"it claims more than {bounds.files} files or {bounds.total_bytes} bytes")
    folders |= {"/".join(path.split("/")[:depth]) for path in files for depth in range(1, path.count("/") + 1)}
    roots = {path.split("/")[0] for path in (*files, *folders)}
    if len(roots) != 1 or not files or roots & files.keys():
        raise BrokenFileError(f"a bundle is one folder, this has {shown(sorted(roots))}")
    # Some systems tell no `A` from an `a`, and none a file from a folder of the same name.
    if len({path.casefold() for path in (*files, *folders)}) != len(files) + len(folders):
        raise BrokenFileError("two names in it differ in capitals only, or stand for a file and for a folder")
    return files


def _kind(member: zipfile.ZipInfo) -> int:
    """File, folder, link and so on as Unix numbers them; 0 if it is not said."""
    return stat.S_IFMT(member.external_attr >> 16)


def _check_name(member: zipfile.ZipInfo) -> tuple[str, bool]:
    """The member's path, and whether it is a folder."""
    # As it stands there: Python cuts names at a zero byte and turns `\\` around on Windows.
    name = member.orig_filename
    is_folder = name.endswith("/") and member.file_size == 0 and _kind(member) in (0, stat.S_IFDIR)
    path = name[:-1] if is_folder else name
    if not is_safe(path):
        raise BrokenFileError(f"{shown(repr(name))} is no name for a file in a bundle")
    return path, is_folder


def _check_file(path: str, member: zipfile.ZipInfo, bounds: Bounds) -> None:
    if _kind(member) not in (0, stat.S_IFREG):
        raise BrokenFileError(f"{path} is a link or a device; a bundle has files only")
    if member.flag_bits & 0x1:
        raise BrokenFileError(f"{path} is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BrokenFileError(f"{path} is compressed by method {member.compress_type}; known are 0 and 8")
    if member.file_size > bounds.file_bytes:
        raise BrokenFileError(f"{path} claims {member.file_size} bytes, allowed are {bounds.file_bytes}")


def _unpack(opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], place: Path, bounds: Bounds) -> None:
    """Writes what really comes out, and stops at the first byte beyond what was claimed or is allowed."""
    left = bounds.total_bytes
    for path, member in members.items():
        target = place / path
        size = 0
        with output_errors(place):
            target.parent.mkdir(parents=True, exist_ok=True)
            made = target.open("xb")
        with made, opened.open(member) as source:
            while block := source.read(BLOCK_BYTES):
                size += len(block)
                left -= len(block)
                if size > member.file_size or left < 0:
                    raise BrokenFileError(f"{path} unpacks to more than the {member.file_size} bytes it claims")
                with output_errors(place):
                    made.write(block)
                    # Here, where a full disk is known as such; closing would be too late.
                    made.flush()
