"""A baseline's record as rows, and the one of them that phones are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from device_bench.baseline.attempt import Attempt
from device_bench.baseline.record import BaselineRecord
from device_bench.baseline.summary import Summary
from device_bench.report.collect import BaselineFile
from device_bench.report.values import BaselineRow

_ORDER = {"gpu": 0, "cpu": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A baseline that can be compared with."""

    row: BaselineRow
    processes_us: tuple[tuple[float, ...], ...]
    """Latency of each run of each process, of the row's headline."""
    weights_sha256: str
    """Empty if its record does not tell."""
    told: bool
    """Whether its baseline came to its end, and measured something."""

    def latencies(self, statistic: str) -> list[float]:
        """One per process, by the statistic that the other side has: its median or its mean."""
        return [float(np.mean(runs) if statistic == "mean" else np.median(runs)) for runs in self.processes_us]


def make_references(file: BaselineFile) -> tuple[Reference, ...]:
    """One per case of a record, in its order.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the record lacks what this program writes.
    """
    summaries = file.record.summaries()
    told = file.record.finished is not None and any(summary.failure is None for summary in summaries)
    return tuple(_reference(file, summary, told) for summary in summaries)


def choose_reference(references: Sequence[Reference]) -> Reference | None:
    """What phones are compared with: a single image, on a GPU before a CPU, float32 before less, then the fastest."""
    fit = [ref for ref in references if ref.row.failure is None and ref.row.latency is not None and ref.row.batch == 1]
    return min(fit, key=_rank, default=None)


def _rank(ref: Reference) -> tuple[int, bool, float]:
    latency = ref.row.latency
    order = _ORDER.get(ref.row.accelerator or "", 2)
    return order, ref.row.precision != "float32", float("inf") if latency is None else latency.median_us


def mark_reference(references: Sequence[Reference], trained: Mapping[tuple[str, str], str]) -> tuple[BaselineRow, ...]:
    """All rows of one network, the one marked with which phones are compared.

    Args:
        references: The baselines.
        trained: Hash of the weights that are exported now, by model and weights; those of others are not compared with.
    """
    current = [r for r in references if trained.get((r.row.model, r.row.weights)) in (None, r.weights_sha256)]
    chosen = choose_reference(current)
    return tuple(replace(ref.row, reference=ref is chosen) for ref in references)


def _reference(file: BaselineFile, summary: Summary, told: bool) -> Reference:
    record, case = file.record, summary.case
    valid = [a for a in record.attempts_of(case.name, "latency") if a.valid and a.measured]
    facts = record.target["facts"]
    row = BaselineRow(
        model=str(record.model["name"]),
        weights=str(record.model["weights"]),
        label=summary.label,
        accelerator=summary.accelerator,
        device=summary.device,
        engine=case.engine,
        precision=case.precision,
        batch=case.batch,
        threads=case.threads,
        system=" ".join(str(part) for part in (facts.get("os_name"), facts.get("os_release")) if part),
        versions=_versions(record, valid),
        started=record.started,
        record=file.path,
        headline=summary.headline,
        latency=summary.latency,
        end_to_end=summary.phases.get("end_to_end"),
        p95_us=summary.p95_us,
        first_us=summary.first_us,
        init_us=summary.init_us,
        images_per_s=summary.images_per_s,
        reference=False,
        failure=summary.failure,
    )
    samples = tuple(tuple(a.measured.samples_us[summary.headline] or ()) for a in valid if a.measured)
    return Reference(
        row=row,
        processes_us=tuple(runs for runs in samples if runs),
        weights_sha256=str(record.model.get("weights_sha256") or ""),
        told=told,
    )


def _versions(record: BaselineRecord, valid: Sequence[Attempt]) -> str:
    versions = dict(valid[0].measured.versions) if valid and valid[0].measured else {}
    gpu = record.target.get("gpu") or {}
    driver = gpu.get("driver_version") or gpu.get("driver")
    return ", ".join(
        [*(f"{name} {text}" for name, text in versions.items()), *([f"driver {driver}"] if driver else [])]
    )
