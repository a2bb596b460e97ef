"""The only place of the report that rounds and picks units, for the page and for Markdown alike."""

from __future__ import annotations

from device_bench.measuring.tables import format_ms, three_digits
from device_bench.report.values import NOTHING, ArtifactRow, Device, Result, Speedup
from device_bench.stats import Spread

UNKNOWN = "–"
_AS_GOOD_AS_95 = 0.93
"""Of an interval's coverage; that of five processes, 0.9375, is as near to 95 % as they allow."""


def ms(us: float | None) -> str:
    """`12.4`, in ms with three significant digits."""
    return UNKNOWN if us is None else format_ms(us)


def interval_ms(spread: Spread | None) -> str:
    """`12.2–12.9`, and `12.2–12.9 (75 %)` where so few processes promise no more; of a single one there is none."""
    if spread is None:
        return UNKNOWN
    if not spread.coverage:
        return "one process"
    promise = "" if spread.coverage >= _AS_GOOD_AS_95 else f" ({spread.coverage:.0%})".replace("%", " %")
    return f"{ms(spread.low_us)}–{ms(spread.high_us)}{promise}"


def megabytes(size_bytes: int | None) -> str:
    """`4.31`, in MB of a million bytes, as app stores count."""
    if size_bytes is None:
        return UNKNOWN
    size = size_bytes / 1e6
    return f"{size:.0f}" if size >= 100 else f"{size:.1f}" if size >= 10 else f"{size:.2f}"


def percent(share: float | None, digits: int = 1) -> str:
    """`98.9`."""
    return UNKNOWN if share is None else f"{share * 100:.{digits}f}"


def drop(row: ArtifactRow | None) -> tuple[str, str]:
    """`0.3` and `-0.5 to 1.1`: the drop and its interval, in percentage points."""
    if row is None or row.top1_drop is None or row.top1_drop_ci95 is None:
        return UNKNOWN, ""
    low, high = row.top1_drop_ci95
    return _points(row.top1_drop), f"{_points(low)} to {_points(high)}"


def _points(share: float) -> str:
    text = f"{share * 100:.1f}"
    return "0.0" if text == "-0.0" else text


def times(ratio: float) -> str:
    """`×2.31`, with three significant digits."""
    return f"×{three_digits(ratio)}"


def interval(row: Speedup) -> str:
    """`2.20–2.41` of a speed-up."""
    return "no interval" if row.low is None or row.high is None else f"{three_digits(row.low)}–{three_digits(row.high)}"


def celsius(span: tuple[float, float] | None) -> str:
    """`31 → 38`."""
    return UNKNOWN if span is None else f"{span[0]:.0f} → {span[1]:.0f}"


def date(started: str) -> str:
    """`2026-11-21 12:00` of UTC."""
    return started[:16].replace("T", " ")


def device_label(device: Device) -> str:
    """The name, with what must stand beside it."""
    return f"{device.name} (EMULATED: {NOTHING})" if device.emulated else device.name


def flags(result: Result, device: Device, artifact: ArtifactRow | None) -> tuple[str, ...]:
    """Words that belong beside the numbers of a result."""
    words = [
        ("EMULATED", device.emulated),
        ("FAILED", result.failure is not None),
        ("FAILED check", artifact is not None and artifact.failure is not None),
        ("another file", not result.known_file),
        ("noisy", result.latency is not None and result.latency.noisy),
        ("throttled", result.throttled),
        ("mean", result.statistic == "mean" and result.latency is not None),
        ("best trade-off", result.front),
    ]
    return tuple(word for word, said in words if said)
