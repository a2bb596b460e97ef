"""What is known of each file of a picture folder, from decoding it once; kept in the cache until the file changes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import models.data.decode
import models.data.duplicates
from models.data.cache import making_in
from models.data.decode import decode_picture
from models.data.duplicates import Fingerprint, fingerprint
from models.data.reading import thread_count
from models.data.tree import Candidate, Problem
from models.errors import DataError
from models.files import sha256_file, write_file
from models.worker import Progress, Report

STAGE = "read pictures"
INDEX_FILE = "index.json"
PART = 256
"""Files handed to the threads at a time."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that is a picture."""

    candidate: Candidate
    sha256: str
    """Of the file."""
    look: Fingerprint


def scan_files(
    root: Path, files: Sequence[Candidate], cache: Path, report: Report
) -> tuple[list[Picture], list[Problem]]:
    """The pictures among the files, and the files that are none; each file is read once and then known.

    Args:
        root: Folder of the data set.
        files: In it.
        cache: Folder for what is found out.
        report: Receives the progress, if a file has to be read.

    Raises:
        OutputError: the cache cannot be written.
    """
    known = _load_index(cache / INDEX_FILE)
    stamps = [_stamp(root / file.path) for file in files]
    rows: dict[str, list[Any]] = {}
    unread: list[tuple[Candidate, list[Any]]] = []
    for file, stamp in zip(files, stamps, strict=True):
        row = known.get(file.path)
        if row is not None and row[:2] == stamp:
            rows[file.path] = row
        else:
            unread.append((file, stamp))
    if unread:
        with making_in(cache), ThreadPoolExecutor(thread_count(), thread_name_prefix="scan") as pool:
            try:
                for start in range(0, len(unread), PART):
                    part = unread[start : start + PART]
                    report(Progress(stage=STAGE, done=start, total=len(unread)))
                    found = pool.map(lambda item: item[1] + _examine(root / item[0].path), part)
                    rows |= {item[0].path: row for item, row in zip(part, found, strict=True)}
                report(Progress(stage=STAGE, done=len(unread), total=len(unread)))
            finally:
                # Interrupted after an hour, the next run goes on from here.
                write_file(cache / INDEX_FILE, json.dumps({"key": _index_key(), "files": rows}).encode())
    pictures = [_picture(file, rows[file.path]) for file in files if len(rows[file.path]) > 3]
    broken = [Problem(file.path, rows[file.path][2]) for file in files if len(rows[file.path]) == 3]
    return pictures, broken


def _stamp(path: Path) -> list[Any]:
    """By which a changed file is recognised: size and time of the last change."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million paths
    except OSError:
        return [-1, -1]
    return [status.st_size, status.st_mtime_ns]


def _examine(path: Path) -> list[Any]:
    """`[sha256, bits, thumbnail]` of a picture, `[reason]` of anything else."""
    try:
        look = fingerprint(decode_picture(path))
        return [sha256_file(path), f"{look.bits:016x}", look.thumbnail.hex()]
    except DataError as error:
        return [str(error)]
    except OSError as error:
        return [f"cannot be read: {error.strerror}"]


def _picture(file: Candidate, row: list[Any]) -> Picture:
    return Picture(file, row[2], Fingerprint(int(row[3], 16), bytes.fromhex(row[4])))


def _index_key() -> str:
    """Of the program text that decides what an index says."""
    modules = (models.data.decode, models.data.duplicates)
    texts = (Path(str(module.__file__)).read_bytes() for module in modules)
    return hashlib.sha256(b"".join(texts)).hexdigest()


def _load_index(path: Path) -> dict[str, list[Any]]:
    """What is known; nothing, where the index is missing, damaged or of another version of this program."""
    try:
        index = json.loads(path.read_bytes())
        files: dict[str, list[Any]] = index["files"] if index["key"] == _index_key() else {}
        whole = all(len(row) in (3, 5) for row in files.values())
        words = all(isinstance(word, str) for word in chain.from_iterable(row[2:] for row in files.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return files if whole and words else {}
