"""From what was found to the report: which measurement counts, what is compared with what, what failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from device_bench.report.against import compare_results
from device_bench.report.baselines import Reference, make_references, mark_reference
from device_bench.report.collect import BaselineFile, BenchFile, Found, ManifestFile
from device_bench.report.exports import make_export
from device_bench.report.problems import (
    UNREADABLE,
    artifact_problems,
    baseline_problems,
    bench_problems,
    conversion_problems,
)
from device_bench.report.results import Row, describe_device, make_rows
from device_bench.report.sound import check_types
from device_bench.report.values import Device, Export, Older, Problem, Report, Result
from export.artifact import MANIFEST_FILE
from export.precision import PRECISIONS

_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration)
_LATENCIES_US = (1e-6, 1e15)
"""What may be divided and multiplied; nothing takes a picosecond, or thirty years."""
_Origin = tuple[str, str]


def make_report(found: Found, *, made: str, version: str, focus: str | None = None) -> Report:
    """The report of everything found.

    The newest measurement of a case on a device counts, whether it succeeded or not; one that was cut off before all
    its processes gave a result does not, where there is another. The others are history.

    Args:
        found: What was read.
        made: Now, UTC, ISO 8601.
        version: Of this program.
        focus: The model that comes first.
    """
    unread = list(found.unread)
    exports = tuple(_exports(found, unread))
    known = {(e.model, e.weights): frozenset((a.file, a.sha256) for a in e.artifacts) for e in exports}
    sound, references = _references(found, unread)
    read = tuple(_benches(found, known, unread))
    trained = {(e.model, e.weights): e.weights_sha256 for e in exports}
    newest, older = _by_age([row for _, _, rows in read for row in rows])
    compared = tuple(compare_results(newest, older, references, trained))
    devices = {device.identity: device for _, device, _ in read}
    ranked = tuple(sorted(devices.values(), key=lambda d: (d.emulated, d.kind == "desktop", d.name, d.identity)))
    order = {device.identity: place for place, device in enumerate(ranked)}
    results = mark_fronts(compared, _accuracies(exports))
    return Report(
        made=made,
        version=version,
        focus=focus,
        devices=ranked,
        exports=tuple(sorted(exports, key=lambda e: (e.model != focus, e.model, e.weights))),
        results=tuple(sorted(results, key=lambda r: (r.model != focus, r.model, r.weights, order[r.device], _rank(r)))),
        baselines=tuple(row for group in references.values() for row in mark_reference(group, trained)),
        problems=(*artifact_problems(exports), *_problems(found.manifests, sound, read, newest), *unread),
        history=tuple(_older(row.result) for row in reversed(older)),
    )


def _benches(
    found: Found, known: Mapping[_Origin, frozenset[tuple[str, str]]], unread: list[Problem]
) -> Iterator[tuple[BenchFile, Device, tuple[Row, ...]]]:
    """What the benchmarks' records say, as far as they are sound."""
    for file in found.benches:
        try:
            device, rows = describe_device(file.record), make_rows(file, known)
            check_types(device)
            for row in rows:
                check_types(row.result)
                _check_latencies(row.latencies_us.values())
        except _MALFORMED as error:
            unread.append(_unread(file.path, error))
        else:
            yield file, device, rows


def _check_latencies(values: Iterable[float]) -> None:
    low, high = _LATENCIES_US
    for value in values:
        if not low < value < high:
            raise ValueError(f"a latency is {value:g} us")


def _by_age(rows: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Of rows from old to new: the ones that count, and the others."""
    newest: dict[str, Row] = {}
    older: list[Row] = []
    for row in rows:
        before = newest.get(row.result.id)
        if before is not None and before.told and not row.told:
            older.append(row)
            continue
        if before is not None:
            older.append(before)
        newest[row.result.id] = row
    return tuple(newest.values()), tuple(older)


def _problems(
    manifests: Sequence[ManifestFile],
    baselines: Sequence[BaselineFile],
    read: Sequence[tuple[BenchFile, Device, tuple[Row, ...]]],
    newest: Sequence[Row],
) -> Iterator[Problem]:
    """Of exports, of benchmarks that hold a result that counts or are the last of a device, of the last baselines."""
    for manifest in manifests:
        yield from _sound(manifest.folder, conversion_problems(manifest))
    last = {(device.identity, str(file.record.model["name"])): file.path for file, device, _ in read}
    for file, device, _ in read:
        counting = {row.result.case for row in newest if row.result.record == file.path}
        if counting or file.path in last.values():
            yield from _sound(file.path, bench_problems(file, device, counting))
    # One that was cut off leaves the last that came to its end in force.
    ended = {str(file.record.model["name"]): file for file in baselines if file.record.finished is not None}
    begun = {str(file.record.model["name"]): file for file in baselines}
    for baseline in {file.path: file for file in (*ended.values(), *begun.values())}.values():
        yield from _sound(baseline.path, baseline_problems(baseline))


def _sound(path: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    """The problems that a file tells, as far as they are texts."""
    try:
        for problem in problems:
            check_types(problem)
            yield problem
    except _MALFORMED as error:
        yield _unread(path, error)


def _rank(result: Result) -> tuple[int, str, int, str]:
    names = [name for _, name in PRECISIONS]
    place = names.index(result.precision) if result.precision in names else len(names)
    return place, result.delegate, result.threads, result.id


def mark_fronts(results: Sequence[Result], accuracy: Mapping[str, float]) -> tuple[Result, ...]:
    """Results with `front` set: per device, those that no other one beats in accuracy, latency and size together.

    Args:
        results: All of them.
        accuracy: Top-1 by the file's hash, of those that passed their checks; others are on no front.
    """
    points = {
        r.id: (-accuracy[r.sha256], r.latency.median_us, float(r.size_bytes))
        for r in results
        if r.known_file and r.failure is None and r.latency is not None and r.sha256 in accuracy
    }
    rivals: dict[str, list[tuple[float, float, float]]] = {}
    for r in results:
        if r.id in points:
            rivals.setdefault(r.device, []).append(points[r.id])
    return tuple(
        replace(r, front=r.id in points and not any(_beats(p, points[r.id]) for p in rivals[r.device])) for r in results
    )


def _beats(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))


def _accuracies(exports: Sequence[Export]) -> dict[str, float]:
    """Of files that may be shipped, by hash."""
    rows = [row for export in exports for row in export.artifacts if row.failure is None]
    return {row.sha256: row.top1 for row in rows if row.top1 is not None}


def _exports(found: Found, unread: list[Problem]) -> Iterator[Export]:
    for row in found.manifests:
        try:
            export = make_export(row)
            check_types(export)
            yield export
        except _MALFORMED as error:
            unread.append(_unread(f"{row.folder}/{MANIFEST_FILE}", error))


def _references(found: Found, unread: list[Problem]) -> tuple[tuple[BaselineFile, ...], dict[_Origin, list[Reference]]]:
    """The baselines that are sound; and by model and weights, of each engine, precision, batch and hash the newest.

    One that was cut off, or in which everything failed, does not count where there is another.
    """
    sound: list[BaselineFile] = []
    newest: dict[_Origin, dict[tuple[str, ...], Reference]] = {}
    for file in found.baselines:
        try:
            references = make_references(file)
            for ref in references:
                check_types(ref.row)
                _check_latencies(value for runs in ref.processes_us for value in runs)
        except _MALFORMED as error:
            unread.append(_unread(file.path, error))
            continue
        sound.append(file)
        for ref in references:
            row = ref.row
            case = (row.device, row.engine, row.precision, str(row.batch), str(row.threads), ref.weights_sha256)
            cases = newest.setdefault((row.model, row.weights), {})
            if ref.told or case not in cases or not cases[case].told:
                cases[case] = ref
    return tuple(sound), {origin: list(cases.values()) for origin, cases in newest.items()}


def _older(result: Result) -> Older:
    return Older(
        id=result.id,
        started=result.started,
        record=result.record,
        statistic=result.statistic,
        latency=result.latency,
        failure=result.failure,
    )


def _unread(path: str, error: Exception) -> Problem:
    return Problem(what=UNREADABLE, where=path, why=f"not as this program writes it ({error!r:.120})")
