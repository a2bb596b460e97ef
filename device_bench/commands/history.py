"""`history`: how latencies went over all stored benchmarks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from device_bench.commands.options import add_build_dir_option
from models.cli import inert, one_line, result_console
from models.files import format_json

if TYPE_CHECKING:
    from rich.table import Table

    from device_bench.comparing.history import Course, Point

_BARS_SHOWN = 40


def add_options(commands: Any) -> None:
    """The command line."""
    history = commands.add_parser(
        "history",
        help="trend of stored benchmarks",
        description="Shows for each model, device and case how its latency went over all stored benchmarks, and where "
        "it changed: against the benchmark before, and against the last change, so that small steps add up.",
        epilog="exit codes: 0 shown, 2 there is nothing to show",
    )
    history.add_argument("model", nargs="?", metavar="MODEL", help="only this model")
    add_build_dir_option(history)
    history.add_argument("--json", action="store_true", help="print all points instead of tables")
    history.set_defaults(run=run_history)


def run_history(arguments: argparse.Namespace) -> int:
    """Reads all records and prints the courses.

    Raises:
        UsageError: there are none, or none of that model.
    """
    from device_bench.comparing.history import SCHEMA, courses
    from device_bench.comparing.records import find_stored
    from models.errors import UnknownNameError, UsageError

    stored, refused = find_stored(arguments.build_dir)
    for text in refused:
        sys.stderr.write(f"not read: {one_line(text)}\n")
    if not stored:
        raise UsageError(f"no benchmark record in {arguments.build_dir}; `make bench MODEL=...` makes one")
    models = {record.key[1] for record in stored}
    if arguments.model is not None and arguments.model not in models:
        raise UnknownNameError(f"model in {arguments.build_dir}:", arguments.model, models)
    found = courses(record for record in stored if arguments.model in (None, record.key[1]))
    if arguments.json:
        rows = [course.to_json() for course in found]
        print(format_json({"schema": SCHEMA, "courses": rows, "not_read": list(refused)}), end="")
        return 0
    console = result_console()
    for _, group in groupby(found, key=lambda course: (course.model, course.unit)):
        shown = list(group)
        console.print(f"[bold]{history_title(shown[0])}[/]", highlight=False, soft_wrap=True)
        console.print(history_table(shown))
        for line in change_lines(shown):
            console.print(line, highlight=False, soft_wrap=True)
    return 0


def history_title(course: Course) -> str:
    """Model, device, and the beginning of its identity, which tells units of one model apart."""
    emulated = " EMULATED: latencies mean nothing" if course.points[-1].stored.facts.get("is_emulator") else ""
    return inert(f"{course.model} on {course.device} [{course.unit[:8]}]{emulated}")


def history_table(courses: list[Course]) -> Table:
    """One row per case."""
    from rich.table import Table

    from device_bench.measuring.tables import format_latency

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("case")
    table.add_column("trend", no_wrap=True)
    for heading in ("times", "first ms (interval)", "last ms (interval)"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("last measured")
    for course in courses:
        valid = [point for point in course.points if point.latency]
        first, last = (valid[0], valid[-1]) if valid else (None, course.points[-1])
        bars = course.bars if len(course.bars) <= _BARS_SHOWN else f"…{course.bars[1 - _BARS_SHOWN :]}"
        table.add_row(
            inert(course.case),
            bars,
            str(len(course.points)),
            format_latency(first.latency if first else None),
            format_latency(last.latency),
            inert(f"{last.stored.record.started[:10]} {last.stored.version}"),
        )
    return table


def change_lines(courses: list[Course]) -> Iterator[str]:
    """Where courses changed, where conditions did, and what failed last. With rich markup."""
    differences: dict[tuple[str, str], list[str]] = {}
    for course in courses:
        for point in course.points:
            if point.ratio is not None and point.change in ("slower", "faster"):
                colour = "yellow" if point.change == "slower" else "green"
                ratio = f"{point.ratio.ratio:.3f} ({point.ratio.low:.3f}-{point.ratio.high:.3f})"
                yield f"[{colour}]{point.change}[/] {_when(course, point)}: {ratio} of {inert(point.since)}"
            if point.unlike:
                differences.setdefault((point.stored.record.started, "; ".join(point.unlike)), []).append(course.case)
        if course.points[-1].failure:
            yield f"[red]failed[/] {_when(course, course.points[-1])}: {inert(course.points[-1].failure)}"
    for (started, text), cases in differences.items():
        yield f"[yellow]unlike before[/] {inert(started)}, {len(cases)} cases: {inert(text)}"


def _when(course: Course, point: Point) -> str:
    return inert(f"{course.case}, {point.stored.record.started}, {point.stored.version}")
