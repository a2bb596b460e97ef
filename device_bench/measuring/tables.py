"""What a person reads of a benchmark: rounded, in units of choice, and text from devices made harmless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.table import Table

from device_bench.case import Case
from device_bench.measuring.correctness import Accuracy, OutputCheck
from device_bench.measuring.record import BenchRecord
from device_bench.measuring.summary import Summary
from device_bench.state.device_name import device_name
from device_bench.stats import Spread, judge, noise_floor
from models.cli import inert


def format_ms(us: float | None) -> str:
    """Milliseconds with three significant digits; a dash for what is not known."""
    return "-" if us is None else three_digits(us / 1e3)


def three_digits(value: float) -> str:
    """`123`, `12.3`, `1.23`; below 1 three decimals."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def format_latency(latency: Spread | None) -> str:
    """Median and its interval in ms: `12.4 (12.2-12.9)`; one process has no interval."""
    if latency is None:
        return "-"
    if not latency.coverage:
        return format_ms(latency.median_us)
    return f"{format_ms(latency.median_us)} ({format_ms(latency.low_us)}-{format_ms(latency.high_us)})"


def interval_heading(what: str, latencies: Iterable[Spread | None]) -> str:
    """`median ms (95%)`: how often such intervals hold the true median, of the rows that promise least.

    Of five processes the range is 94 %, of three 75 %; one process has no interval.
    """
    level = min((row.coverage for row in latencies if row), default=0.0)
    return f"{what} ({level:.0%})" if level else what


def bench_title(record: BenchRecord) -> str:
    """What was measured on what."""
    target, model = record.target, record.model
    facts = target["facts"]
    label = device_name(facts) or target["kind"]
    system = " ".join(str(part) for part in (facts["os_name"], facts["os_release"]) if part)
    details = [part for part in (facts["soc_model"], system) if part]
    what = f"{model['name']} ({model['weights']})"
    emulated = " EMULATED: latencies mean nothing" if facts["is_emulator"] else ""
    return inert(f"{what} on {label} ({', '.join(map(str, details))}), {record.plan.repeats} processes each{emulated}")


def bench_tables(record: BenchRecord) -> Iterator[Table]:
    """One row per case; first with all columns, then for narrower and narrower terminals."""
    cases = {case.name: case for case in record.plan.cases}
    summaries = record.summaries()
    rows = [_row(record, cases[summary.case], summary) for summary in summaries]
    median = interval_heading("median ms", (row.latency for row in summaries))
    headings = ["file", "runner", "ran on", "thr", median, "p95", "first", "init", "MiB", "outputs", ""]
    for left_out in ((), *_LESS):
        table = Table(box=None, padding=(0, 1, 0, 0))
        kept = [place for place, heading in enumerate(headings) if heading not in left_out]
        for place in kept:
            table.add_column(headings[place], justify="right" if place in _NUMBERS else "left", no_wrap=True)
        for row in rows:
            table.add_row(*(row[place] for place in kept))
        yield table


_NUMBERS = range(4, 9)
_LESS = (("init",), ("init", "first"), ("init", "first", "MiB"), ("init", "first", "MiB", "ran on"),
         ("init", "first", "MiB", "ran on", "p95"), ("init", "first", "MiB", "ran on", "p95", "runner"))  # fmt: skip


def bench_notes(record: BenchRecord, path: Path) -> Iterator[str]:
    """Lines below the table: what failed and why, what the numbers lack, where everything is. With rich markup."""
    yield from _refusals(record)
    yield from _doubts(record)
    yield from _further_results(record)
    if record.failure:
        yield f"[red]ended early[/] {inert(record.failure)}"
    yield f"record: {inert(path)}; raw outputs in the folder of that name"


def _refusals(record: BenchRecord) -> Iterator[str]:
    for text, names in _grouped((reason, name) for name, reason in record.plan.skipped):
        yield f"[yellow]not measured[/] {_who(names)}: {inert(text)}"
    for text, names in _grouped((row.failure, row.case) for row in record.summaries()):
        yield f"[red]failed[/] {_who(names)}: {inert(text)}"
    for what, outcomes in (("outputs not checked", record.checks), ("accuracy not measured", record.accuracy)):
        for text, names in _grouped((text, name) for name, text in outcomes.items() if isinstance(text, str)):
            yield f"[yellow]{what}[/] {_who(names)}: {inert(text)}"


def _doubts(record: BenchRecord) -> Iterator[str]:
    warm = tuple(dict.fromkeys(reason for attempt in record.attempts for reason in attempt.throttled))
    if warm:
        yield f"[yellow]throttled[/] {inert('; '.join(warm))}"
    if any(attempt.gate == "gave_up" for attempt in record.attempts):
        yield "[yellow]warm[/] some processes began on a warm device; give it more time: --cool-down SECONDS"
    means = {
        case.runner for case, row in zip(record.plan.cases, record.summaries(), strict=True) if row.statistic == "mean"
    }
    if means:
        yield f"{', '.join(sorted(means))} prints no median: each process counts with its mean"
    warming = [row.case for row in record.summaries() if row.latency and row.warming > row.latency.processes / 2]
    if warming:
        yield f"[yellow]warming[/] {_who(warming)}: most processes' first timed runs were warm-up and are left out"
    noisy = [row.case for row in record.summaries() if row.latency and row.latency.noisy]
    if noisy:
        yield f"[yellow]noisy[/] {_who(noisy)}: the interval is wider than ±5 %; more processes narrow it: --repeats 15"


def _further_results(record: BenchRecord) -> Iterator[str]:
    twins = record.twins()
    if twins is not None:
        same = judge(twins, 0.0) == "no difference shown"
        doubt = "" if same else "; they differ beyond chance, so trust no small difference here"
        yield (
            f"noise floor ±{noise_floor(twins):.1%}: {inert(record.plan.twin)} measured twice,"
            f" ratio {twins.ratio:.3f} ({twins.low:.3f}-{twins.high:.3f}){doubt}"
        )
    for name, accuracy in record.accuracy.items():
        if isinstance(accuracy, Accuracy):
            low, high = accuracy.top1_ci95
            yield (
                f"accuracy on the device, {inert(name)}: {accuracy.top1:.2%} of {accuracy.images} images"
                f" ({low:.2%} to {high:.2%}), desktop {accuracy.desktop_top1:.2%}"
            )
    for row in record.summaries():
        if row.sustained:
            yield (
                f"sustained {inert(row.case)}: {format_ms(row.sustained.start_us)} ms at the start,"
                f" {format_ms(row.sustained.steady_us)} ms after {row.sustained.minutes:.1f} min"
                f" ({row.sustained.ratio:.2f} times)"
            )
    timed = [attempt for attempt in record.attempts if attempt.valid and attempt.job.kind == "latency"]
    if timed:
        own, around = (
            sum(values) / len(timed) for values in zip(*((a.wall_s, a.harness_s) for a in timed), strict=True)
        )
        yield f"time per process: {own:.2f} s in the runner, {around:.2f} s around it (the device's state, files, adb)"


def _row(record: BenchRecord, case: Case, row: Summary) -> tuple[str, ...]:
    peak = "-" if row.peak_rss_bytes is None else f"{row.peak_rss_bytes / 2**20:.0f}"
    flags = [
        word
        for word, said in (("noisy", row.latency is not None and row.latency.noisy), ("throttled", row.throttled))
        if said
    ]
    # A number that is not valid is not shown: somebody would quote it.
    times = (
        ("-",) * 4
        if row.failure
        else (format_latency(row.latency), format_ms(row.p95_us), format_ms(row.first_us), format_ms(row.init_us))
    )
    return (
        f"{case.model.precision}.{case.model.format}",
        case.runner,
        inert(_ran_on(record, case)),
        str(case.threads),
        *times,
        peak,
        _outputs(record.check_of(case.name)),
        "[red]FAILED[/]" if row.failure else f"[yellow]{' '.join(flags)}[/]" if flags else "",
    )


def _ran_on(record: BenchRecord, case: Case) -> str:
    # Some runners name the kernels only when they profile.
    outputs = [a.output for kind in ("profile", "latency") for a in record.attempts_of(case.name, kind) if a.output]
    outputs.sort(key=lambda output: not any(row.verdict == "unknown" for row in output.delegations))
    where = case.affinity if case.affinity != "none" else ""
    if not outputs:
        return f"{case.delegate} {where}".strip()
    words = {"implicit_xnnpack": "xnnpack", "builtin": "builtin"}
    said = []
    for row in outputs[-1].delegations:
        nodes = "" if row.nodes is None or row.nodes_total is None else f" {row.nodes}/{row.nodes_total}"
        if row.verdict == "none":
            said.append(f"NOT {row.delegate}")
        elif row.verdict == "unknown":
            said.append(f"{row.delegate}?")
        else:
            said.append(words.get(row.verdict, row.delegate + (" part" if row.verdict == "partial" else "")) + nodes)
    return " ".join([", ".join(said), where]).strip()


def _outputs(check: OutputCheck | str | None) -> str:
    if check is None or isinstance(check, str):
        return "-"
    if not check.passed:
        return "[red]WRONG[/]"
    return "equal" if check.equal == 1.0 else f"±{check.max_abs_error:.0e}"


def _grouped(pairs: Iterable[tuple[str | None, str]]) -> Iterable[tuple[str, list[str]]]:
    groups: dict[str, list[str]] = {}
    for text, name in pairs:
        if text is not None:
            groups.setdefault(text, []).append(name)
    return groups.items()


def _who(names: list[str]) -> str:
    shown = ", ".join(inert(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
