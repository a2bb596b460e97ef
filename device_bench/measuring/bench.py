"""`bench`: from what a person asked for to a record per target, several targets side by side."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from device_bench.case import Case, Delegate, Model, Pass, RunnerName, RunSettings
from device_bench.measuring.artifacts import (
    Exported,
    Pictures,
    export_first,
    exported_folder,
    find_exported,
    load_pictures,
)
from device_bench.measuring.check import DesktopOutputs
from device_bench.measuring.dry_run import dry_run
from device_bench.measuring.measure import Measurement, anonymous
from device_bench.measuring.plan import Plan
from device_bench.measuring.record import BENCH_FOLDER, BenchRecord
from device_bench.measuring.resume import check_conditions, find_resumable
from device_bench.record_file import describe_tool, now_utc, record_stem, save_record
from device_bench.runners.discover import available_runners
from device_bench.runners.runner import Runner
from device_bench.state.control import changed_settings, restore_left_over
from device_bench.state.cpus import Cpus, read_cpus, resolve_affinity
from device_bench.state.facts import DeviceFacts, read_facts
from device_bench.state.thermal import Limits
from device_bench.target import DeviceUnderTest
from export.precision import Precision
from models.errors import ToolchainError, UsageError
from models.files import output_errors
from models.spec import ModelSpec
from models.worker import Progress, Report

THREADS = (1, 4)
"""Measured unless asked otherwise: one thread tells the kernels' speed, four is what the runtimes' guides recommend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What to measure, the same for all targets."""

    runners: tuple[RunnerName, ...]
    """Empty: the first that each target has."""
    runner_path: Path | None
    """A native runner for all targets."""
    delegates: tuple[Delegate, ...]
    threads: tuple[int, ...]
    """Empty: `THREADS`, as far as the target has CPUs for them."""
    affinity: str
    settings: RunSettings
    repeats: int
    memory: bool
    profile: bool
    check_images: int
    accuracy_images: int
    sustained_min: float
    seed: int
    limits: Limits
    patience_s: float
    resume: bool
    dry_run: bool
    fixed_performance: bool
    stay_awake: bool
    aa: bool = False
    """Measure the first case twice in each round, for the noise floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a benchmark on one target ended."""

    target: str
    record: BenchRecord | None = None
    """None if it failed before anything was measured, and for a dry run."""
    path: Path | None = None
    """Of the record."""
    plan: Plan | None = None
    commands: tuple[str, ...] = ()
    """Of a dry run, in order, for a POSIX shell."""
    error: ToolchainError | None = None
    complete: bool = False
    """There was nothing left to measure: the record is an older one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What all targets share."""

    exported: Exported
    pictures: Pictures
    desktop: DesktopOutputs


def prepare(
    spec: ModelSpec,
    weights: str,
    dataset: str,
    precisions: tuple[Precision, ...],
    build_dir: Path,
    images: int,
    report: Report,
) -> Prepared:
    """Files and pictures; files that are not there yet are exported now.

    Raises:
        ToolchainError: the export failed.
        DataError: the data set has fewer test images than asked for.
    """
    folder = exported_folder(build_dir, spec.name, weights, dataset)
    exported = find_exported(folder, weights, dataset, precisions)
    if exported is None:
        report(Progress(stage="export", done=0, total=1, detail="not exported yet: exporting now"))
        exported = export_first(spec, weights, dataset, precisions, build_dir, report)
        report(Progress(stage="export", done=1, total=1, detail=f"into {folder}"))
    spec = replace(spec, preprocessing=exported.preprocessing)
    pictures = load_pictures(exported, spec, dataset, images, report)
    desktop = DesktopOutputs(exported=exported, preprocessing=spec.preprocessing, pictures=pictures, report=report)
    return Prepared(exported=exported, pictures=pictures, desktop=desktop)


def make_plan(
    request: BenchRequest, models: Sequence[Model], runners: Sequence[Runner], cpus: Cpus
) -> tuple[Plan, Mapping[str, Any]]:
    """All cases in table order, and how the affinity policy was understood.

    Raises:
        UsageError: nothing of what was asked for can be measured on this target; the message has every reason.
    """
    threads = request.threads or tuple(dict.fromkeys(min(count, _room(cpus, request.affinity)) for count in THREADS))
    affinity = resolve_affinity(cpus, request.affinity, max(threads))
    cases, skipped = [], []
    lacking: list[tuple[str, Pass, str]] = []
    extra: tuple[tuple[Pass, bool], ...] = (("memory", request.memory), ("profile", request.profile))
    for runner, model, delegate, count in product(runners, models, dict.fromkeys(request.delegates), threads):
        case = Case(
            model=model,
            runner=runner.info.name,
            delegate=delegate,
            threads=count,
            affinity=affinity.policy,
            cpu_mask=affinity.cpu_mask,
        )
        # The GPU computes with its own threads: one row says all.
        if delegate == "gpu" and count != threads[0]:
            continue
        reason = runner.refuses(case, "latency")
        if reason is None:
            cases.append(case)
            wanted = (kind for kind, asked in extra if asked)
            lacking += ((case.name, kind, why) for kind in wanted if (why := runner.refuses(case, kind)))
        else:
            skipped.append((case.name, reason))
    if not cases:
        reasons = "; ".join(dict.fromkeys(reason for _, reason in skipped))
        raise UsageError(f"nothing that was asked for can be measured here: {reasons}")
    plan = Plan(
        cases=tuple(cases),
        skipped=tuple(skipped),
        settings=request.settings,
        repeats=request.repeats,
        memory=request.memory,
        profile=request.profile,
        check_images=request.check_images,
        accuracy_images=request.accuracy_images,
        sustained_min=request.sustained_min,
        seed=request.seed,
        fixed_performance=request.fixed_performance,
        stay_awake=request.stay_awake,
        aa=request.aa,
        lacking=tuple(lacking),
    )
    return plan, affinity.to_json()


def _room(cpus: Cpus, policy: str) -> int:
    chosen = resolve_affinity(cpus, policy, 1).cpus or tuple(cpu.number for cpu in cpus.usable or ())
    return len(chosen) or 1


def bench_all(
    targets: Sequence[DeviceUnderTest], request: BenchRequest, prepared: Prepared, report: Report, stop: threading.Event
) -> list[Outcome]:
    """One outcome per target; they are measured side by side, and one that fails costs the others nothing.

    Args:
        targets: Where.
        request: What.
        prepared: The files.
        report: Receives all progress.
        stop: Set on Ctrl-C, so that every target is left as it was found before this returns.
    """
    lock = threading.Lock()

    def say(progress: Progress) -> None:
        with lock:
            report(progress)

    with ThreadPoolExecutor(len(targets)) as pool:
        futures = [pool.submit(bench_target, target, request, prepared, say) for target in targets]
        try:
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            # The pool waits for its threads when it is left: they restore settings and remove their folders.
            stop.set()
            raise


def bench_target(target: DeviceUnderTest, request: BenchRequest, prepared: Prepared, report: Report) -> Outcome:
    """Measures on one target, or tells what would be done there."""
    outcome = Outcome(target=target.name)
    try:
        with target.session() as folder:
            restore_left_over(target)
            facts, cpus = read_facts(target, folder), read_cpus(target)
            runners = available_runners(
                target, facts, folder, wanted=request.runners, runner_path=request.runner_path, report=report
            )
            plan, affinity = make_plan(request, prepared.exported.models, runners, cpus)
            if request.dry_run:
                commands = tuple(dry_run(target, folder, plan, runners, prepared.exported))
                return replace(outcome, plan=plan, commands=commands)
            record, path = _open_record(target, request, prepared, plan, runners, facts, cpus, affinity)
            outcome = replace(outcome, record=record, path=path, complete=record.finished is not None)
            if record.finished is None:
                _measure(target, folder, request, prepared, runners, record, path, report)
    except ToolchainError as error:
        if outcome.record is not None and outcome.path is not None:
            outcome.record.failure = anonymous(str(error), target)
            save_record(outcome.path, outcome.record)
        return replace(outcome, error=error)
    return outcome


def _measure(
    target: DeviceUnderTest,
    folder: str,
    request: BenchRequest,
    prepared: Prepared,
    runners: Sequence[Runner],
    record: BenchRecord,
    path: Path,
    report: Report,
) -> None:
    with changed_settings(
        target, stay_awake=request.stay_awake, fixed_performance=request.fixed_performance
    ) as changes:
        record.settings_changed = tuple(change.to_json() for change in changes)
        Measurement(
            target=target,
            folder=folder,
            exported=prepared.exported,
            pictures=prepared.pictures,
            runners={runner.info.name: runner for runner in runners},
            desktop=prepared.desktop,
            record=record,
            path=path,
            limits=request.limits,
            patience_s=request.patience_s,
            fixed_performance=any(c.setting == "fixed_performance" and c.outcome == "accepted" for c in changes),
            report=report,
        ).run()


def _open_record(
    target: DeviceUnderTest,
    request: BenchRequest,
    prepared: Prepared,
    plan: Plan,
    runners: Sequence[Runner],
    facts: DeviceFacts,
    cpus: Cpus,
    affinity: Mapping[str, Any],
) -> tuple[BenchRecord, Path]:
    """A new record on disk, or with `resume` the newest one of the same plan, target and runners."""
    folder = prepared.exported.folder / BENCH_FOLDER
    used = {case.runner for case in plan.cases}
    infos = tuple(runner.info.to_json() for runner in runners if runner.info.name in used)
    if request.resume and (found := find_resumable(folder, target.identity, plan)):
        path, record = found
        check_conditions(record, path, infos, facts.to_json())
        record.forget_failures()
        return record, path
    record = BenchRecord(
        started=now_utc(),
        model=prepared.exported.description(),
        target={
            "kind": "local" if target.name == "local" else "adb",
            "identity": target.identity,
            "facts": facts.to_json(),
            "cpus": cpus.to_json(),
            "affinity": affinity,
        },
        tool=describe_tool(),
        runners=infos,
        plan=plan,
    )
    path = folder / f"{record_stem(record.started, facts.model or target.name, target.identity)}.json"
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    save_record(path, record)
    return record, path
