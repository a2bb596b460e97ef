"""What both native runners have in common: flags as words, and reading what came back."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from device_bench.case import Case, RunSettings
from device_bench.recording import Recording, ResultFiles, load_result_files, parse_recording
from device_bench.result import RunnerOutput
from device_bench.runners.runner import RunnerInfo
from device_bench.target import Command, Finished
from models.errors import RunnerOutputError

RESULT_PROTO = "result.pb"

INSTALLED = "found on the device"
"""`RunnerInfo.source` of programs that were there."""

Flag = tuple[str, str | int | float | bool]


def known_flags(info: RunnerInfo, flags: Iterable[Flag]) -> tuple[str, ...]:
    """`--name=value` for those that the program has, in their order: any other would be ignored without an error."""
    return tuple(f"--{name}={_value(value)}" for name, value in flags if name in info.flags)


def run_control(case: Case, settings: RunSettings) -> tuple[Flag, ...]:
    """Threads, runs and times; all explicit, since the defaults differ between builds."""
    return (
        ("num_threads", case.threads),
        ("num_runs", settings.runs),
        ("min_secs", settings.min_s),
        ("max_secs", settings.max_s),
        ("warmup_runs", settings.warmup_runs),
        ("warmup_min_secs", settings.warmup_min_s),
    )


def lacks(info: RunnerInfo, *needed: str) -> str | None:
    """The sentence on flags that are needed and not there; None if all are."""
    missing = [f"--{name}" for name in needed if name not in info.flags]
    if not missing:
        return None
    return f"this build of benchmark_model has no {', '.join(missing)}; give another with --runner-path"


def library_path(path: str, source: str) -> dict[str, str]:
    """The environment in which a copied program finds its libraries beside it; an installed one finds them itself."""
    return {} if source == INSTALLED else {"LD_LIBRARY_PATH": posixpath.dirname(path)}


def read_run(finished: Finished, files: Path | None, names: Sequence[str], command: Command) -> RunnerOutput:
    """The numbers of a run, checked against its result files of these names.

    Raises:
        RunnerOutputError: it failed, ignored a flag, left no file where one was asked for, or cannot be read.
    """
    output = parse_recording(
        Recording(
            name="",
            # The delegates asked for; the rest, with the names of files in it, is not for the parser.
            command=" ".join(word for word in command.argv[1:] if word.startswith("--use_")),
            stdout=finished.stdout.decode("utf-8", "replace"),
            stderr=finished.stderr.decode("utf-8", "replace"),
            exit_code=finished.exit_code,
            **(load_result_files(files) if files else ResultFiles(profile=None, result_json=None, result_proto=None)),
        )
    )
    if not isinstance(output, RunnerOutput):
        raise RunnerOutputError("the runner printed its usage instead of a result; it refused its command line")
    for name in names:
        if files is None or not (files / name).is_file():
            raise RunnerOutputError(f"the run succeeded but left no {name}, which it was told to write")
    return output


def _value(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
