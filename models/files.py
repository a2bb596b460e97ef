"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from models.errors import OutputError

_NEXT_STEP = {
    errno.EFBIG: "raise the limit for file sizes (`ulimit -f`) and run the same command again",
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EROFS: "choose a folder that can be written with --build-dir",
    errno.EACCES: "choose a folder that can be written with --build-dir",
    errno.EPERM: "choose a folder that can be written with --build-dir",
    errno.ENOTDIR: "a file stands where a folder should be; choose another place with --build-dir",
    errno.EEXIST: "a file stands where a folder should be; choose another place with --build-dir",
    errno.ENAMETOOLONG: "choose a shorter path with --build-dir",
}


@contextmanager
def output_errors(where: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write at `where` into one sentence.

    Raises:
        OutputError: full disk, read-only folder, no permission, a file where a folder should be.
    """
    try:
        yield
    except OSError as error:
        refusal = f"cannot write {error.filename or where}: {error.strerror or error}; check the path of --build-dir"
        raise output_error(error, where) or OutputError(refusal) from error


def output_error(error: OSError, where: Path | None = None) -> OutputError | None:
    """The system's refusal to write as one sentence with the next step; None if the error is of another kind."""
    number = error.errno
    if number not in _NEXT_STEP:
        # HDF5 wraps the system's error and keeps its text only.
        number = next((known for known in _NEXT_STEP if os.strerror(known) in str(error)), None)
    if number is None:
        return None
    return OutputError(
        f"cannot write {error.filename or where or 'a file'}: {os.strerror(number)}; {_NEXT_STEP[number]}"
    )


def replace_file(made: Path, final: Path) -> None:
    """Moves a finished file to its final name, on disk before it is visible."""
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_file(path: Path, data: bytes) -> None:
    """Writes `data` beside `path`, then renames.

    Raises:
        OutputError: the folder cannot be written, the disk is full.
    """
    with output_errors(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        made = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            # mkstemp makes files for the owner alone; results are for everybody the umask lets in.
            umask = os.umask(0)
            os.umask(umask)
            made.chmod(0o666 & ~umask)
            replace_file(made, path)
        finally:
            made.unlink(missing_ok=True)


def format_json(value: Any) -> str:
    """Stable, readable JSON: keys in the order given, one final newline, no NaN."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """A private folder inside `folder` for files in the making; gone afterwards, whatever happens.

    One process at a time: what an earlier one left when it was killed is removed here. Folders that had to be made and
    are empty at the end go too.

    Raises:
        OutputError: the folder cannot be made, or another process is at work in it.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"another process is working in {folder}; wait for it to end") from None
        with output_errors(folder):
            for left_over in folder.glob(".*partial*"):
                shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
            made = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
    finally:
        os.close(lock)
        with suppress(OSError):
            # Ends at the first that is not empty, or was deleted meanwhile.
            for path in new:
                path.rmdir()
