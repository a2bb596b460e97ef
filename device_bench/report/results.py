"""A benchmark's record as rows: one result per case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_bench.case import Case
from device_bench.comparing.conditions import conditions
from device_bench.comparing.records import Stored
from device_bench.measuring.attempt import Attempt
from device_bench.measuring.correctness import Accuracy, OutputCheck
from device_bench.measuring.record import BenchRecord, check_name
from device_bench.measuring.summary import Summary
from device_bench.report.collect import BenchFile
from device_bench.report.operators import operator_rows
from device_bench.report.processes import look_of, process_rows, temperatures
from device_bench.report.values import Device, Result
from device_bench.result import Delegation
from device_bench.state.device_name import device_name
from device_bench.stats import noise_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A result with what its comparisons need."""

    result: Result
    statistic: str
    latencies_us: Mapping[int, float]
    """Of each valid process, by round."""
    floor: float
    """Noise floor of its benchmark, as a share; 0 if it was not measured."""
    conditions: Mapping[str, str]
    """Under which it was measured, by name; its precision is none of them."""
    weights_sha256: str
    told: bool
    """Whether the benchmark got so far as to say of the case that it is good or bad."""


def describe_device(record: BenchRecord) -> Device:
    """What a record measured on."""
    target, facts = record.target, record.target["facts"]
    return Device(
        identity=str(target["identity"]),
        name=device_name(facts) or str(target["kind"]),
        kind="desktop" if target["kind"] == "local" else "phone",
        system=_words(facts.get("os_name"), facts.get("os_release")) or "unknown system",
        chip=_words(facts.get("soc_manufacturer"), facts.get("soc_model")),
        cpu=_words(facts.get("cpu_name") or facts.get("machine")),
        memory_bytes=facts.get("memory_total_bytes"),
        emulated=bool(facts.get("is_emulator")),
    )


def result_id(record: BenchRecord, case: Case) -> str:
    """What stays the same from one measurement of a case on a device to the next."""
    return f"{record.target['identity']} {record.model['name']} {record.model['weights']} {case.name}"


def make_rows(file: BenchFile, known: Mapping[tuple[str, str], frozenset[tuple[str, str]]]) -> tuple[Row, ...]:
    """One row per case of a record, in its order, without comparisons.

    Args:
        file: The record.
        known: Names and hashes of the exported files, by model and weights.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the record lacks what this program writes.
    """
    record = file.record
    origin = (str(record.model["name"]), str(record.model["weights"]))
    cases = {case.name: case for case in record.plan.cases}
    files = known.get(origin, frozenset())
    rows = [(cases[summary.case], summary) for summary in record.summaries()]
    return tuple(_row(file, case, summary, (case.model.file, case.model.sha256) in files) for case, summary in rows)


def _row(file: BenchFile, case: Case, summary: Summary, known: bool) -> Row:
    record = file.record
    timed = [a for kind in ("latency", "sustained") for a in record.attempts_of(case.name, kind)]
    valid = [a for a in timed if a.valid and a.output]
    statistic, latencies = record.latencies(case.name)
    sensor, span = temperatures(valid)
    check = record.check_of(case.name)
    accuracy = record.accuracy.get(check_name(case.runner, case.model.file, case.delegate))
    result = Result(
        id=result_id(record, case),
        device=str(record.target["identity"]),
        model=str(record.model["name"]),
        weights=str(record.model["weights"]),
        file=case.model.file,
        format=case.model.format,
        precision=case.model.precision,
        sha256=case.model.sha256,
        size_bytes=case.model.size_bytes,
        known_file=known,
        case=case.name,
        runner=case.runner,
        runner_version=_runner_version(record, case),
        delegate=case.delegate,
        ran_on=_ran_on(record, case),
        threads=case.threads,
        affinity=case.affinity,
        started=record.started,
        system=describe_device(record).system,
        record=file.path,
        statistic=statistic,
        latency=summary.latency,
        p95_us=summary.p95_us,
        first_us=summary.first_us,
        init_us=summary.init_us,
        peak_rss_bytes=summary.peak_rss_bytes,
        temperature_c=span,
        temperature_of=sensor,
        top1_device=accuracy.top1 if isinstance(accuracy, Accuracy) else None,
        throttled=summary.throttled,
        failure=summary.failure,
        missing=_missing(summary, valid, span, accuracy),
        against_desktop=None,
        against_float32=None,
        processes=process_rows(record, case.name, valid, sensor),
        operators=operator_rows(record, case),
        front=False,
    )
    twins = record.twins()
    return Row(
        result=result,
        statistic=statistic,
        latencies_us=latencies,
        floor=0.0 if twins is None else noise_floor(twins),
        conditions=_conditions(file, case),
        weights_sha256=str(record.model["weights_sha256"]),
        told=summary.failure is None
        or any(a.failure is not None and not a.transient for a in timed)
        or (isinstance(check, OutputCheck) and not check.passed),
    )


def _conditions(file: BenchFile, case: Case) -> dict[str, str]:
    found = conditions(Stored(path=Path(file.path), record=file.record), case)
    return {name: text for name, text in found.items() if name != "precision"}


def _words(*parts: object) -> str:
    return " ".join(str(part) for part in parts if part)


def _runner_version(record: BenchRecord, case: Case) -> str:
    """As the runner tells it, else the start of its program's hash, which identifies it as well."""
    outputs = [a.output for a in record.attempts_of(case.name, "latency") if a.output and a.output.version]
    if outputs and outputs[0].version:
        return outputs[0].version
    info = next((row for row in record.runners if row["name"] == case.runner), {})
    versions = " ".join(f"{name} {text}" for name, text in dict(info.get("versions") or {}).items())
    digest = info.get("sha256")
    return versions or (f"sha256 {str(digest)[:8]}" if digest else "unknown version")


def _ran_on(record: BenchRecord, case: Case) -> str:
    outputs = [a.output for kind in ("profile", "latency") for a in record.attempts_of(case.name, kind) if a.output]
    telling = [o for o in outputs if all(row.verdict != "unknown" for row in o.delegations)] or outputs
    return ", ".join(_verdict(row) for row in telling[-1].delegations) if telling else "nothing"


def _verdict(row: Delegation) -> str:
    nodes = "" if row.nodes is None or row.nodes_total is None else f" {row.nodes} of {row.nodes_total} nodes"
    words = {
        "none": f"not {row.delegate}",
        "unknown": f"{row.delegate}, unproven",
        "implicit_xnnpack": "xnnpack",
        "builtin": "builtin kernels",
        "partial": f"{row.delegate} in part",
    }
    return words.get(row.verdict, row.delegate) + nodes


def _missing(
    summary: Summary, valid: Sequence[Attempt], span: tuple[float, float] | None, accuracy: Accuracy | str | None
) -> dict[str, str]:
    """Why values are not known, by name."""
    outputs = [a.output for a in valid if a.output]
    reasons: dict[str, str] = {}
    for output in outputs:
        reasons |= {**output.measured.latency.missing, **output.measured.missing}
    looks = [look for a in valid if (look := look_of(a, "after"))]
    warmth = next((look.missing["temperatures"] for look in looks if "temperatures" in look.missing), "not measured")
    nothing = "no process gave a result"
    known: dict[str, tuple[object, str]] = {
        "latency": (summary.latency, nothing),
        "p95_us": (summary.p95_us, reasons.get("p95_us", nothing if not outputs else "not every process told it")),
        "first_us": (summary.first_us, reasons.get("first_us", nothing)),
        "init_us": (summary.init_us, reasons.get("init_us", nothing)),
        "peak_rss_bytes": (summary.peak_rss_bytes, "no process measured memory, or its runner cannot"),
        "temperature_c": (span, warmth if outputs else nothing),
        "top1_device": (
            accuracy if isinstance(accuracy, Accuracy) else None,
            accuracy if isinstance(accuracy, str) else "not asked for: make bench ... ACCURACY=100",
        ),
    }
    return {name: why for name, (value, why) in known.items() if value is None}
