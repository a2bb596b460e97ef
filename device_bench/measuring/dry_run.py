"""The commands of a plan as a person would type them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from device_bench.measuring.artifacts import Exported
from device_bench.measuring.plan import Plan
from device_bench.runners.runner import Runner
from device_bench.target import Command, Target

_FOLDER = "/data/local/tmp/device_bench/run"


def dry_run(target: Target, plan: Plan, runners: Sequence[Runner], exported: Exported) -> Iterator[str]:
    """Every push and every process of the plan, in order, for a POSIX shell; folders are named by example."""
    local = target.name == "local"
    adb = f"adb -s {shlex.quote(target.name)}"
    by_name = {runner.info.name: runner for runner in runners}
    cases = {case.name: case for case in plan.cases}
    paths = {}
    for case in plan.cases:
        source = exported.folder / case.model.file
        paths[case.name] = str(source) if local else f"{_FOLDER}/{case.model.precision}.{case.model.format}"
        if not local and paths[case.name] not in list(paths.values())[:-1]:
            yield f"{adb} push {shlex.quote(str(source))} {shlex.quote(paths[case.name])}"
    for job in plan.jobs():
        case = cases[job.case]
        command = by_name[case.runner].command(case, job.kind, plan.settings, paths[job.case], _FOLDER)
        words = format_command(command)
        yield words if local else f"{adb} shell {shlex.quote(words)}"


def format_command(command: Command) -> str:
    """A command with its environment and CPUs, quoted for a POSIX shell."""
    environment = [f"{name}={shlex.quote(value)}" for name, value in command.environment.items()]
    pinned = [] if command.cpu_mask is None else ["taskset", f"{command.cpu_mask:x}"]
    return " ".join([*environment, *pinned, shlex.join(command.argv)])
