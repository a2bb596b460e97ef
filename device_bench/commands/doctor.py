"""`doctor`: what this machine has for each command, and what to install for those it lacks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_bench.doctor.finding import Finding
from models.cli import one_line
from models.files import format_json

ROOT = Path(__file__).resolve().parents[2]
"""The clone."""


def add_options(commands: Any) -> None:
    """The command line."""
    doctor = commands.add_parser(
        "doctor",
        help="check this machine: what is there, what is not, what to install for which command",
        description="Looks for what the commands need, in two seconds at most. Starts no adb server, imports no "
        "TensorFlow, changes nothing.",
        epilog="exit codes: 0 `make export` can run, 2 it cannot",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON instead of a table")
    doctor.set_defaults(run=run_doctor)


def run_doctor(arguments: argparse.Namespace) -> int:
    """Looks, and says what was found."""
    from device_bench.doctor.examine import examine

    findings = examine(ROOT)
    ready = not any(finding.blocks for finding in findings)
    if arguments.json:
        rows = [finding.to_json() for finding in findings]
        print(format_json({"schema": 1, "ready": ready, "findings": rows}), end="")
    else:
        print("\n".join(format_findings(findings)))
    return 0 if ready else 2


def format_findings(findings: Sequence[Finding]) -> list[str]:
    """Lines for a person; without rich, which is not there before the set-up."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:8}{finding.name:{width}}  {one_line(finding.found)}")
        if finding.state != "ok":
            lines.append(f"{'':8}{'':{width}}  for: {one_line(finding.needed_by)}")
        if finding.remedy:
            lines.append(f"{'':8}{'':{width}}  do:  {one_line(finding.remedy)}")
    blocking = [finding.name for finding in findings if finding.blocks]
    lines.append(f"`make export` cannot run: {', '.join(blocking)}" if blocking else "`make export` can run")
    return lines
