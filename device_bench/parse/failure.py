"""Why a run gave no result: exit code and the most telling line."""

from __future__ import annotations

import re
import signal

from device_bench.parse.lines import Line, Log, shown
from models.errors import RunnerOutputError

_FAILED = r"Benchmarking failed\.|Disallowed CPU fallback detected\."
_UNCONSUMED = r"Unconsumed cmdline flags: (.*)"
_EXCEPTION = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Interrupt)(?:: .*)?")
_NOT_STARTED = {126: "the command could not be started", 127: "the command was not found"}
_ADB_ERROR = re.compile(r"(?:adb: )?error: .*")
# Abseil's check of the CPU, before it ends the process by SIGILL.
_FATAL_ERROR = re.compile(r"FATAL ERROR: .*")
# Lines that come with every failure.
_GENERAL = re.compile(r"Benchmarking failed\.|usage: .*")


def check_success(log: Log, exit_code: int | None) -> None:
    """Refuses a run that failed, or that did not do what it was told to.

    `ERROR:` lines alone are no failure: a GPU delegate lists with them what it leaves to the CPU.

    Raises:
        RunnerOutputError: it did, with the reason.
    """
    if exit_code:
        raise RunnerOutputError(f"{_ending(exit_code)}: {_cause(log)}")
    fatal = [line.raw for line in log.lines if line.level == "FATAL"]
    failed = [found[0] for found in log.matches(_FAILED)]
    if fatal or failed:
        code = "unknown" if exit_code is None else str(exit_code)
        raise RunnerOutputError(f"the runner failed (exit code {code}): {_cause(log)}")
    if ignored := log.matches(_UNCONSUMED):
        flags = ", ".join(found[1] for found in ignored)
        raise RunnerOutputError(
            f"the runner ignored {flags} and ran with other settings than asked for; "
            "leave the flag out or use a runner that has it (its --help lists them)"
        )


def _ending(code: int) -> str:
    number = -code if code < 0 else code - 128
    if number in set(signal.Signals):
        # Nobody but the kernel or Android's low memory killer sends it to a runner; after our own there is no output.
        why = "; the device may have run out of memory" if number == signal.SIGKILL else ""
        return f"the command was ended by {signal.Signals(number).name} (exit code {code}{why})"
    return f"{_NOT_STARTED.get(code, 'the command failed')} (exit code {code})"


def _cause(log: Log) -> str:
    """The first error and the exception, or else the last line."""
    errors = [line for line in log.lines if _is_error(line) and not _GENERAL.fullmatch(line.text)]
    exceptions = [line for line in log.lines if _EXCEPTION.fullmatch(line.text)]
    last = [line for line in log.lines if line.text.strip() and not _GENERAL.fullmatch(line.text)]
    telling: list[Line] = errors[:1] + exceptions[-1:] or last[-1:]
    return "; ".join(shown(line.raw) for line in telling) or "it printed nothing"


def _is_error(line: Line) -> bool:
    return line.level in ("FATAL", "ERROR") or any(p.fullmatch(line.raw) for p in (_ADB_ERROR, _FATAL_ERROR))
