"""What records of benchmarks and of baselines share: their name, who wrote them, and how they are written and read."""

from __future__ import annotations

import json
import platform
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from device_bench.process import UnfinishedError, run_process
from models.errors import UsageError
from models.files import format_json, write_file


class Record(Protocol):
    """A record, whatever it is of."""

    def summaries(self) -> tuple[object, ...]:
        """What its processes say together."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""


_Record = TypeVar("_Record", bound=Record)


def now_utc() -> str:
    """`2026-11-21T12:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def record_stem(started: str, device: str, identity: str) -> str:
    """`20261121T120000Z-pixel_8-1f0c9a2b`: sorts by time, names the device, tells two of a kind apart."""
    slug = re.sub(r"[^a-z0-9]+", "_", device.lower()).strip("_")[:40] or "device"
    return f"{re.sub(r'[-:]', '', started)}-{slug}-{identity[:8]}"


def describe_tool() -> dict[str, Any]:
    """Version of this program, which runs from its clone; its commit, and whether files differ from it."""
    root = Path(__file__).parents[1]

    def git(*words: str) -> str | None:
        try:
            run = run_process(["git", "-C", str(root), *words], timeout_s=5.0)
        except (OSError, UnfinishedError):
            return None
        return run.stdout.decode("utf-8", "replace").strip() if run.exit_code == 0 else None

    commit = git("rev-parse", "HEAD")
    changes = git("status", "--porcelain", "--untracked-files=no")
    return {
        "version": tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"],
        "commit": commit,
        "dirty": None if changes is None else bool(changes),
        "python": platform.python_version(),
    }


def save_record(path: Path, record: Record) -> None:
    """Writes the record, whole.

    Raises:
        OutputError: the folder cannot be written.
    """
    write_file(path, format_json(record.to_json()).encode())


def read_record(path: Path, from_json: Callable[[Mapping[str, Any]], _Record], what: str, folder: str) -> _Record:
    """The record in a file.

    Args:
        path: The file.
        from_json: Makes the record.
        what: What kind of record is expected, in words.
        folder: Name of the folders in which such records lie.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    try:
        record = from_json(json.loads(path.read_text("utf-8")))
        # Numbers that are no latencies are found out here, and not when somebody asks for them.
        record.summaries()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}; name a file of {folder}/") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UsageError(f"{path} is no {what} of this program ({error!r:.120}); measure again") from error
    return record
