"""Raw outputs of one run on disk, so that they can be read again by a better parser.

FOLDER/                  any depth of folders above
└── int8_plain/          one recording: a folder with a file `stdout` or `stderr`
    ├── cmd              the command line, optional; it tells the delegates that were asked for
    ├── stdout, stderr   as captured; one of them may be missing
    ├── exit_code        of the runner, optional
    ├── *.csv            operator profile, optional
    ├── *.json           what litert-benchmark wrote for --result_json, optional; what the timed loop wrote, needed
    └── *.pb             what a native runner wrote for --result_file_path, optional
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from device_bench.parse import parse_output
from device_bench.parse.litert_python import parse_result_json
from device_bench.parse.result_proto import parse_result_proto
from device_bench.result import Measured, RunnerHelp, RunnerOutput
from models.errors import RunnerOutputError, UsageError

_LARGEST_BYTES = 32 * 2**20


class ResultFiles(TypedDict):
    """Content of the files that a run wrote."""

    profile: str | None
    result_json: str | None
    result_proto: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Raw outputs of one run."""

    name: str
    """Path from the folder that was searched, readable even where the file system's is not."""
    command: str | None
    stdout: str
    stderr: str
    exit_code: int | None
    profile: str | None
    result_json: str | None
    result_proto: bytes | None


def find_recordings(folder: Path) -> list[Path]:
    """The recordings in `folder`, itself included, sorted.

    Raises:
        UsageError: there is no such folder, no recording in it, or a folder in it that cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(
            f"no folder {str(folder)!r}; give one that holds recordings, `parse --help` shows their layout"
        )
    walk = os.walk(folder, onerror=_refuse)
    found = [Path(where) for where, _, files in walk if {"stdout", "stderr"} & set(files)]
    if not found:
        raise UsageError(f"no recording in {str(folder)!r}: no folder with a file `stdout` or `stderr`")
    return sorted(found)


def load_recording(folder: Path, root: Path) -> Recording:
    """The recording in `folder`.

    Raises:
        RunnerOutputError: a file cannot be read, or holds something else.
    """
    code = _text(folder / "exit_code")
    try:
        exit_code = None if code is None else int(code)
    except ValueError:
        raise RunnerOutputError(f"exit_code holds {code[:40] if code else ''!r}, which is no number") from None
    return Recording(
        name=recording_name(folder, root),
        command=_text(folder / "cmd"),
        stdout=_text(folder / "stdout") or "",
        stderr=_text(folder / "stderr") or "",
        exit_code=exit_code,
        **load_result_files(folder),
    )


def load_result_files(folder: Path) -> ResultFiles:
    """What the run wrote beside its output, None where there is no such file.

    Raises:
        RunnerOutputError: a file cannot be read, or there are several of a kind.
    """
    return ResultFiles(
        profile=_text(_only(folder, "csv")),
        result_json=_text(_only(folder, "json")),
        result_proto=_content(_only(folder, "pb")),
    )


def recording_name(folder: Path, root: Path) -> str:
    """The path of `folder` under `root`, bytes that are no text written as escapes."""
    path = folder.name if folder == root else str(folder.relative_to(root))
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def parse_recording(recording: Recording) -> RunnerOutput | RunnerHelp:
    """What the run said, checked against the result files that it wrote.

    Raises:
        RunnerOutputError: it cannot be read, or text and file disagree.
    """
    output = parse_output(
        recording.stdout,
        recording.stderr,
        exit_code=recording.exit_code,
        command=recording.command,
        profile=recording.profile,
        result_json=recording.result_json,
    )
    if isinstance(output, RunnerOutput) and output.flavour != "loop":
        if recording.result_json is not None:
            _compare(output.measured, parse_result_json(recording.result_json), "JSON file")
        if recording.result_proto is not None:
            _compare(output.measured, parse_result_proto(recording.result_proto), "result file")
    return output


def _compare(text: Measured, file: Measured, what: str) -> None:
    """Refuses a file of another run. Both round: 1e-5 and, where text has two decimals of a millisecond, 10 us."""
    pairs = [("init_us", text.init_us, file.init_us), ("runs", text.latency.runs, file.latency.runs)]
    for name in ("mean_us", "min_us", "max_us", "p5_us", "median_us", "p95_us"):
        one, other = getattr(text.latency, name), getattr(file.latency, name)
        if one is not None and other is not None:
            pairs.append((name, one, other))
    for name, one, other in pairs:
        if not math.isclose(one, other, rel_tol=1e-5, abs_tol=0 if name == "runs" else 10):
            raise RunnerOutputError(
                f"{name} is {one:g} in the printed text and {other:g} in the {what}: two runs are mixed"
            )


def _refuse(error: OSError) -> None:
    raise UsageError(f"cannot look into {error.filename!r}: {error.strerror or error}; mend its permissions")


def _only(folder: Path, ending: str) -> Path | None:
    paths = sorted(folder.glob(f"*.{ending}"))
    if len(paths) > 1:
        raise RunnerOutputError(
            f"{len(paths)} files *.{ending} beside one output; keep the files of one run per folder"
        )
    return paths[0] if paths else None


def _text(path: Path | None) -> str | None:
    content = _content(path)
    # Runners print the model's own strings, which may be anything.
    return None if content is None else content.decode("utf-8", "replace")


def _content(path: Path | None) -> bytes | None:
    if path is None or not path.is_file():
        return None
    try:
        size = path.stat().st_size
        if size > _LARGEST_BYTES:
            raise RunnerOutputError(
                f"{path.name} has {size} bytes, at most {_LARGEST_BYTES} are read; it is no runner's"
            )
        return path.read_bytes()
    except OSError as error:
        raise RunnerOutputError(f"{path.name} cannot be read: {error.strerror or error}") from error
