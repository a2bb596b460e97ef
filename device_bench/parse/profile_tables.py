"""Operator profiles, as TAB separated text or as the CSV that is none; both by their header lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from device_bench.op_profile import OpProfile, Phase, ProfiledNode, ProfiledType
from device_bench.parse.count_line import Statistics, parse_count_line
from device_bench.parse.lines import Log, number, shown, whole
from models.errors import RunnerOutputError

_PHASES: dict[str, Phase] = {
    "Profiling Info for Benchmark Initialization:": "initialization",
    "Operator-wise Profiling Info for Regular Benchmark Runs:": "inference",
}
_GRAPH = re.compile(r"(?:Primary graph \(.*\)|Subgraph \(.*\)) profile:|Delegate internal:")
_SECTION = re.compile(r"=+ (Run Order|Top by .*|Summary by node type) =+")
_TIMINGS = "Timings (microseconds): "
_EXECUTED = re.compile(r"Number of nodes executed: ([0-9]+)")
_OBSERVED = re.compile(r"([0-9]+) nodes observed")
# Older builds have a column more, `start`.
_NODE_COLUMNS = ("node type", "first", "avg ms", "%", "cdf%", "mem kb", "times called", "name")
_TYPE_COLUMNS = ("node type", "count", "avg ms", "avg %", "cdf %", "mem kb", "times called")


@dataclass(slots=True)
class _Report:
    """A report under construction."""

    phase: Phase | None = None
    graph: str | None = None
    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    executed: int | None = None
    timings: Statistics | None = None
    has_timings: bool = False

    def take(self, text: str, rows: Iterator[str]) -> None:
        """Takes in one line, and the rows below it if it opens a section."""
        if text in _PHASES:
            self.phase, self.graph = _PHASES[text], None
        elif _GRAPH.fullmatch(text):
            self.graph = text.removesuffix(":").removesuffix(" profile")
        elif section := _SECTION.fullmatch(text):
            if section[1] in self.tables:
                raise RunnerOutputError(f"section {section[1]!r} is twice in one operator profile; its end was lost")
            self.tables[section[1]] = list(_table(rows, section[1]))
        elif self.tables and (found := _EXECUTED.fullmatch(text)):
            self.executed = whole(found[1])
        elif self.tables and text.startswith(_TIMINGS):
            self.timings, self.has_timings = parse_count_line(text.removeprefix(_TIMINGS)), True


def parse_profiles(log: Log) -> tuple[OpProfile, ...]:
    """All reports of a log or of a profile file, in their order; empty if there are none.

    Raises:
        RunnerOutputError: a report is cut, has rows too few or too many, or columns of an unknown layout.
    """
    profiles: list[OpProfile] = []
    report = _Report()
    rows = iter([line.text for line in log.lines])
    for text in rows:
        report.take(text, rows)
        if report.tables and (found := _OBSERVED.fullmatch(text)):
            profiles.append(_profile(report, whole(found[1]), log))
            report = _Report(phase=report.phase, graph=None)
    if report.tables:
        raise log.missing("end of an operator profile", "33 nodes observed")
    return tuple(profiles)


def _table(rows: Iterator[str], section: str) -> Iterator[dict[str, str]]:
    """The rows of one section by column name, up to the empty line or the line on executed nodes."""
    header = next(rows, "")
    csv = not header.startswith("\t")
    names = header.split(", ") if csv else header.removeprefix("\t").split("\t")
    columns = [name.strip().strip("[]").strip().lower().replace("_", " ") for name in names]
    known = _TYPE_COLUMNS if section.startswith("Summary") else _NODE_COLUMNS
    if tuple(column for column in columns if column != "start") != known:
        raise RunnerOutputError(
            f"columns of an unknown layout in section {section!r}: {shown(header)}; known are {', '.join(known)}"
        )
    for text in rows:
        if not text.strip():
            return
        # A type may have commas in it and is not quoted; a name has TABs where its commas were.
        cells = text.rsplit(", ", len(columns) - 1) if csv else text.removeprefix("\t").split("\t", len(columns) - 1)
        if len(cells) != len(columns) or (not csv and not text.startswith("\t")):
            raise RunnerOutputError(f"a row of {len(cells)} cells under {len(columns)} columns: {shown(text)}")
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
        if csv and "name" in row:
            row["name"] = row["name"].replace("\t", ",")
        yield row


def _profile(report: _Report, observed: int, log: Log) -> OpProfile:
    for section in ("Run Order", "Summary by node type"):
        if section not in report.tables:
            raise log.missing(f"section {section!r} of an operator profile", f"====== {section} ======")
    if not report.has_timings:
        raise log.missing("timings of an operator profile", f"{_TIMINGS}count=50 first=")
    nodes = tuple(_node(row) for row in report.tables["Run Order"])
    types = tuple(_type(row) for row in report.tables["Summary by node type"])
    _check_counts(nodes, types, observed, report.executed)
    missing = {} if report.timings else {"mean_us": "the profiler saw no run"}
    missing |= {} if report.phase else {"phase": "this build prints no heading"}
    missing |= {} if report.graph else {"graph": "the report has no heading of a graph"}
    return OpProfile(
        phase=report.phase,
        graph=report.graph,
        nodes=nodes,
        types=types,
        runs=report.timings.summary.runs if report.timings else 0,
        mean_us=report.timings.summary.mean_us if report.timings else None,
        missing=missing,
    )


def _check_counts(
    nodes: tuple[ProfiledNode, ...], types: tuple[ProfiledType, ...], observed: int, executed: int | None
) -> None:
    """Refuses tables that do not fit each other, which is how a lost row or a torn cell shows."""
    if len(nodes) != observed or executed not in (None, observed):
        raise RunnerOutputError(
            f"an operator profile of {observed} observed and {executed} executed nodes has {len(nodes)} rows; "
            "lines were lost"
        )
    rows, summary = Counter(node.node_type for node in nodes), {row.node_type: row.nodes for row in types}
    if rows != summary or len(summary) != len(types):
        different = sorted(rows.keys() ^ summary.keys()) or sorted(t for t in rows if rows[t] != summary[t])
        raise RunnerOutputError(
            f"rows and summary of an operator profile differ in {', '.join(map(shown, different[:3]))}; lines were lost"
        )


def _node(row: dict[str, str]) -> ProfiledNode:
    return ProfiledNode(
        node_type=row["node type"],
        name=row["name"],
        first_us=_us(row, "first"),
        mean_us=_us(row, "avg ms"),
        share=_share(row, "%"),
        peak_rss_growth_bytes=_kib(row),
        calls=_value(row, "times called"),
    )


def _type(row: dict[str, str]) -> ProfiledType:
    return ProfiledType(
        node_type=row["node type"],
        nodes=int(_value(row, "count")),
        mean_us=_us(row, "avg ms"),
        share=_share(row, "avg %"),
        peak_rss_growth_bytes=_kib(row),
        calls=_value(row, "times called"),
    )


def _value(row: dict[str, str], column: str) -> float:
    return number(row[column], line=", ".join(row.values()))


def _us(row: dict[str, str], column: str) -> float:
    return round(_value(row, column) * 1e3, 3)


def _share(row: dict[str, str], column: str) -> float:
    text = row[column]
    if not text.endswith("%"):
        raise RunnerOutputError(f"{shown(text)} in column {column!r} is no percentage")
    return round(number(text[:-1], line=", ".join(row.values())) / 100, 9)


def _kib(row: dict[str, str]) -> int:
    return round(_value(row, "mem kb") * 1024)
