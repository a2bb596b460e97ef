"""Whether a program starts on a target at all, and what it says of itself then."""

from __future__ import annotations

import re
import signal

from device_bench.parse import parse_output
from device_bench.parse.lines import shown
from device_bench.result import RunnerHelp
from device_bench.target import Command, Finished, Target
from models.errors import ProgramError

HELP_TIMEOUT_S = 60.0
"""A minute: Python with its packages takes ten seconds on an emulated or slow board."""

_LIBRARY = re.compile(
    r"CANNOT LINK EXECUTABLE.*|error while loading shared libraries: .*|version `[^']+' not found.*", re.IGNORECASE
)


def ask_help(target: Target, command: Command, folder: str) -> RunnerHelp:
    """The flags that a runner has, which proves that it starts on this target.

    It is asked on every target anew: whether a program starts is no property of the program alone.

    Raises:
        ProgramError: it does not start.
        RunnerOutputError: it starts, and is no runner that is known.
        DeviceError: as for `Target.execute`.
    """
    finished = target.execute(command, folder, timeout_s=HELP_TIMEOUT_S)
    check_started(finished, command.argv[0])
    # `--help` ends native runners with 1, by their design.
    output = parse_output(_text(finished.stdout), _text(finished.stderr))
    if not isinstance(output, RunnerHelp):
        raise ProgramError(
            f"{shown(command.argv[0])} ran a benchmark when it was asked for --help; it is no runner that is known"
        )
    return output


def check_started(finished: Finished, program: str) -> None:
    """Refuses the end of a program that never began, where the target has not told so already.

    Raises:
        ProgramError: missing library, no permission, no such file, unknown instruction, a crash.
    """
    code, said = finished.exit_code, f"{_text(finished.stderr)}\n{_text(finished.stdout)}"
    name, last = shown(program), shown(next((line for line in said.splitlines() if line.strip()), ""))
    if code and (found := _LIBRARY.search(said)):
        raise ProgramError(
            f"{name} misses a library on this device: {shown(found[0])}; put the libraries of the same build beside "
            "it, or give a static program with --runner-path"
        )
    if code == 126:
        raise ProgramError(
            f"{name} may not be executed on this device (exit code 126: {last}); use a folder that is "
            "not mounted noexec"
        )
    if code == 127:
        raise ProgramError(
            f"{name} was not found on this device, or the loader it needs was not (exit code 127: {last}); "
            "give a runner built for this system with --runner-path"
        )
    if code > 128 and code - 128 in set(signal.Signals):
        ended = signal.Signals(code - 128)
        why = ": the device's CPU does not know an instruction of it" if ended == signal.SIGILL else ""
        step = "use a build for an older CPU" if ended == signal.SIGILL else "use another build of it"
        raise ProgramError(f"{name} was ended by {ended.name} (exit code {code}) when it started{why}; {step}")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
