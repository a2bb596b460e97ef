"""What a person reads of a baseline: rounded, and text from drivers and libraries made harmless."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from device_bench.baseline.record import BaselineRecord
from device_bench.baseline.summary import Summary
from device_bench.measuring.tables import format_latency, format_ms, interval_heading
from models.cli import inert


def baseline_title(record: BaselineRecord) -> str:
    """What was measured on which machine."""
    gpu, facts = record.target.get("gpu"), record.target["facts"]
    system = " ".join(str(part) for part in (facts["os_name"], facts["os_release"]) if part)
    places = {row.accelerator for row in record.summaries() if row.latency}
    shown = [f"GPU {gpu['name']} (driver {gpu['driver_version']})"] if gpu and "gpu" in places else []
    shown += [f"CPU {record.device_name('cpu')}"]
    what = f"{record.model['name']} ({record.model['weights']})"
    label = "" if "gpu" in places or not places else ", measured on the CPU"
    return inert(f"{what} on this desktop{label}: {', '.join(shown)}, {system}, {record.repeats} processes each")


def baseline_table(record: BaselineRecord) -> Table:
    """One row per case."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("ran on", "engine", "precision"):
        table.add_column(heading, no_wrap=True)
    summaries = record.summaries()
    compute = interval_heading("compute ms", (row.phases["compute"] for row in summaries))
    for heading in ("batch", compute, "copies ms", "end to end ms", "p95", "first", "init", "images/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for row in summaries:
        table.add_row(*_row(record, row))
    return table


def _row(record: BaselineRecord, row: Summary) -> tuple[str, ...]:
    knee = any(
        (k.engine, k.precision, k.batch) == (row.case.engine, row.case.precision, row.case.batch) for k in record.knees
    )
    head = (
        {"gpu": "GPU", "cpu": "CPU", None: "?"}[row.accelerator],
        row.case.engine,
        row.case.precision,
        f"{row.case.batch}",
    )
    if row.failure:
        # A number that is not valid is not shown: somebody would quote it.
        return (*head, *("-",) * 7, "[red]FAILED[/]")
    copies = [row.phases["copy_in"], row.phases["copy_out"]]
    return (
        *head,
        format_latency(row.phases["compute"]),
        "-" if None in copies else " + ".join(format_ms(copy.median_us) for copy in copies if copy),
        format_latency(row.phases["end_to_end"]),
        format_ms(row.p95_us),
        format_ms(row.first_us),
        format_ms(row.init_us),
        "-" if row.images_per_s is None else f"{row.images_per_s:.0f}",
        " ".join(
            word
            for word, said in (("knee", knee), ("[yellow]noisy[/]", row.latency is not None and row.latency.noisy))
            if said
        ),
    )


def baseline_notes(record: BaselineRecord, path: Path) -> Iterator[str]:
    """Lines below the table, with rich markup: where it really ran, what was not measured and why, what to doubt."""
    for row in record.engines:
        who = f"{inert(row.engine)} {inert(row.precision)}"
        if row.taken and row.placement:
            told = f"{row.check.images} outputs within {row.check.max_abs_error:.0e}" if row.check else ""
            yield f"{who}: {inert(row.placement.evidence)}; {told}"
        elif row.failure_kind == "wrong":
            yield f"[red]WRONG[/] {who}: {inert(row.reason)}"
        else:
            yield f"[yellow]not measured[/] {who}: {inert(row.reason)}"
    for knee in record.knees:
        yield (
            f"knee of {inert(knee.engine)} {inert(knee.precision)}: batch {knee.batch}, "
            f"{knee.images_per_s:.0f} images/s; {inert(knee.reason)}"
        )
    for summary in record.summaries():
        if summary.failure:
            yield f"[red]failed[/] {inert(summary.case.name)}: {inert(summary.failure)}"
    yield from _doubts(record)
    if record.failure:
        yield f"[red]ended early[/] {inert(record.failure)}"
    yield f"record: {inert(path)}"


def _doubts(record: BaselineRecord) -> Iterator[str]:
    counted = [attempt for attempt in record.attempts if attempt.kind == "latency" and attempt.measured]
    restless = sum(not attempt.measured.steady for attempt in counted if attempt.measured)
    if restless:
        yield f"[yellow]unsteady[/] {restless} of {len(counted)} processes still changed speed after their warm-up"
    states = [a.telemetry[when]["gpu"] for a in counted for when in ("before", "after") if a.telemetry[when]["gpu"]]
    if any(state["slowed"] for state in states):
        reasons = sorted({reason for state in states if state["slowed"] for reason in state["clock_reasons"]})
        yield f"[yellow]slowed[/] the GPU held its clocks back: {inert(', '.join(reasons))}"
    before = [attempt.telemetry["before"]["gpu"] for attempt in counted if attempt.telemetry["before"]["gpu"]]
    if any((state["utilization"] or 0) > 0.05 or state["other_processes"] for state in before):
        yield "[yellow]shared[/] others computed on the GPU before a process began"
    cpus = len(record.target["cpus"]["usable"] or ()) or 1
    loads = [attempt.telemetry["before"]["load_1min"] for attempt in counted]
    # Our own last process leaves a load of its threads behind.
    if loads and max(loads) > cpus + 0.5:
        yield f"[yellow]busy[/] the machine's load was up to {max(loads):.1f} on {cpus} CPUs: others computed, too"
