"""The commands of a plan as a person would type them."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from device_bench.case import Case
from device_bench.measuring.artifacts import Exported
from device_bench.measuring.plan import Plan
from device_bench.runners.loop import SCRIPT
from device_bench.runners.runner import Runner
from device_bench.target import Command, Target

_ON_PHONE = "/data/local/tmp/device_bench/run"


def dry_run(target: Target, folder: str, plan: Plan, runners: Sequence[Runner], exported: Exported) -> Iterator[str]:
    """Every push and every timed process of the plan, in order, for a POSIX shell.

    Args:
        target: Where.
        folder: Of the session that asks. It is gone when somebody types the commands, so they name another.
        plan: What.
        runners: By which programs.
        exported: Which files.
    """
    local = target.name == "local"
    example = f"{tempfile.gettempdir()}/device_bench-run" if local else _ON_PHONE
    prefix = f"adb -s {shlex.quote(target.name)}"
    by_name = {runner.info.name: runner for runner in runners}
    cases = {case.name: case for case in plan.cases}

    def there(words: str) -> str:
        return words if local else f"{prefix} shell {shlex.quote(words)}"

    def send(source: Path, name: str) -> str:
        words = (shlex.quote(str(source)), shlex.quote(f"{example}/{name}"))
        return " ".join(("cp", *words) if local else (prefix, "push", *words))

    yield there(f"mkdir -p {shlex.quote(example)}")
    yield from dict.fromkeys(send(exported.folder / case.model.file, _name(case)) for case in plan.cases)
    timed = [
        format_command(by_name[cases[job.case].runner].command(
            cases[job.case], job.kind, plan.settings, f"{example}/{_name(cases[job.case])}", example
        )).replace(folder, example)
        for job in plan.jobs()
    ]  # fmt: skip
    if any(f"{example}/{SCRIPT.name}" in words for words in timed):
        yield send(SCRIPT, SCRIPT.name)
    if plan.check_images or plan.accuracy_images:
        images = max(plan.check_images, plan.accuracy_images)
        yield f"# here the outputs for {images} pictures are computed with each file and compared with the desktop's"
    yield from map(there, timed)
    if plan.sustained_min:
        yield f"# then each case's latency process again and again, for {plan.sustained_min:g} minutes"


def _name(case: Case) -> str:
    return f"{case.model.precision}.{case.model.format}"


def format_command(command: Command) -> str:
    """A command with its environment and CPUs, quoted for a POSIX shell."""
    environment = [f"{name}={shlex.quote(value)}" for name, value in command.environment.items()]
    pinned = [] if command.cpu_mask is None else ["taskset", f"{command.cpu_mask:x}"]
    return " ".join([*environment, *pinned, shlex.join(command.argv)])
