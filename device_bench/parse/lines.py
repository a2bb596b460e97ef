"""A log as lines without their prefixes, and errors that show the line nearest to what was looked for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from models.errors import RunnerOutputError

NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
"""A number as C++ streams and printf write it; `nan` and `inf` are none."""

# Thirty years in microseconds; up to here, sums and products of numbers stay exact enough and finite.
_LARGEST = 1e15

# `05-30 15:16:45.362  3380  3380 I tflite  : count=40 …`: what the app's runner writes, seen through logcat.
_LOGCAT = re.compile(r"\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\s+\d+\s+\d+ ([VDIWEF]) (?:tflite|litert)\s*: ")
# `INFO: ` of the tool, `INFO: [file.cc:12] ` of LiteRT; builds before 2022 write neither.
_PREFIX = re.compile(r"(INFO|WARN|WARNING|ERROR|FATAL|VERBOSE): (?:\[[\w./-]+:\d+\] ?)?")
# Python's logging as litert-benchmark sets it up.
_LOGGING = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) benchmark_litert_model: ")
_LETTERS = {"V": "VERBOSE", "D": "DEBUG", "I": "INFO", "W": "WARN", "E": "ERROR", "F": "FATAL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a log."""

    raw: str
    text: str
    """Without prefix."""
    level: str
    """INFO, WARN, ERROR, …; empty without prefix."""


@dataclass(frozen=True, slots=True)
class Log:
    """The complete lines of a log, all streams."""

    lines: tuple[Line, ...]

    def matches(self, pattern: str) -> list[re.Match[str]]:
        """Matches of the whole text of a line."""
        compiled = re.compile(pattern)
        return [found for line in self.lines if (found := compiled.fullmatch(line.text))]

    def one(self, pattern: str, what: str, example: str) -> re.Match[str]:
        """The only match.

        Raises:
            RunnerOutputError: there is none, or more than one.
        """
        found = self.optional(pattern, what)
        if found is None:
            raise self.missing(what, example)
        return found

    def optional(self, pattern: str, what: str) -> re.Match[str] | None:
        """The only match, or None.

        Raises:
            RunnerOutputError: there is more than one.
        """
        found = self.matches(pattern)
        if len({match[0] for match in found}) > 1 or len(found) > 1:
            raise RunnerOutputError(
                f"{what} is there {len(found)} times, first as {shown(found[0][0])}; keep one run per file"
            )
        return found[0] if found else None

    def missing(self, what: str, example: str) -> RunnerOutputError:
        """The error for a line that is not there."""
        nearest = self.nearest(example)
        where = f"the nearest line is {shown(nearest)}" if nearest else "there is no output"
        return RunnerOutputError(
            f"no {what} (looked for {shown(example)}); {where}; the run was cut short or the format is new",
            transient=True,
        )

    def nearest(self, example: str) -> str | None:
        """The line most like `example`; the last one if none is like it."""
        lines = [line.raw for line in self.lines if line.text.strip()]
        # Like lines stand at the end; the limits keep a hostile log from costing seconds.
        near = difflib.get_close_matches(example, [line[:200] for line in lines[-300:]], n=1, cutoff=0.5)
        return near[0] if near else (lines[-1] if lines else None)


def read_log(*streams: str) -> Log:
    """The log of these streams, one after the other.

    A last line without its newline was cut: it is left out, because its number may be cut too.
    """
    return Log(tuple(_line(raw) for stream in streams for raw in stream.split("\n")[:-1]))


def _line(raw: str) -> Line:
    raw = raw.removesuffix("\r")
    for pattern in (_LOGCAT, _LOGGING, _PREFIX):
        if found := pattern.match(raw):
            return Line(raw=raw, text=raw[found.end() :], level=_LETTERS.get(found[1], found[1]))
    return Line(raw=raw, text=raw, level="")


def shown(text: str) -> str:
    """Text of a device in quotes, control characters escaped, short enough for one sentence."""
    return repr(text if len(text) <= 160 else f"{text[:157]}...")


def number(text: str, *, line: str) -> float:
    """`text` as a number.

    Raises:
        RunnerOutputError: it is none, or beyond what any runner can measure.
    """
    if not re.fullmatch(NUMBER, text) or abs(value := float(text)) > _LARGEST:
        raise RunnerOutputError(f"{shown(text)} is no number, in line {shown(line)}")
    return value


def whole(digits: str) -> int:
    """A number of digits only.

    Raises:
        RunnerOutputError: it is beyond what any runner can count.
    """
    return int(number(digits, line=digits))


def distinct(lines: Iterable[Line], wanted: Callable[[Line], bool]) -> tuple[str, ...]:
    """The raw text of the wanted lines, each once."""
    return tuple(dict.fromkeys(line.raw for line in lines if wanted(line)))
