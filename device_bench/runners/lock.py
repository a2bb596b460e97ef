"""The lock file of fetched runners: SHA-256 and size of each file when it came for the first time.

    {"schema": 1, "files": {"<path below the base address>": {"sha256": "", "size_bytes": 0, "recorded": "2026-01-31"}}}

It stands beside the fetched files, one per user, because the classic runner's address serves another build every day:
a record shared by a team would refuse everybody but the first. A team that fetches from a mirror of its own shares one
by setting `DEVICE_BENCH_RUNNER_LOCK` to a file in its repository.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.errors import UsageError
from models.files import format_json, output_errors, write_file

_SCHEMA = 1
_LARGEST_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What a file was when it was recorded."""

    sha256: str
    size_bytes: int
    recorded: str
    """Date, UTC."""


def load_lock(path: Path) -> dict[str, Locked]:
    """All records; none if there is no file yet.

    Raises:
        UsageError: the file is no lock, or of another schema.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError(f"it has more than {_LARGEST_BYTES} bytes")
        value: Any = json.loads(path.read_bytes())
        if value["schema"] != _SCHEMA:
            raise ValueError(f"schema {value['schema']}, known is {_SCHEMA}")
        return {name: _locked(record) for name, record in value["files"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise UsageError(
            f"{str(path)!r} is no lock of runners ({type(error).__name__}: {error}); restore it from where it is kept, "
            "or remove it to record anew"
        ) from error


def record(path: Path, name: str, locked: Locked) -> None:
    """Adds a record; all others stay.

    Raises:
        UsageError: what is there is no lock.
        OutputError: it cannot be written.
    """
    files = load_lock(path) | {name: locked}
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    value = {"schema": _SCHEMA, "files": {key: asdict(files[key]) for key in sorted(files)}}
    write_file(path, format_json(value).encode())


def _locked(value: Any) -> Locked:
    locked = Locked(**value)
    if not re.fullmatch(r"[0-9a-f]{64}", locked.sha256) or not isinstance(locked.recorded, str):
        raise ValueError(f"{value} is no record of a file")
    return locked
