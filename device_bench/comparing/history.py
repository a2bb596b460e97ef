"""Latency of each case over all stored records: its course, and where it changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from device_bench.comparing.conditions import conditions, unlike
from device_bench.comparing.records import Stored
from device_bench.stats import Ratio, Spread, Verdict, judge, noise_floor, spread, unpaired_ratio

SCHEMA = 1
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One case in one record."""

    stored: Stored
    latency: Spread | None
    """None if its numbers are not valid."""
    change: Verdict | None
    """Against `since`; None for the first point, after a change of conditions, and without valid numbers."""
    since: str | None
    """When the record was measured that it is set against."""
    ratio: Ratio | None
    unlike: tuple[str, ...]
    """Conditions that differ from those of the point before: a jump between the two says nothing of the model."""
    failure: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        tool = self.stored.record.tool
        return {
            "file": str(self.stored.path),
            "started": self.stored.record.started,
            "version": tool.get("version"),
            "commit": tool.get("commit"),
            "dirty": tool.get("dirty"),
            "latency": None if self.latency is None else self.latency.to_json(),
            "change": self.change,
            "since": self.since,
            "ratio": None if self.ratio is None else self.ratio.to_json(),
            "unlike": list(self.unlike),
            "failure": self.failure,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One case of one model on one unit over time."""

    model: str
    device: str
    unit: str
    case: str
    points: tuple[Point, ...]
    """Oldest first; at least one."""

    @property
    def changes(self) -> tuple[Point, ...]:
        """Those at which it is shown to have become slower or faster."""
        return tuple(point for point in self.points if point.change in ("slower", "faster"))

    @property
    def bars(self) -> str:
        """A bar per point, between the smallest and the largest median; × where numbers are not valid."""
        known = [point.latency.median_us for point in self.points if point.latency]
        low, high = min(known, default=0.0), max(known, default=0.0)
        # A course within 2 % is flat: full height would make noise look like news.
        scale = max(high - low, 0.02 * low) or 1.0
        return "".join(
            _BARS[min(7, int((point.latency.median_us - low) / scale * 8))] if point.latency else "×"
            for point in self.points
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        names = {name: getattr(self, name) for name in ("model", "device", "unit", "case")}
        return {**names, "points": [point.to_json() for point in self.points]}


def courses(stored: Iterable[Stored]) -> tuple[Course, ...]:
    """The course of every case, by model, device and case.

    Args:
        stored: Records in the order of their time.
    """
    groups: dict[tuple[str, str, str], list[Stored]] = {}
    for record in stored:
        unit, model = record.key
        for case in record.record.plan.cases:
            groups.setdefault((model, unit, case.name), []).append(record)
    return tuple(
        Course(model=model, device=group[-1].device, unit=unit, case=case, points=_points(group, case))
        for (model, unit, case), group in sorted(groups.items())
    )


def _points(group: Sequence[Stored], case: str) -> tuple[Point, ...]:
    """A point is set against the one before and, as a creep of small steps hides from that, the last change."""
    points: list[Point] = []
    before: Stored | None = None
    base: Stored | None = None
    for stored in group:
        failure = stored.record.case_failure(case)
        if failure is not None:
            points.append(_point(stored, failure=failure))
            continue
        latency = spread(tuple(stored.record.latencies(case)[1].values()))
        differs = () if before is None else _unlike(before, stored, case)
        if before is None or base is None or differs:
            points.append(_point(stored, latency=latency, unlike=differs))
            base = stored
        else:
            since, ratio, change = _change(before, base, stored, case)
            points.append(_point(stored, latency=latency, since=since, ratio=ratio, change=change))
            base = stored if change in ("slower", "faster") else base
        before = stored
    return tuple(points)


def _point(stored: Stored, **known: Any) -> Point:
    unknown = {"latency": None, "change": None, "since": None, "ratio": None, "unlike": (), "failure": None}
    return Point(stored=stored, **(unknown | known))


def _unlike(before: Stored, after: Stored, case: str) -> tuple[str, ...]:
    sides = [
        conditions(stored, next(row for row in stored.record.plan.cases if row.name == case))
        for stored in (before, after)
    ]
    return tuple(f"{name}: {text}" for name, text in unlike(*sides).items())


def _change(before: Stored, base: Stored, stored: Stored, case: str) -> tuple[str, Ratio | None, Verdict | None]:
    for earlier in (before, base):
        twins = [found for found in (earlier.record.twins(), stored.record.twins()) if found is not None]
        sides = [tuple(side.record.latencies(case)[1].values()) for side in (earlier, stored)]
        try:
            ratio = unpaired_ratio(*sides)
        except ValueError:  # too few processes: nothing can be said
            return earlier.record.started, None, None
        change = judge(ratio, max(map(noise_floor, twins), default=0.0))
        if change != "no difference shown":
            break
    return earlier.record.started, ratio, change
