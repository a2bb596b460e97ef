"""False alarms and slowdowns found in stored records, whose noise is real: measure one thing many times, then look.

    for n in $(seq 20); do
        .venv/bin/python -m device_bench bench --model NAME --device local --aa --repeats 7 --seed $n
    done
    .venv/bin/python benchmarks/statistics_real.py build

Nothing changed between the records, so every difference shown is a false alarm. A slowdown is made by multiplying real
latencies. "rounds": a case and its A/A twin, in each record. "records": the same case in each two records, of which
two that share a record are not independent. "usual": first 50 runs of one process against those of one of the twin's,
means by Welch's test.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.statistics_power import RUNS, SLOWDOWN, usual_verdict
from device_bench.comparing.records import Stored, find_stored
from device_bench.stats import Verdict, judge, noise_floor, paired_ratio, unpaired_ratio

Verdicts = tuple[Verdict, Verdict]
"""Of the case against itself, and against itself made slower."""


def rounds(stored: Iterable[Stored]) -> Iterator[Verdicts]:
    """A twin cannot give the floor by which it is judged: it is judged by the smallest effect alone."""
    for record in (row.record for row in stored):
        if record.plan.twin and record.twins():
            case, twin = (record.latencies(record.plan.twin, kind)[1] for kind in ("latency", "twin"))
            old, new = [case[turn] for turn in case], [twin[turn] for turn in case]
            slow = [value * (1 + SLOWDOWN) for value in new]
            yield judge(paired_ratio(old, new), 0.0), judge(paired_ratio(old, slow), 0.0)


def records(stored: Sequence[Stored]) -> Iterator[Verdicts]:
    """Each two records, by the larger of their floors, as `compare` does."""
    for before, after in itertools.combinations(stored, 2):
        twins = [found for found in (before.record.twins(), after.record.twins()) if found]
        floor = max(map(noise_floor, twins), default=0.0)
        common = {case.name for case in before.record.plan.cases} & {case.name for case in after.record.plan.cases}
        for case in common if before.key == after.key else ():
            old, new = (tuple(side.record.latencies(case)[1].values()) for side in (before, after))
            slow = [value * (1 + SLOWDOWN) for value in new]
            yield judge(unpaired_ratio(old, new), floor), judge(unpaired_ratio(old, slow), floor)


def usual(stored: Iterable[Stored]) -> Iterator[Verdicts]:
    """One process each."""
    for record in (row.record for row in stored):
        if record.plan.twin is None:
            continue
        sides = [
            [a.output.measured.samples_us or () for a in record.attempts_of(record.plan.twin, kind) if a.output]
            for kind in ("latency", "twin")
        ]
        for old, new in zip(*sides, strict=False):
            if min(len(old), len(new)) >= RUNS:
                slow = np.asarray(new[:RUNS]) * (1 + SLOWDOWN)
                yield usual_verdict(old[:RUNS], new[:RUNS]), usual_verdict(old[:RUNS], slow)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    stored, _ = find_stored(parser.parse_args().folder)
    stored = tuple(row for row in stored if row.record.passed)
    print(f"{len(stored)} records\n\n| way | comparisons | false alarms | {SLOWDOWN:.0%} found |\n|---|---:|---:|---:|")
    for name, verdicts in (("rounds", rounds(stored)), ("records", records(stored)), ("usual", usual(stored))):
        found = list(verdicts)
        false = sum(same != "no difference shown" for same, _ in found)
        shown = sum(slow == "slower" for _, slow in found)
        share = [f"{count} ({count / len(found):.1%})" if found else "-" for count in (false, shown)]
        print(f"| {name} | {len(found)} | {' | '.join(share)} |")


if __name__ == "__main__":
    main()
