"""From what was found to the report: which measurement counts, what is compared with what, what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from device_bench.measuring.record import BenchRecord
from device_bench.report.baselines import Reference, choose_reference, make_references, mark_reference
from device_bench.report.collect import Found
from device_bench.report.exports import make_export
from device_bench.report.problems import baseline_problems, bench_problems, export_problems
from device_bench.report.results import Row, describe_device, make_rows
from device_bench.report.speed import paired_speedup, unpaired_speedup
from device_bench.report.values import Device, Export, Older, Problem, Report, Result, Speedup
from device_bench.stats import noise_floor

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError)
_Origin = tuple[str, str]


def make_report(found: Found, *, made: str, version: str, focus: str | None = None) -> Report:
    """The report of everything found.

    The newest measurement of a case on a device counts, whether it succeeded or not; one whose connection failed before
    it could say anything does not. Older ones are history.

    Args:
        found: What was read.
        made: Now, UTC, ISO 8601.
        version: Of this program.
        focus: The model that comes first.
    """
    unread = list(found.unread)
    exports = tuple(_exports(found, unread))
    known = {(e.model, e.weights): frozenset(a.sha256 for a in e.artifacts) for e in exports}
    references = _references(found, unread)
    newest: dict[str, Row] = {}
    older: list[Row] = []
    devices: dict[str, Device] = {}
    problems: list[Problem] = []
    for file in found.benches:
        try:
            device, rows = describe_device(file.record), make_rows(file, known)
            rows = _compared(file.record, rows, references, exports)
            problems += bench_problems(file, device)
        except _MALFORMED as error:
            unread.append(_unread(file.path, error))
            continue
        devices[device.identity] = device
        for row in rows:
            before = newest.get(row.result.id)
            if before is not None and not row.told:
                older.append(row)
                continue
            if before is not None:
                older.append(before)
            newest[row.result.id] = row
    results = mark_fronts(tuple(row.result for row in newest.values()), _accuracies(exports))
    return Report(
        made=made,
        version=version,
        focus=focus,
        devices=tuple(sorted(devices.values(), key=lambda d: (d.emulated, d.kind == "desktop", d.name))),
        exports=tuple(sorted(exports, key=lambda e: (e.model != focus, e.model, e.weights))),
        results=tuple(sorted(results, key=lambda r: (r.model != focus, r.model, r.weights, r.device))),
        baselines=tuple(row for group in references.values() for row in mark_reference(group)),
        problems=(*export_problems(found, exports), *problems, *baseline_problems(found), *unread),
        history=tuple(_older(row.result) for row in reversed(older)),
    )


def mark_fronts(results: Sequence[Result], accuracy: Mapping[str, float]) -> tuple[Result, ...]:
    """Results with `front` set: per device, those that no other one beats in accuracy, latency and size together.

    Args:
        results: All of them.
        accuracy: Top-1 by the file's hash.
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
    return {row.sha256: row.top1 for export in exports for row in export.artifacts if row.top1 is not None}


def _exports(found: Found, unread: list[Problem]) -> Iterator[Export]:
    for row in found.manifests:
        try:
            yield make_export(row)
        except _MALFORMED as error:
            unread.append(_unread(row.folder, error))


def _references(found: Found, unread: list[Problem]) -> dict[_Origin, list[Reference]]:
    """By model and weights; of each engine, precision and batch the newest."""
    newest: dict[_Origin, dict[tuple[str, ...], Reference]] = {}
    for file in found.baselines:
        try:
            references = make_references(file)
        except _MALFORMED as error:
            unread.append(_unread(file.path, error))
            continue
        for ref in references:
            row = ref.row
            case = (row.device, row.engine, row.precision, str(row.batch), str(row.threads))
            newest.setdefault((row.model, row.weights), {})[case] = ref
    return {origin: list(cases.values()) for origin, cases in newest.items()}


def _compared(
    record: BenchRecord,
    rows: Sequence[Row],
    references: Mapping[_Origin, list[Reference]],
    exports: Sequence[Export],
) -> tuple[Row, ...]:
    """The rows of one record with their speed-ups."""
    origin = (str(record.model["name"]), str(record.model["weights"]))
    trained = {(e.model, e.weights): e.weights_sha256 for e in exports}
    # Other weights take as long, but then it is not the same network that is compared.
    same = trained.get(origin) in (None, record.model["weights_sha256"])
    reference = choose_reference(references.get(origin, ())) if same else None
    twins = record.twins()
    floor = 0.0 if twins is None else noise_floor(twins)
    return tuple(
        replace(
            row,
            result=replace(
                row.result,
                against_desktop=_against_desktop(row, reference),
                against_float32=_against_float32(row, rows, floor),
            ),
        )
        for row in rows
    )


def _against_desktop(row: Row, reference: Reference | None) -> Speedup | None:
    if reference is None or row.result.failure is not None or not row.latencies_us:
        return None
    what = "" if row.statistic == "median" else ", means"
    phase = "compute only" if reference.row.headline == "compute" else "copies included"
    against = f"{reference.row.label}, {phase}{what}"
    return unpaired_speedup(reference.latencies(row.statistic), list(row.latencies_us.values()), against)


def _against_float32(row: Row, rows: Sequence[Row], floor: float) -> Speedup | None:
    mine = row.result
    if mine.failure is not None or not row.latencies_us or mine.precision == "float32":
        return None
    alike = ("format", "runner", "delegate", "threads", "affinity", "model", "weights")
    for other in rows:
        base = other.result
        plain = base.precision == "float32" and base.failure is None and other.latencies_us
        if plain and all(getattr(base, name) == getattr(mine, name) for name in alike):
            return paired_speedup(other.latencies_us, row.latencies_us, "float32 on the same device", floor)
    return None


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
    return Problem(what="unreadable file", where=path, why=f"not as this program writes it ({error!r:.120})")
