"""Records on disk, as `bench` would leave them."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_bench.case import Case
from device_bench.measuring.attempt import Attempt
from device_bench.measuring.plan import Job
from device_bench.measuring.record import BenchRecord
from device_bench.record_file import save_record
from device_bench.result import RunnerOutput
from tests.device_bench.cases import make_case, make_output, make_plan

QUIET = (1.0, 1.004, 0.997, 1.002, 0.999, 1.001, 0.996)
"""What the processes of a quiet device measure, relative to the truth."""

CASE = make_case().name

FACTS: Mapping[str, Any] = {
    "manufacturer": "Google", "model": "Pixel 8", "soc_model": "GS301", "os_name": "Android", "os_release": "14",
    "build_id": "UQ1A", "kernel": "5.15", "cpu_name": None, "machine": "aarch64", "is_emulator": False,
}  # fmt: skip


def make_record(latencies_us: Mapping[str, Sequence[float]] | None = None, **changes: object) -> BenchRecord:
    """A finished record; `latencies_us` by case name, default one case at 2 ms."""
    latencies = latencies_us or {CASE: [2000.0 * factor for factor in QUIET]}
    cases = tuple(by_name(name) for name in latencies)
    plan = make_plan(*cases, repeats=max(map(len, latencies.values())), memory=False, profile=False)
    attempts = [
        make_attempt(name, turn, make_output(value))
        for name, values in latencies.items()
        for turn, value in enumerate(values)
    ]
    value: dict[str, Any] = {
        "started": "2026-11-20T12:00:00Z",
        "finished": "2026-11-20T12:10:00Z",
        "model": {"name": "mobilenet_v1_0.25_128", "weights": "digits"},
        "target": {"identity": "1f0c9a2b" * 2, "facts": dict(FACTS), "cpus": {"usable": [{}, {}]}},
        "tool": {"version": "0.1.0", "commit": "40e80a4f1" + "0" * 31, "dirty": False},
        "runners": ({"name": "classic", "flavour": "classic", "sha256": "ab" * 32, "versions": {}},),
        "plan": plan,
        "attempts": attempts,
    }
    return BenchRecord(**{**value, **changes})


def by_name(name: str) -> Case:
    """The case of such a name."""
    precision, _, rest = name.partition(".")
    _, runner, delegate, threads, affinity = rest.split("-")
    return make_case(precision, runner=runner, delegate=delegate, threads=int(threads[:-1]), affinity=affinity)


def make_attempt(case: str, turn: int, output: RunnerOutput | None, **changes: object) -> Attempt:
    value: dict[str, Any] = {
        "job": Job(case=case, kind="latency", round=turn), "number": 1, "started": "2026-11-20T12:00:00Z",
        "argv": (), "environment": {}, "allowed_cpus": None, "exit_code": 0, "wall_s": 1.0, "harness_s": 0.1,
        "raw": "r", "output": output, "failure": None, "transient": False, "elsewhere": False, "throttled": (),
        "gate": "cool", "telemetry": {},
    }  # fmt: skip
    return Attempt(**{**value, **changes})


def slower(factor: float, case: str = CASE, level_us: float = 2000.0) -> dict[str, list[float]]:
    """Latencies of a case that is slower by a factor, in another order of noise."""
    return {case: [level_us * factor * noise for noise in reversed(QUIET)]}


def with_facts(**facts: object) -> dict[str, Any]:
    """A target with other facts."""
    return {"identity": "1f0c9a2b" * 2, "facts": {**FACTS, **facts}, "cpus": {"usable": [{}, {}]}}


def with_plan(record: BenchRecord, **changes: object) -> BenchRecord:
    """The record with another plan."""
    changed = copy.copy(record)
    changed.plan = replace(record.plan, **changes)  # type: ignore[arg-type]
    return changed


def with_twins(record: BenchRecord, ratio: float) -> BenchRecord:
    """The record with an A/A comparison that came out at a ratio."""
    case = record.plan.cases[0].name
    changed = with_plan(record, aa=True)
    changed.attempts = [*record.attempts]
    for turn, value in record.latencies(case)[1].items():
        job = Job(case=case, kind="twin", round=turn)
        changed.attempts.append(make_attempt(case, turn, make_output(value * ratio), job=job))
    return changed


def store(path: Path, record: BenchRecord) -> Path:
    """The record in a file; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_record(path, record)
    return path


def rewrite(path: Path, **changes: object) -> Path:
    """The file with other top-level values."""
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
    return path
