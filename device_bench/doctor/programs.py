"""A program's answer within a second, and what there is of optional programs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from device_bench.doctor.finding import Finding
from device_bench.process import UnfinishedError, run_process
from models.cli import one_line

PATIENCE_S = 1.2
"""Of one program. A driver that wakes a GPU takes longer; it is then said to be unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a program printed."""

    lines: tuple[str, ...] = ()
    """Of its standard output, without empty ones."""
    missing: bool = False
    """It is not installed."""
    timed_out: bool = False
    failure: str | None = None
    """What is wrong, as in "nvidia-smi …"."""


def ask(program: str, *words: str) -> Said:
    """The answer, or why there is none; nothing of the program is left running."""
    path = shutil.which(program)
    if path is None:
        return Said(missing=True)
    try:
        answer = run_process((path, *words), timeout_s=PATIENCE_S, largest_bytes=2**16, end_group=True)
    except UnfinishedError:
        return Said(timed_out=True, failure=f"gave no answer in {PATIENCE_S:g} s")
    except OSError as error:
        return Said(failure=f"cannot be started: {error.strerror or error}")
    lines = tuple(one_line(line).strip() for line in answer.stdout.decode("utf-8", "replace").splitlines())
    lines = tuple(line for line in lines if line)
    if answer.exit_code:
        stated = [*lines, *answer.stderr.decode("utf-8", "replace").splitlines()]
        return Said(failure=f"failed ({one_line(stated[-1])[:120] if stated else f'code {answer.exit_code}'})")
    return Said(lines=lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optional:
    """A program that some command uses."""

    names: tuple[str, ...]
    """Any of them will do."""
    needed_by: str
    remedy: str


OPTIONAL: tuple[Optional, ...] = (
    Optional(names=("uv",), needed_by="make lock; a faster make setup", remedy="python3 -m pip install uv"),
    Optional(
        names=("chromium", "chromium-browser", "google-chrome"),
        needed_by="make page-test",
        remedy="apt install chromium",
    ),
    Optional(names=("npm",), needed_by="the bundle's web page, and its test", remedy="apt install npm"),
    Optional(names=("minisign",), needed_by="signing what make bundle made", remedy="apt install minisign"),
)


def check_program(row: Optional, _: Path) -> Finding:
    """Whether one of a row's names is on PATH."""
    found = next((path for name in row.names if (path := shutil.which(name))), None)
    if found is None:
        return Finding(
            name=row.names[0], state="missing", found="not on PATH", needed_by=row.needed_by, remedy=row.remedy
        )
    return Finding(name=row.names[0], state="ok", found=found, needed_by=row.needed_by)


CHECKS = {row.names[0]: partial(check_program, row) for row in OPTIONAL}
"""By the name of the finding."""
