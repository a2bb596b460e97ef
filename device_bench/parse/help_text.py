"""A runner's usage text -> which program it is and which flags it has."""

from __future__ import annotations

import re

from device_bench.parse.lines import Log
from device_bench.result import Flavour, RunnerHelp
from models.errors import RunnerOutputError

_NATIVE = r"usage: .* <flags>"
_PYTHON = r"usage: litert-benchmark\b.*"
_FLAG = r"\t--([\w-]+)=(.*?) *\t(?:\w+)\t(?:optional|required)\t.*"


def is_usage(log: Log) -> bool:
    """Whether the usage was asked for: a runner also prints it when it refuses a flag."""
    refused = log.matches(r"Failed to parse flag .*|.*: error: .*")
    return bool(log.matches(f"{_NATIVE}|{_PYTHON}")) and not refused


def parse_help(log: Log) -> RunnerHelp:
    """The flags, and the program that has them.

    Raises:
        RunnerOutputError: no usage text, a cut one, or one of an unknown program.
    """
    if log.matches(_PYTHON):
        return _python(log)
    texts = [line.text for line in log.lines]
    start = next((at for at, text in enumerate(texts) if re.fullmatch(_NATIVE, text)), None)
    if start is None:
        raise log.missing("usage", "usage: benchmark_model <flags>")
    end = next((at for at in range(start, len(texts)) if not texts[at].strip()), None)
    if end is None:
        raise log.missing("end of the usage, an empty line,", "")
    found = [match for text in texts[start + 2 : end] if (match := re.fullmatch(_FLAG, text))]
    if len(found) != end - start - 2 or not found:
        raise RunnerOutputError(f"{end - start - 2 - len(found)} lines of the usage are no flags; the format is new")
    defaults = {match[1]: match[2] for match in found}
    return RunnerHelp(flavour=_flavour(set(defaults)), flags=tuple(sorted(defaults)), defaults=defaults)


def _flavour(names: set[str]) -> Flavour:
    if {"graph", "num_runs"} <= names:
        if {"use_npu", "dispatch_library_path"} & names:
            return "litert"
        if {"enable_op_profiling", "input_layer"} & names:
            return "classic"
    raise RunnerOutputError(
        f"the usage is of no known runner: it has {len(names)} flags, among them {sorted(names)[:5]}"
    )


def _python(log: Log) -> RunnerHelp:
    texts = [line.text for line in log.lines]
    start = next(at for at, text in enumerate(texts) if re.fullmatch(_PYTHON, text))
    end = next((at for at in range(start + 1, len(texts)) if not texts[at].startswith(" ")), None)
    if end is None:
        raise log.missing("end of the usage, an empty line,", "")
    flags = set(re.findall(r"--([\w-]+)", " ".join(texts[start:end])))
    if not {"model", "num_runs"} <= flags:
        raise RunnerOutputError(f"the usage of litert-benchmark has no --model or --num_runs: {sorted(flags)}")
    return RunnerHelp(flavour="litert_python", flags=tuple(sorted(flags)), defaults={})
