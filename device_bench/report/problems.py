"""What failed and why, of everything found."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

from device_bench.measuring.correctness import OutputCheck
from device_bench.report.collect import BaselineFile, BenchFile, ManifestFile
from device_bench.report.values import Device, Export, Problem, Report, Result
from export.artifact import MANIFEST_FILE

UNREADABLE = "unreadable file"
PASSED_OVER = "engine not measured"
"""No failure where another engine was measured: `auto` tries them in order."""


def conversion_problems(file: ManifestFile) -> Iterator[Problem]:
    """Precisions that could not be converted."""
    for name, why in file.manifest.failures.items():
        yield Problem(what="not converted", where=f"{file.folder}: {name}", why=why)


def artifact_problems(exports: Sequence[Export]) -> Iterator[Problem]:
    """Files that must not be shipped."""
    for export in exports:
        for row in export.artifacts:
            if row.failure is not None:
                yield Problem(what="artifact failed", where=f"{export.folder}/{row.file}", why=row.failure)


def bench_problems(file: BenchFile, device: Device, counting: Collection[str]) -> Iterator[Problem]:
    """What one benchmark could not do, each reason once with all cases that have it.

    Args:
        file: Its record.
        device: What it measured on.
        counting: Cases whose results count: failures of others have been measured again since.
    """
    record = file.record
    where = f"{record.model['name']} on {device.name}, {record.started} ({file.path})"
    pairs = [
        *(("not measured", reason, name) for name, reason in record.plan.skipped),
        *(("failed", row.failure, row.case) for row in record.summaries() if row.case in counting),
        *(("wrong numbers", c.failure, name) for name, c in record.checks.items() if isinstance(c, OutputCheck)),
        *(("outputs not compared", text, name) for name, text in record.checks.items() if isinstance(text, str)),
        *(("accuracy not measured", text, name) for name, text in record.accuracy.items() if isinstance(text, str)),
        *(("throttled", why, a.job.name) for a in record.attempts for why in a.throttled),
    ]
    if record.failure is not None:
        yield Problem(what="benchmark ended early", where=where, why=record.failure)
    groups: dict[tuple[str, str], list[str]] = {}
    for what, why, name in pairs:
        if why is not None:
            groups.setdefault((what, why), []).append(name)
    for (what, why), names in groups.items():
        yield Problem(what=what, where=f"{where}: {_some(names)}", why=why)


def baseline_problems(file: BaselineFile) -> Iterator[Problem]:
    """Engines that were not taken, and cases that failed."""
    record = file.record
    where = f"{record.model['name']} on the desktop, {record.started} ({file.path})"
    if record.failure is not None:
        yield Problem(what="baseline ended early", where=where, why=record.failure)
    elif record.finished is None:
        why = f"killed, or still running: {len(record.attempts)} processes ended; make baseline measures again"
        yield Problem(what="baseline ended early", where=where, why=why)
    for row in record.engines:
        engine = f"{where}: {row.engine} {row.precision}"
        if row.reason is not None:
            yield Problem(what=PASSED_OVER, where=engine, why=row.reason)
        if row.check is not None and row.check.failure is not None:
            yield Problem(what="wrong numbers", where=engine, why=row.check.failure)
    for summary in record.summaries():
        if summary.failure is not None:
            yield Problem(what="failed", where=f"{where}: {summary.case.name}", why=summary.failure)


def why_unknown(report: Report, result: Result) -> str:
    """Why nothing is known of a result's file."""
    manifest = str(PurePosixPath(result.record).parent.parent / MANIFEST_FILE)
    for problem in report.problems:
        if problem.what == UNREADABLE and problem.where == manifest:
            return f"{manifest} cannot be read, which tells its accuracy: {problem.why}"
    return "of another file than was exported last"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
