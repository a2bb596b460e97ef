"""Reads what `export`, `bench` and `baseline` left under the build folder; what cannot be read is listed, not fatal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from device_bench.baseline.record import BASELINE_FOLDER, BaselineRecord, load_baseline
from device_bench.comparing.records import check_file
from device_bench.measuring.record import BENCH_FOLDER, BenchRecord, load_record
from device_bench.report.values import Problem
from export.artifact import MANIFEST_FILE, Manifest
from models.errors import UsageError
from models.files import sha256_file

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """An export's manifest."""

    folder: str
    manifest: Manifest
    changed: frozenset[str]
    """Files that are missing, or are not what they were when they were exported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFile:
    """A benchmark's record."""

    path: str
    record: BenchRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineFile:
    """A baseline's record."""

    path: str
    record: BaselineRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything under one build folder, by path; records from old to new."""

    manifests: tuple[ManifestFile, ...]
    benches: tuple[BenchFile, ...]
    baselines: tuple[BaselineFile, ...]
    unread: tuple[Problem, ...]


def collect(build_dir: Path) -> Found:
    """Everything that can be read under a build folder, one folder deep.

    Raises:
        UsageError: there is no such folder.
    """
    if not build_dir.is_dir():
        raise UsageError(
            f"there is no folder {build_dir}; `make export MODEL=...` makes it, or name it with --build-dir"
        )
    unread: list[Problem] = []
    folders = sorted(path for path in build_dir.iterdir() if path.is_dir() and not path.name.startswith("."))

    def read(pattern: str, load: Callable[[Path], _Value]) -> Iterator[tuple[str, _Value]]:
        for folder in folders:
            for path in sorted(folder.glob(pattern)):
                try:
                    check_file(path)
                    yield path.relative_to(build_dir).as_posix(), load(path)
                except (UsageError, RecursionError, ArithmeticError, LookupError) as error:
                    where = path.relative_to(build_dir).as_posix()
                    why = (
                        str(error)
                        if isinstance(error, UsageError)
                        else f"not as this program writes it ({error!r:.120})"
                    )
                    unread.append(Problem(what="unreadable file", where=where, why=why))

    manifests = tuple(manifest for _, manifest in read(MANIFEST_FILE, _load_manifest))
    benches = [BenchFile(path=path, record=record) for path, record in read(f"{BENCH_FOLDER}/*.json", _load_bench)]
    baselines = [
        BaselineFile(path=path, record=record) for path, record in read(f"{BASELINE_FOLDER}/*.json", _load_baseline)
    ]
    return Found(
        manifests=tuple(replace(row, folder=str(Path(row.folder).relative_to(build_dir))) for row in manifests),
        benches=tuple(sorted(benches, key=lambda row: (row.record.started, row.path))),
        baselines=tuple(sorted(baselines, key=lambda row: (row.record.started, row.path))),
        unread=tuple(unread),
    )


def _load_bench(path: Path) -> BenchRecord:
    record = load_record(path)
    _check_started(path, record.started)
    return record


def _load_baseline(path: Path) -> BaselineRecord:
    record = load_baseline(path)
    _check_started(path, record.started)
    return record


def _check_started(path: Path, started: object) -> None:
    # Records are put in order by it before anything else in them is looked at.
    if not isinstance(started, str):
        raise UsageError(f"{path} says that it was started {started!r:.40}, which is no date; measure again")


def _load_manifest(path: Path) -> ManifestFile:
    try:
        manifest = Manifest.from_json(json.loads(path.read_text("utf-8")))
        changed = [a.file for a in manifest.artifacts if not _is_unchanged(path.parent / a.file, a.sha256)]
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}; remove it or mend it") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise UsageError(f"{path} is no manifest of this program ({error!r:.120}); export again") from error
    return ManifestFile(folder=str(path.parent), manifest=manifest, changed=frozenset(changed))


def _is_unchanged(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_file(path) == sha256
