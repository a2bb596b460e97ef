"""Which benchmark goes on, and whether what it has may be believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_bench.measuring.attempt import Attempt
from device_bench.measuring.plan import Plan
from device_bench.measuring.record import BenchRecord, load_record
from device_bench.recording import load_recording, parse_recording
from models.errors import ToolchainError, UsageError

_SAME_SYSTEM = ("os_name", "os_release", "build_id", "fingerprint", "kernel")
"""Facts that an update of the device changes."""


def find_resumable(folder: Path, identity: str, plan: Plan) -> tuple[Path, BenchRecord] | None:
    """The newest record of that target and plan.

    Raises:
        UsageError: a newer one of that target cannot be read, or holds what this program did not measure.
    """
    for path in sorted(folder.glob(f"*-{identity[:8]}.json"), reverse=True):
        try:
            record = load_record(path)
        except UsageError as error:
            raise UsageError(
                f"cannot tell where to go on: {error}; move that file away, or leave --resume out"
            ) from error
        if record.target["identity"] == identity and record.plan.digest == plan.digest:
            check_attempts(record, path)
            return path, record
    return None


def check_attempts(record: BenchRecord, path: Path) -> None:
    """Compares what a record says with the raw outputs beside it.

    Raises:
        UsageError: a process that was not planned, one too many, or other numbers than in its raw output.
    """
    known = {case.name for case in record.plan.cases}
    counts = Counter((attempt.job, attempt.number) for attempt in record.attempts)
    for attempt in record.attempts:
        what = None
        if attempt.job.case not in known:
            what = "a case that was not planned"
        elif counts[attempt.job, attempt.number] > 1:
            what = "one process twice"
        elif attempt.valid and not _agrees(attempt, path.parent / attempt.raw, path.parent):
            what = f"numbers that are not in the raw output {attempt.raw!r}"
        if what:
            raise UsageError(f"{path} holds {what}: it was edited or damaged; move it away, or leave --resume out")


def check_conditions(
    record: BenchRecord, path: Path, runners: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]
) -> None:
    """Refuses to go on under other conditions than those at the start.

    Raises:
        UsageError: another runner, or the device was updated since.
    """
    if list(record.runners) != list(runners):
        raise UsageError(f"{path} was measured with another runner than is there now; leave --resume out")
    before = record.target["facts"]
    changed = [name for name in _SAME_SYSTEM if before.get(name) != facts.get(name)]
    if changed:
        raise UsageError(f"the device has another {', '.join(changed)} than {path} was begun with; leave --resume out")


def _agrees(attempt: Attempt, raw: Path, root: Path) -> bool:
    if not raw.resolve().is_relative_to(root.resolve()):
        return False
    try:
        return parse_recording(load_recording(raw, root)) == attempt.output
    except ToolchainError:
        return False
