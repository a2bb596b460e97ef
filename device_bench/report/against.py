"""What each result is set against: float32 on the same device, and the desktop; and why it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from device_bench.comparing.conditions import unlike
from device_bench.report.baselines import Reference, choose_reference
from device_bench.report.results import Row
from device_bench.report.speed import paired_speedup, unpaired_speedup
from device_bench.report.values import Result, Speedup

_Origin = tuple[str, str]


def compare_results(
    newest: Sequence[Row],
    older: Sequence[Row],
    references: Mapping[_Origin, Sequence[Reference]],
    trained: Mapping[_Origin, str],
) -> Iterator[Result]:
    """The results that count, with their speed-ups; a ratio that would mislead is missing, with the reason.

    Args:
        newest: Those that count.
        older: Others, whose float32 serves where none of the newest does.
        references: Baselines by model and weights.
        trained: Hash of the weights that are exported now, by the same.
    """
    plain: dict[tuple[str, ...], list[Row]] = {}
    for row in (*older, *newest):
        if row.result.precision == "float32" and row.result.failure is None and row.latencies_us:
            plain.setdefault(_network(row.result), []).append(row)
    for row in newest:
        if row.result.failure is not None or not row.latencies_us:
            yield row.result
            continue
        origin = (row.result.model, row.result.weights)
        desktop = _against_desktop(row, references.get(origin, ()), trained.get(origin))
        own = _against_float32(row, plain.get(_network(row.result), ()))
        found = {"against_desktop": desktop, "against_float32": own}
        reasons = {name: value for name, value in found.items() if isinstance(value, str)}
        yield replace(
            row.result,
            against_desktop=desktop if isinstance(desktop, Speedup) else None,
            against_float32=own if isinstance(own, Speedup) else None,
            missing={**row.result.missing, **reasons},
        )


def _network(result: Result) -> tuple[str, ...]:
    return result.device, result.model, result.weights, result.format


def _against_desktop(row: Row, references: Sequence[Reference], trained: str | None) -> Speedup | str | None:
    """Of the same weights only: others may take as long, but it is not the same network that is compared."""
    if not references:
        return None
    if trained not in (None, row.weights_sha256):
        return f"other weights are exported now ({trained:.8}) than were measured here ({row.weights_sha256:.8})"
    reference = choose_reference([ref for ref in references if ref.weights_sha256 == row.weights_sha256])
    if reference is None:
        if any(ref.weights_sha256 == row.weights_sha256 for ref in references):
            return None
        other = references[-1].weights_sha256 or "unknown"
        return (
            f"the desktop baseline is of other weights ({other:.8}) than were measured here ({row.weights_sha256:.8})"
        )
    means = "" if row.statistic == "median" else ", means"
    phase = "compute only" if reference.row.headline == "compute" else "copies included"
    against = f"{reference.row.label.removesuffix(', batch 1')}, {phase}{means}"
    return unpaired_speedup(reference.latencies(row.statistic), list(row.latencies_us.values()), against)


def _against_float32(row: Row, plain: Sequence[Row]) -> Speedup | str | None:
    """Best against float32 of the same benchmark, whose rounds make pairs; else against the newest."""
    if row.result.precision == "float32" or not plain:
        return None
    differences = [unlike(other.conditions, row.conditions) for other in plain]
    alike = [other for other, differs in zip(plain, differences, strict=True) if not differs]
    against = "float32 on the same device"
    for twin in alike:
        if twin.result.record == row.result.record:
            return paired_speedup(twin.latencies_us, row.latencies_us, against, row.floor)
    if alike:
        return unpaired_speedup(list(alike[-1].latencies_us.values()), list(row.latencies_us.values()), against)
    nearest = min(reversed(differences), key=len)
    said = "; ".join(f"{name}: {text}" for name, text in nearest.items())
    return f"float32 was measured under other conditions: {said}"
