"""The report's tables, cell by cell: what the page and Markdown both show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from device_bench.measuring.tables import interval_heading
from device_bench.report import formats
from device_bench.report.formats import UNKNOWN
from device_bench.report.problems import why_unknown
from device_bench.report.values import NOTHING, ArtifactRow, BaselineRow, Device, Export, Report, Result
from device_bench.stats import Spread
from models.pages import safe


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading."""

    key: str
    label: str
    about: str
    """What the column says, in a sentence."""
    numeric: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a person reads: one thing, what qualifies it, and a value to sort by."""

    text: str
    more: str = ""
    order: float | str | None = None
    reason: str = ""
    """Why nothing is known."""


RESULT_COLUMNS = (
    Column(key="artifact", label="Artifact", about="Precision and format of the file; the network", numeric=False),
    Column(key="device", label="Device", about="What it was measured on, with its operating system", numeric=False),
    Column(key="ran", label="Ran on", about="Delegate as proven by the log, threads, runner, version", numeric=False),
    Column(
        key="p50",
        label="p50 ms",
        about="Median over processes of each one's median (or mean); its interval, "
        "with how often at least such a one holds the true median",
    ),
    Column(key="p95", label="p95 ms", about="95 % of the runs of a typical process take no longer"),
    Column(key="first", label="First ms", about="The first inference; the time to load the network"),
    Column(key="size", label="Size MB", about="Of the file, in millions of bytes"),
    Column(
        key="top1", label="Top-1 %", about="On the test split; drop against the Keras float model with 95 % interval"
    ),
    Column(key="peak", label="Peak MiB", about="Highest resident memory of a process of its own"),
    Column(key="heat", label="°C", about="Before the first process and the highest after any"),
    Column(key="float32", label="vs float32", about="Times as fast as float32 on the same device, 95 % interval"),
    Column(key="desktop", label="vs desktop", about="Times as fast as the desktop baseline named below it"),
    Column(key="date", label="Measured", about="Date and time (UTC) of the benchmark; doubts", numeric=False),
)

BASELINE_COLUMNS = (
    Column(key="engine", label="Engine", about="GPU or CPU, engine, precision, batch", numeric=False),
    Column(key="model", label="Network", about="Model and weights", numeric=False),
    Column(
        key="p50",
        label="p50 ms",
        about="Per inference of the batch; its interval, with how often at least such a one holds the true median",
    ),
    Column(key="whole", label="End to end ms", about="Copies to the device and back included"),
    Column(key="p95", label="p95 ms", about="Of all runs of all processes"),
    Column(key="first", label="First ms", about="The first inference, compiling included; the time to load"),
    Column(key="rate", label="Images/s", about="Batch over median"),
    Column(key="system", label="System", about="Operating system, threads, versions", numeric=False),
    Column(key="date", label="Measured", about="Date and time (UTC)", numeric=False),
)

ARTIFACT_COLUMNS = (
    Column(key="artifact", label="Artifact", about="Precision and format of the file; the network", numeric=False),
    Column(key="size", label="Size MB", about="Millions of bytes"),
    Column(key="top1", label="Top-1 %", about="On the test split, with 95 % interval"),
    Column(key="drop", label="Drop, points", about="Against the Keras float model, with 95 % interval"),
    Column(key="operators", label="Operators", about="How often each occurs", numeric=False),
    Column(key="state", label="Checks", about="Whether it may be shipped", numeric=False),
)


def result_columns(report: Report) -> tuple[Column, ...]:
    """`RESULT_COLUMNS`, the latency's with how much its intervals promise: fewer processes allow less than 95 %."""
    return _promise(RESULT_COLUMNS, [row.latency for row in report.results if row.failure is None])


def baseline_columns(report: Report) -> tuple[Column, ...]:
    """`BASELINE_COLUMNS`, likewise."""
    return _promise(BASELINE_COLUMNS, [row.latency for row in report.baselines if row.failure is None])


def _promise(columns: Sequence[Column], latencies: Sequence[Spread | None]) -> tuple[Column, ...]:
    return tuple(replace(c, label=interval_heading(c.label, latencies)) if c.key == "p50" else c for c in columns)


def result_cells(report: Report, result: Result) -> tuple[Cell, ...]:
    """A row of `RESULT_COLUMNS`."""
    device, artifact = report.device(result.device), report.artifact(result)
    place = result.affinity if result.affinity != "none" else ""
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    runner = f"{result.runner} {result.runner_version}"
    return (
        Cell(
            text=safe(f"{result.precision}.{result.format}"),
            more=safe(f"{result.model} ({result.weights})"),
            order=f"{result.model} {result.precision}",
        ),
        Cell(text=safe(device.name), more=safe(_system(device, result)), order=device.name),
        Cell(
            text=safe(result.ran_on),
            more=safe(" · ".join(part for part in (result.delegate, threads, place, runner) if part)),
            order=f"{result.delegate} {result.threads:4d}",
        ),
        *_latency_cells(result, device),
        Cell(text=formats.megabytes(result.size_bytes), order=result.size_bytes),
        _top1(report, result, artifact),
        _known(
            result, "peak_rss_bytes", UNKNOWN if not result.peak_rss_bytes else f"{result.peak_rss_bytes / 2**20:.0f}"
        ),
        Cell(
            text=formats.celsius(result.temperature_c),
            more=result.temperature_of or "",
            order=None if result.temperature_c is None else result.temperature_c[1],
            reason=safe(result.missing.get("temperature_c", "")),
        ),
        _speedup(result, "against_float32", device),
        _speedup(result, "against_desktop", device),
        _date(result.started, *formats.flags(result, device, artifact)),
    )


def _system(device: Device, result: Result) -> str:
    return f"{result.system}{f' · EMULATED: {NOTHING}' if device.emulated else ''}"


def _latency_cells(result: Result, device: Device) -> tuple[Cell, Cell, Cell]:
    """A number that is not valid is not shown: somebody would quote it."""
    if result.failure is not None:
        why = safe(result.failure)
        return Cell(text="FAILED", more=safe(result.failure, 90), reason=why), _none(why), _none(why)
    doubt = "emulated" if device.emulated else ""
    latency = result.latency
    return (
        Cell(
            text=formats.ms(latency.median_us if latency else None),
            more=" · ".join(part for part in (formats.interval_ms(latency), doubt) if part),
            order=latency.median_us if latency else None,
            reason=safe(result.missing.get("latency", "")),
        ),
        Cell(
            text=formats.ms(result.p95_us),
            more=doubt if result.p95_us is not None else "",
            order=result.p95_us,
            reason=safe(result.missing.get("p95_us", "")),
        ),
        Cell(
            text=formats.ms(result.first_us),
            more=" · ".join(part for part in (f"load {formats.ms(result.init_us)}", doubt) if part),
            order=result.first_us,
            reason=safe(result.missing.get("first_us", "")),
        ),
    )


def _none(why: str) -> Cell:
    return Cell(text=UNKNOWN, reason=why)


def _top1(report: Report, result: Result, artifact: ArtifactRow | None) -> Cell:
    if artifact is None:
        return _none(safe(why_unknown(report, result), 400))
    more = f"drop {' · '.join(formats.drop(artifact))}"
    if result.top1_device is not None:
        more += f" · on the device {formats.percent(result.top1_device)}"
    reason = "" if artifact.top1 is not None else safe(artifact.failure or "")
    return Cell(text=formats.percent(artifact.top1), more=more, order=artifact.top1, reason=reason)


def _known(result: Result, name: str, text: str) -> Cell:
    return Cell(text=text, order=getattr(result, name), reason=safe(result.missing.get(name, "")))


def _speedup(result: Result, name: str, device: Device) -> Cell:
    row = getattr(result, name)
    if row is None:
        why = result.missing.get(name)
        if why is not None:
            return _none(safe(why, 400))
        own = result.precision == "float32" and name == "against_float32"
        return _none("it is float32" if own else "there is nothing valid to compare with")
    words = [formats.interval(row)]
    words += ["no difference shown"] if row.verdict == "no difference shown" else []
    words += ["emulated"] if device.emulated else []
    words += [row.against] if name == "against_desktop" else []
    return Cell(text=formats.times(row.ratio), more=safe(" · ".join(words)), order=row.ratio, reason=safe(row.note))


def _date(started: str, *flags: str) -> Cell:
    day, _, clock = formats.date(started).partition(" ")
    return Cell(text=safe(day), more=safe(" · ".join([clock, *flags])), order=started)


def baseline_cells(row: BaselineRow) -> tuple[Cell, ...]:
    """A row of `BASELINE_COLUMNS`."""
    network = Cell(text=safe(row.model), more=safe(row.weights), order=row.model)
    engine = Cell(
        text=safe(row.label),
        more="what phones are compared with" if row.reference else "",
        order=row.label,
    )
    phase = "compute only" if row.headline == "compute" else "copies included"
    middle = (
        Cell(
            text=formats.ms(row.latency.median_us if row.latency else None),
            more=f"{formats.interval_ms(row.latency)} · {phase}",
            order=row.latency.median_us if row.latency else None,
        ),
        Cell(
            text=formats.ms(row.end_to_end.median_us if row.end_to_end else None),
            order=row.end_to_end.median_us if row.end_to_end else None,
            reason="" if row.end_to_end else "not measured",
        ),
        Cell(text=formats.ms(row.p95_us), order=row.p95_us),
        Cell(text=formats.ms(row.first_us), more=f"load {formats.ms(row.init_us)}", order=row.first_us),
        Cell(
            text=UNKNOWN
            if row.images_per_s is None
            else f"{row.images_per_s:.0f}"
            if row.images_per_s >= 100
            else f"{row.images_per_s:.3g}",
            order=row.images_per_s,
        ),
    )
    if row.failure is not None:
        why = safe(row.failure)
        middle = (Cell(text="FAILED", more=safe(row.failure, 90), reason=why), *(_none(why) for _ in range(4)))  # type: ignore[assignment]
    threads = f"{row.threads} thread{'s' if row.threads > 1 else ''}"
    return (
        engine,
        network,
        *middle,
        Cell(text=safe(row.system), more=safe(f"{threads} · {row.versions}"), order=row.system),
        _date(row.started),
    )


def artifact_cells(export: Export, row: ArtifactRow) -> tuple[Cell, ...]:
    """A row of `ARTIFACT_COLUMNS`."""
    low, high = row.top1_ci95 or (None, None)
    interval = "" if low is None else f"{formats.percent(low)}–{formats.percent(high)} · {row.images} images"
    histogram = sorted(row.operators.items(), key=lambda pair: (-pair[1], pair[0]))
    return (
        Cell(
            text=safe(f"{row.precision}.{row.format}"),
            more=safe(f"{row.model} ({row.weights}), {export.resolution_px} px"),
            order=f"{row.model} {row.precision}",
        ),
        Cell(text=formats.megabytes(row.size_bytes), order=row.size_bytes),
        Cell(text=formats.percent(row.top1), more=interval, order=row.top1, reason=safe(row.failure or "")),
        Cell(text=formats.drop(row)[0], more=formats.drop(row)[1], order=row.top1_drop),
        Cell(
            text=str(sum(row.operators.values())),
            more=", ".join(f"{safe(name, 40)} {count}" for name, count in histogram[:12]),
            order=sum(row.operators.values()),
        ),
        Cell(text="passed" if row.failure is None else "FAILED", more=safe(row.failure or ""), order=row.failure or ""),
    )
