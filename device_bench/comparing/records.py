"""Finds stored records, and says in a few words what each is of."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from device_bench.measuring.record import BENCH_FOLDER, BenchRecord, load_record
from device_bench.state.device_name import device_name
from models.errors import UsageError

_REPORT = {"schema", "made", "focus", "devices", "exports", "results", "baselines", "problems"}
"""What a report has had from the beginning, when it did not yet say so."""

LARGEST_BYTES = 256 * 2**20
"""Of one record; 500 processes with all their runs take some 20 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A record and its file."""

    path: Path
    record: BenchRecord

    @property
    def key(self) -> tuple[str, str]:
        """The unit measured, by its hashed identity, and the model on it."""
        return said(self.record.target.get("identity")), said(self.record.model.get("name"))

    @property
    def facts(self) -> Mapping[str, Any]:
        """Of the device."""
        return section(self.record.target.get("facts"))

    @property
    def device(self) -> str:
        """What a person calls it: maker and model, else processor."""
        return device_name(self.facts) or "unknown device"

    @property
    def version(self) -> str:
        """Of this program: version and commit, with a plus where files differed from it."""
        tool = self.record.tool
        commit = f" {said(tool.get('commit'))[:9]}" if tool.get("commit") else ""
        return f"{said(tool.get('version'))}{commit}{'+' if commit and tool.get('dirty') else ''}"

    @property
    def title(self) -> str:
        """`mobilenet_v1_0.25_128 (digits) on Google Pixel 8, 2026-11-21T12:00:00Z, 0.1.0 40e80a4f1`."""
        model = f"{said(self.record.model.get('name'))} ({said(self.record.model.get('weights'))})"
        emulated = ", EMULATED: latencies mean nothing" if self.facts.get("is_emulator") else ""
        return f"{model} on {self.device}, {self.record.started}, {self.version}{emulated}"


def said(value: object) -> str:
    """A value of a record as text, whatever it is."""
    return "unknown" if value is None else str(value)


def section(value: object) -> Mapping[str, Any]:
    """A part of a record; empty if it is none."""
    return value if isinstance(value, Mapping) else {}


def check_file(path: Path) -> None:
    """Before it is opened: what lies in a folder may be a pipe that never ends, or a device that never does either.

    Raises:
        UsageError: it cannot be read, is no regular file, or is too large to be a record.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}; remove it or mend it") from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path} is no regular file; move it elsewhere")
    if found.st_size > LARGEST_BYTES:
        raise UsageError(f"{path} has {found.st_size} bytes, at most {LARGEST_BYTES} are read; move it elsewhere")


def load_stored(path: Path) -> Stored:
    """The record in a file.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    check_file(path)
    try:
        record = load_record(path)
        _prove(record)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, StopIteration) as error:
        raise UsageError(f"{path} is no benchmark record of this program ({error!r:.120}); measure again") from error
    return Stored(path=path, record=record)


def _prove(record: BenchRecord) -> None:
    """Looks once at everything that is used later, so that a damaged or forged record fails here or nowhere."""
    sections = (record.target, record.model, record.tool)
    texts = (record.started, *(attempt.job.case for attempt in record.attempts))
    if not all(isinstance(part, Mapping) for part in sections) or not all(isinstance(text, str) for text in texts):
        raise TypeError("a part of it has another type")
    if not all(isinstance(value, (int, float)) for value in asdict(record.plan.settings).values()):
        raise TypeError("settings are numbers")
    for case in record.plan.cases:
        if not isinstance(case.cpu_mask, (int, NoneType)):
            raise TypeError("a CPU mask is a number")
    # With all summaries in it; Python's own JSON knows numbers that JSON does not.
    json.dumps(record.to_json(), allow_nan=False)
    record.twins()


def find_stored(folder: Path) -> tuple[tuple[Stored, ...], tuple[str, ...]]:
    """All records in a folder (or in folders `bench` anywhere under it), oldest first, and why others were not read.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; name a record, a folder of records, or build/")
    try:
        own = _own(folder)
        files = sorted({*folder.glob(f"**/{BENCH_FOLDER}/*.json"), *own})
    except OSError as error:
        raise UsageError(f"cannot list {folder}: {error.strerror or error}; name a record") from error
    found, refused = [], []
    for file in files:
        try:
            found.append(load_stored(file))
        except UsageError as error:
            if not (file in own and _is_report(file)):
                refused.append(str(error))
    return tuple(sorted(found, key=lambda stored: (stored.record.started, stored.path.name))), tuple(refused)


def newest(place: Path) -> tuple[dict[tuple[str, str], Stored], tuple[str, ...]]:
    """The record of a file, or the newest of each device and model in a folder, by `Stored.key`; and what was not read.

    Raises:
        UsageError: there is none.
    """
    if place.exists() and not place.is_dir():
        stored = load_stored(place)
        return {stored.key: stored}, ()
    found, refused = find_stored(place)
    if not found:
        why = f": {refused[0]}" if refused else ""
        raise UsageError(f"no benchmark record in {place}{why}; `make bench MODEL=...` makes one")
    return {stored.key: stored for stored in found}, refused


def _own(folder: Path) -> tuple[Path, ...]:
    # A folder that records were copied to, such as one of stored results, but not one that has a manifest.
    return () if (folder / "manifest.json").exists() else tuple(folder.glob("*.json"))


def _is_report(path: Path) -> bool:
    """Whether it is what `report` writes beside records: nothing that one would miss among them."""
    try:
        check_file(path)
        value = json.loads(path.read_text("utf-8"))
    except (UsageError, OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and (value.get("kind") == "report" or value.keys() >= _REPORT)
