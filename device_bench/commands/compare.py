"""`compare`: is the new one slower than the old one, and can that be told at all?"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_bench.comparing.names import CONDITIONS
from models.cli import inert, one_line, result_console, words
from models.files import format_json

if TYPE_CHECKING:
    from rich.table import Table

    from device_bench.comparing.compare import Comparison, Row


def add_options(commands: Any) -> None:
    """The command line."""
    names = "".join(f"\n  {name:<10} {meaning}" for name, meaning in CONDITIONS.items())
    compare = commands.add_parser(
        "compare",
        help="set one benchmark against another",
        description="Sets the cases of NEW against those of OLD: ratio of the latencies with its 95 % interval. A case "
        "is called slower or faster only if the interval excludes 1 and the effect exceeds the noise floor.",
        epilog=f"conditions that must be alike, or be named in --across:{names}\n\nexit codes: 0 passed, 1 a case is "
        "shown to be slower, by more than the limit,\n2 bad input or unlike conditions, 3 a case has no valid numbers",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("old", type=Path, metavar="OLD", help="record, or folder: its newest of each device and model")
    compare.add_argument("new", type=Path, metavar="NEW", help="likewise")
    compare.add_argument(
        "--max-regression",
        type=percent,
        default=0.05,
        metavar="N%",
        help="slowdown that is accepted, by the estimate of the ratio (default: 5%%)",
    )
    compare.add_argument(
        "--across", type=words, default=(), metavar="NAMES", help="conditions that may differ, comma separated"
    )
    compare.add_argument(
        "--cases",
        nargs=2,
        metavar=("OLD", "NEW"),
        help="compare these two cases (names as in the record), also of one and the same record",
    )
    compare.add_argument("--json", action="store_true", help="print all numbers instead of a table")
    compare.set_defaults(run=run_compare)


def percent(text: str) -> float:
    """`5%` as 0.05."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?%", text.strip())
    if not found or not math.isfinite(float(found[1])) or float(found[1]) > 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage from 0% to 1000%, such as 5%")
    return float(found[1]) / 100


def run_compare(arguments: argparse.Namespace) -> int:
    """Compares, prints, and tells by its code whether something got slower."""
    from device_bench.comparing.compare import SCHEMA, check_names, compare, pair_records
    from device_bench.comparing.records import newest

    across, limit = check_names(arguments.across), arguments.max_regression
    (old, refused), (new, also) = newest(arguments.old), newest(arguments.new)
    for text in dict.fromkeys((*refused, *also)):
        sys.stderr.write(f"not read: {one_line(text)}\n")
    chosen = tuple(arguments.cases) if arguments.cases else None
    found = [compare(*pair, across, chosen) for pair in pair_records(old, new, across)]
    code = exit_code(found, limit)
    if arguments.json:
        rows = [comparison.to_json(limit) for comparison in found]
        print(format_json({"schema": SCHEMA, "max_regression": limit, "exit_code": code, "comparisons": rows}), end="")
        return code
    console = result_console()
    for comparison in found:
        console.print(f"[bold]old[/] {inert(comparison.old.title)}", highlight=False, soft_wrap=True)
        console.print(f"[bold]new[/] {inert(comparison.new.title)}", highlight=False, soft_wrap=True)
        console.print(compare_table(comparison, limit))
        for note in notes(comparison, limit):
            console.print(note, highlight=False, soft_wrap=True)
    console.print(conclusion(found, limit), highlight=False, soft_wrap=True)
    return code


def exit_code(found: list[Comparison], limit: float) -> int:
    """1 for a proven regression, whatever else is missing; 3 for a case without valid numbers; else 0."""
    rows = [row for comparison in found for row in comparison.rows]
    if any(row.regressed(limit) for row in rows):
        return 1
    return 3 if any(row.failure for row in rows) else 0


def compare_table(comparison: Comparison, limit: float) -> Table:
    """One row per case."""
    from rich.table import Table

    from device_bench.measuring.tables import format_ms

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("case", overflow="fold")
    for heading in ("old ms", "new ms", "new/old (95 %)", "finds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in comparison.rows:
        name = row.old_case if row.old_case == row.new_case else f"{row.old_case} → {row.new_case}"
        ratio = f"{row.ratio.ratio:.3f} ({row.ratio.low:.3f}-{row.ratio.high:.3f})" if row.ratio else "-"
        finds = "-" if row.detectable is None else f"+{row.detectable:.1%}"
        table.add_row(
            inert(name),
            format_ms(row.old.median_us if row.old else None),
            format_ms(row.new.median_us if row.new else None),
            ratio,
            finds,
            format_verdict(row, limit),
        )
    return table


def format_verdict(row: Row, limit: float) -> str:
    """With rich markup."""
    if row.verdict is None:
        return "[red]NO VALID NUMBERS[/]"
    if row.regressed(limit):
        return "[red]slower: REGRESSION[/]"
    return {"slower": "[yellow]slower[/]", "faster": "[green]faster[/]"}.get(row.verdict, row.verdict)


def notes(comparison: Comparison, limit: float) -> Iterator[str]:
    """What to know of the numbers. With rich markup."""
    for text in comparison.allowed:
        yield f"[yellow]unlike[/] {inert(text)}"
    for row in comparison.rows:
        if row.failure:
            yield f"[red]no numbers[/] {inert(row.old_case)}: {inert(row.failure)}"
        if row.throttled:
            yield f"[yellow]throttled[/] {inert(row.old_case)}: the device slowed itself down during old or new"
    if comparison.floor is None:
        yield "noise floor not measured, taken as 1 %; `bench --aa` measures it"
    else:
        yield f"noise floor ±{comparison.floor:.1%}, of the A/A comparison"
    blind = [row for row in comparison.rows if row.detectable is not None and row.detectable > limit]
    for row in blind:
        if row.verdict == "no difference shown":
            yield (
                f"[yellow]blind[/] {inert(row.old_case)}: a slowdown of {limit:.1%} would often be missed, one of "
                f"{row.detectable:.1%} seldom; more processes see more: --repeats 15"
            )


def conclusion(found: list[Comparison], limit: float) -> str:
    """The last line. With rich markup."""
    rows = [row for comparison in found for row in comparison.rows]
    slower = [row for row in rows if row.regressed(limit)]
    if slower:
        return f"[red]failed[/] {len(slower)} of {len(rows)} cases shown to be slower, by more than {limit:.1%}"
    invalid = sum(row.failure is not None for row in rows)
    if invalid:
        return f"[red]failed[/] {invalid} of {len(rows)} cases have no valid numbers"
    return f"[green]passed[/] none of {len(rows)} cases shown to be slower by more than {limit:.1%}"
