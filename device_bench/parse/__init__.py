"""Text of benchmark runners -> values. Pure: no files, no devices; what is missing or new is an error, no guess."""

from __future__ import annotations

from device_bench.op_profile import OpProfile
from device_bench.parse import classic, litert, litert_python, loop
from device_bench.parse.delegation import parse_delegations, requested_delegates, settle_by_profile
from device_bench.parse.failure import check_success
from device_bench.parse.help_text import is_usage, parse_help
from device_bench.parse.lines import Log, distinct, read_log
from device_bench.parse.profile_tables import parse_profiles
from device_bench.result import Flavour, RunnerHelp, RunnerOutput
from models.errors import RunnerOutputError

_NO_VERSION = "runners print no version; the sha256 of the program identifies it"
_NOT_PROFILED = "the run did not profile"
_PROFILED = r"Enable op profiling: \[1\]"
_PROFILE_FILE = r"(?:CSV File to export profiling data to|Op profiling output file)[^:]*: \[.+\]"


def parse_output(
    stdout: str,
    stderr: str = "",
    *,
    exit_code: int | None = None,
    command: str | None = None,
    profile: str | None = None,
    result_json: str | None = None,
) -> RunnerOutput | RunnerHelp:
    """The result of one run, or the flags if the run was one of `--help`.

    Args:
        stdout: As captured, complete; with the runner's streams merged (`2>&1`), everything.
        stderr: As captured, complete.
        exit_code: Of the runner itself, None if nobody knows.
        command: The command line, which tells the delegates that were asked for.
        profile: Content of the operator profile's file, if it was written to one.
        result_json: Content of the timed loop's result file, which holds its numbers.

    Raises:
        RunnerOutputError: the run failed or ignored a flag; a line is missing, comes twice or contradicts another.
    """
    log = read_log(stdout, stderr)
    if is_usage(log):
        return parse_help(log)
    check_success(log, exit_code)
    return _parse_loop(log, result_json) if log.matches(loop.BANNER) else _parse_run(log, command, profile)


def _parse_loop(log: Log, text: str | None) -> RunnerOutput:
    banner = log.one(loop.BANNER, "start of the timed loop", "INFO: timed loop: ai_edge_litert 2.3.0")
    result = loop.read_result(log, text)
    return RunnerOutput(
        flavour="loop",
        version=f"{banner[1]} {banner[2]}",
        parameters=loop.parameters(result),
        measured=loop.parse_measured(result),
        delegations=loop.delegations(log, result),
        profiles=None,
        warnings=_warnings(log),
        missing={"profiles": "the timed loop does not profile"},
    )


def _parse_run(log: Log, command: str | None, profile: str | None) -> RunnerOutput:
    flavour = detect_flavour(log)
    if flavour == "litert_python":
        parameters = litert_python.echoed(log)
        delegations = litert_python.delegations(log, litert_python.accelerators(parameters, log))
        measured = litert_python.parse_measured(log)
    else:
        parameters = classic.parameters(log)
        delegations = parse_delegations(log, requested_delegates(parameters, command))
        measured = (classic if flavour == "classic" else litert).parse_measured(log)
    profiles = _profiles(log, profile)
    if flavour == "classic":
        delegations = settle_by_profile(delegations, profiles or ())
    missing = {"version": _NO_VERSION} | ({"profiles": _NOT_PROFILED} if profiles is None else {})
    return RunnerOutput(
        flavour=flavour,
        version=None,
        parameters=parameters,
        measured=measured,
        delegations=delegations,
        profiles=profiles,
        warnings=_warnings(log),
        missing=missing,
    )


def _warnings(log: Log) -> tuple[str, ...]:
    # "Duplicate flags" speaks of the program's own table of flags: TF 2.14 prints it in every run.
    return distinct(
        log.lines,
        lambda line: line.level in ("WARN", "WARNING", "ERROR") and not line.text.startswith("Duplicate flags: "),
    )


def detect_flavour(log: Log) -> Flavour:
    """Which of the three programs that are not ours wrote the log.

    Raises:
        RunnerOutputError: none of them did.
    """
    # litert-benchmark and LiteRT's native runner have `BENCHMARK RESULTS` in common, the native ones `STARTING!`.
    if any(litert_python.LOGGER in line.raw for line in log.lines) or log.matches(" BENCHMARK RESULTS"):
        return "litert_python"
    if any("benchmark_litert_model." in line.raw for line in log.lines) or log.matches(litert.BANNER):
        return "litert"
    if log.matches(r"STARTING!|(?:Average i|I)nference timings in us: .*|count=[0-9].*|Log parameter values .*"):
        return "classic"
    raise log.missing("output of a benchmark runner", "INFO: STARTING!")


def _profiles(log: Log, file: str | None) -> tuple[OpProfile, ...] | None:
    """Reports in the log or in the file beside it; None if the run did not profile."""
    profiles = parse_profiles(log)
    if file is not None:
        profiles += parse_profiles(read_log(file))
    if profiles:
        if log.matches(_PROFILED) and not any(profile.phase == "inference" for profile in profiles):
            raise log.missing(
                "operator profile of the runs", "Operator-wise Profiling Info for Regular Benchmark Runs:"
            )
        return profiles
    if log.matches(_PROFILED):
        where = " and its file is not here" if log.matches(_PROFILE_FILE) else ""
        raise RunnerOutputError(f"the run profiled, but there is no operator profile in its output{where}")
    return None
