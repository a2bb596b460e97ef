"""Old against new: the same cases under the same conditions, with what may be said of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from device_bench.case import Case
from device_bench.comparing.conditions import conditions, unlike
from device_bench.comparing.names import CHOSEN, CONDITIONS
from device_bench.comparing.records import Stored
from device_bench.stats import (
    Percentile,
    Ratio,
    Spread,
    Verdict,
    judge,
    noise_floor,
    paired_ratio,
    pooled_percentiles,
    spread,
    unpaired_ratio,
)
from device_bench.stats.ratios import SMALLEST_EFFECT
from models.errors import UnknownNameError, UsageError

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case in old and new."""

    old_case: str
    new_case: str
    old: Spread | None
    new: Spread | None
    old_p95: Percentile | None
    """Of all runs together; None where the runner tells no single runs."""
    new_p95: Percentile | None
    ratio: Ratio | None
    """None if there is a failure."""
    verdict: Verdict | None
    detectable: float | None
    """The smallest slowdown that such a measurement shows nine times in ten; None if there is a failure."""
    throttled: bool
    failure: str | None
    """Why there is no ratio."""

    def regressed(self, limit: float) -> bool:
        """Whether it is shown to be slower, and by more than the limit: 0.05 is 5 %."""
        return self.verdict == "slower" and self.ratio is not None and self.ratio.ratio > 1 + limit

    def to_json(self, limit: float) -> dict[str, Any]:
        """Plain JSON value."""
        parts = ("old", "new", "old_p95", "new_p95", "ratio")
        values = {name: getattr(self, name) for name in parts}
        return {
            "old_case": self.old_case,
            "new_case": self.new_case,
            **{name: None if value is None else value.to_json() for name, value in values.items()},
            "verdict": self.verdict,
            "detectable": self.detectable,
            "throttled": self.throttled,
            "regressed": self.regressed(limit),
            "failure": self.failure,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two records."""

    old: Stored
    new: Stored
    rows: tuple[Row, ...]
    allowed: tuple[str, ...]
    """Conditions that differ and were allowed to, with both sides."""
    floor: float | None
    """From the A/A comparisons of the records, the larger one; None without any."""

    def to_json(self, limit: float) -> dict[str, Any]:
        """Plain JSON value."""
        return {
            "old": {"file": str(self.old.path), "title": self.old.title},
            "new": {"file": str(self.new.path), "title": self.new.title},
            "noise_floor": self.floor,
            "smallest_effect": SMALLEST_EFFECT,
            "allowed": list(self.allowed),
            "rows": [row.to_json(limit) for row in self.rows],
        }


def check_names(across: Iterable[str]) -> frozenset[str]:
    """The conditions that may differ.

    Raises:
        UnknownNameError: there is no such condition.
    """
    for name in across:
        if name not in CONDITIONS:
            raise UnknownNameError("condition", name, CONDITIONS)
    return frozenset(across)


def pair_records(
    old: dict[tuple[str, str], Stored], new: dict[tuple[str, str], Stored], across: frozenset[str]
) -> tuple[tuple[Stored, Stored], ...]:
    """Which record is compared with which: one with one whatever they are, several by device and model.

    Raises:
        UsageError: a record of old has no partner in new.
    """
    if len(old) == len(new) == 1:
        return ((next(iter(old.values())), next(iter(new.values()))),)
    alone = [stored.title for key, stored in old.items() if key not in new]
    if alone and ("cases" not in across or len(alone) == len(old)):
        raise UsageError(
            f"NEW has no record of the same device and model as {alone[0]}"
            + (f" and {len(alone) - 1} more" if len(alone) > 1 else "")
            + "; measure there too, or name one record on each side"
        )
    return tuple((stored, new[key]) for key, stored in old.items() if key in new)


def compare(old: Stored, new: Stored, across: frozenset[str], chosen: tuple[str, str] | None = None) -> Comparison:
    """All cases of two records, or one case of each.

    Args:
        old: Before.
        new: After. In one and the same record, two cases are set against each other round by round.
        across: Names of conditions that may differ.
        chosen: Names of the two cases to compare; their names may differ, and what is in them.

    Raises:
        UsageError: conditions differ; the message names each with both sides. Or there is nothing to compare.
    """
    if chosen is None and old.path.resolve() == new.path.resolve():
        raise UsageError(f"OLD and NEW are both {old.path}; name two records, or two cases of it with --cases")
    pairs = _pair_cases(old, new, across) if chosen is None else (_choose(old, new, chosen),)
    free = across if chosen is None else across | CHOSEN
    differences: dict[str, str] = {}
    for before, after in pairs:
        differences |= unlike(conditions(old, before), conditions(new, after))
    refused = {name: text for name, text in differences.items() if name not in free}
    if refused:
        raise UsageError(
            "unlike conditions: "
            + "; ".join(f"{name}: {text}" for name, text in refused.items())
            + f"; measure again alike, or allow it with --across {','.join(refused)}"
        )
    twins = [found for found in (old.record.twins(), new.record.twins()) if found is not None]
    floor = max((noise_floor(found) for found in twins), default=None)
    return Comparison(
        old=old,
        new=new,
        rows=tuple(_row(old, new, before.name, after.name, floor or 0.0) for before, after in pairs),
        allowed=tuple(f"{name}: {text}" for name, text in differences.items()),
        floor=floor,
    )


def _pair_cases(old: Stored, new: Stored, across: frozenset[str]) -> tuple[tuple[Case, Case], ...]:
    after = {case.name: case for case in new.record.plan.cases}
    alone = [case.name for case in old.record.plan.cases if case.name not in after]
    pairs = tuple((case, after[case.name]) for case in old.record.plan.cases if case.name in after)
    if not pairs:
        raise UsageError(
            f"no case is in both {old.path} and {new.path}: {', '.join(alone[:3])} against "
            f"{', '.join(list(after)[:3])}; name one of each with --cases OLD NEW"
        )
    if alone and "cases" not in across:
        raise UsageError(
            f"{len(alone)} cases of {old.path} are not in {new.path}: {', '.join(alone[:3])}; measure them again, or "
            "leave them out with --across cases"
        )
    return pairs


def _choose(old: Stored, new: Stored, chosen: tuple[str, str]) -> tuple[Case, Case]:
    found = []
    for stored, name in zip((old, new), chosen, strict=True):
        known = {case.name: case for case in stored.record.plan.cases}
        if name not in known:
            raise UnknownNameError(f"case of {stored.path}:", name, known)
        found.append(known[name])
    return found[0], found[1]


def _row(old: Stored, new: Stored, before: str, after: str, floor: float) -> Row:
    sides = ((old.record, before, "old"), (new.record, after, "new"))
    failures = [f"{side}: {reason}" for record, case, side in sides if (reason := record.case_failure(case))]
    (_, olds), (_, news) = (record.latencies(case) for record, case, _ in sides)
    ratio = None
    if not failures:
        try:
            ratio = _ratio(olds, news, paired=old.path.resolve() == new.path.resolve())
        except ValueError as error:
            failures.append(f"{error}: measure with more --repeats")
    return Row(
        old_case=before,
        new_case=after,
        old=None if failures else spread(tuple(olds.values())),
        new=None if failures else spread(tuple(news.values())),
        old_p95=None if failures else _p95(old.record.samples(before)),
        new_p95=None if failures else _p95(new.record.samples(after)),
        ratio=ratio,
        verdict=None if ratio is None else judge(ratio, floor),
        detectable=None if ratio is None else ratio.detectable(max(floor, SMALLEST_EFFECT)),
        throttled=any(
            attempt.throttled for record, case, _ in sides for attempt in record.attempts_of(case, "latency")
        ),
        failure="; ".join(failures) or None,
    )


def _ratio(olds: dict[int, float], news: dict[int, float], *, paired: bool) -> Ratio:
    if not paired:
        return unpaired_ratio(tuple(olds.values()), tuple(news.values()))
    rounds = sorted(olds.keys() & news.keys())
    return paired_ratio([olds[turn] for turn in rounds], [news[turn] for turn in rounds])


def _p95(samples: Sequence[Sequence[float]] | None) -> Percentile | None:
    with suppress(ValueError):  # too few runs
        return pooled_percentiles(samples or (), (95.0,))[0]
    return None
