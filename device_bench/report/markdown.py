"""The report as Markdown, for a pull request or a wiki."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from device_bench.report import formats
from device_bench.report.problems import PASSED_OVER
from device_bench.report.tables import (
    ARTIFACT_COLUMNS,
    Cell,
    Column,
    artifact_cells,
    baseline_cells,
    baseline_columns,
    result_cells,
    result_columns,
)
from device_bench.report.values import NOTHING, Report
from models.pages import safe

_SPECIAL = re.compile(r"([\\`*\[\]<>|~!#:@&$])")


def inert(text: object) -> str:
    """Text that Markdown shows as it is: no link, picture, HTML, code or column of a table can come of it."""
    return _SPECIAL.sub(r"\\\1", safe(text, 400)).replace("www.", "www\\.")


def format_markdown(report: Report) -> str:
    """The whole report."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# Deployment report{f': {inert(report.focus)}' if report.focus else ''}"
    yield ""
    yield f"Results: {len(report.results)}, devices: {len(report.devices)}. Latency in ms."
    yield "Intervals are 95 %, but where so few processes promise less: there their heading and they themselves say it."
    yield f"Made {formats.date(report.made)} UTC by version {inert(report.version)}."
    if any(device.emulated for device in report.devices):
        yield ""
        yield f"**EMULATED devices are among these: their {NOTHING}.**"
    yield from _section("On devices", result_columns(report), (result_cells(report, row) for row in report.results))
    yield from _section("Desktop baseline", baseline_columns(report), (baseline_cells(row) for row in report.baselines))
    yield from _section(
        "Artifacts",
        ARTIFACT_COLUMNS,
        (artifact_cells(export, row) for export in report.exports for row in export.artifacts),
    )
    yield from _operators(report)
    yield from _devices(report)
    yield from _history(report)
    yield from _problems(report)


def _section(title: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    body = [_row(_cell(cell) for cell in cells) for cells in rows]
    if not body:
        yield "Nothing yet."
        return
    yield _row(column.label for column in columns)
    yield _row("--:" if column.numeric else "---" for column in columns)
    yield from body


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    more = inert(cell.more)
    if cell.text == formats.UNKNOWN and cell.reason:
        more = inert(cell.reason)
    return f"{inert(cell.text)} ({more})" if more else inert(cell.text)


def _operators(report: Report) -> Iterator[str]:
    profiled = [row for row in report.results if row.operators]
    if not profiled:
        return
    yield from ("", "## Where the time goes", "", "| Result | Operators, longest first |", "| --- | --- |")
    for row in profiled:
        parts = [
            f"{inert(op.name)} {formats.percent(op.share)} %{' **on the CPU**' if op.fallback else ''}"
            for op in (row.operators or ())[:6]
        ]
        name = f"{row.model} {row.precision}.{row.format}, {formats.device_label(report.device(row.device))}, "
        name += f"{row.ran_on}, {row.threads} threads"
        yield f"| {inert(name)} | {', '.join(parts)} |"


def _devices(report: Report) -> Iterator[str]:
    yield from ("", "## Devices", "")
    for row in report.devices:
        memory = "" if row.memory_bytes is None else f"{row.memory_bytes / 2**30:.1f} GiB"
        parts = [row.system, row.chip, row.cpu, memory, f"identity {row.identity[:8]}"]
        yield f"- {inert(formats.device_label(row))}: {inert(', '.join(part for part in parts if part))}"
    if not report.devices:
        yield "None yet."


def _history(report: Report) -> Iterator[str]:
    if not report.history:
        return
    emulated = {device.identity for device in report.devices if device.emulated}
    yield from ("", "## Older measurements", "", "| Result | Measured | p50 ms |", "| --- | --- | --: |")
    for row in report.history:
        said = "FAILED" if row.failure else formats.ms(row.latency.median_us if row.latency else None)
        doubt = " (emulated)" if row.id.split(" ", 1)[0] in emulated else ""
        yield f"| {inert(row.id.split(' ', 1)[-1])} | {formats.date(row.started)} | {said}{doubt} |"


def _problems(report: Report) -> Iterator[str]:
    yield from ("", "## What failed, and why", "")
    for row in sorted(report.problems, key=lambda row: row.what == PASSED_OVER):
        yield f"- **{inert(row.what)}** {inert(row.where)}: {inert(row.why)}"
    if not report.problems:
        yield "Nothing."
