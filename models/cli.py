"""What the command lines of all packages share: one error line, exit codes by the contract, progress on a terminal."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from models.errors import ToolchainError
from models.files import output_error
from models.worker import Progress, Report

if TYPE_CHECKING:
    from rich.console import Console


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line, as all other errors are."""

    def error(self, message: str) -> NoReturn:
        """Prints the message with the command that explains more, and exits with 2."""
        self.exit(2, f"error: {one_line(message)}; see `{self.prog} --help`\n")


def seed(text: str) -> int:
    """A seed from the command line: what NumPy, Keras and TensorFlow all take."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{value} is outside 0..4294967295")
    return value


def one_line(text: str) -> str:
    """`text` on one line and without control characters, so that a hostile name cannot steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def run(main: Callable[[], int]) -> NoReturn:
    """Runs a command and exits with its code: 0 passed, 1 a check failed, 2 bad input, 130 interrupted."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Python must not fail again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except (ToolchainError, OSError) as error:
        known = error if isinstance(error, ToolchainError) else output_error(error)
        if known is None:
            raise
        sys.stderr.write(f"error: {one_line(str(known))}\n")
        code = known.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing was left half-written; the same command starts again\n")
        code = 128 + signal.SIGINT
    sys.exit(code)


def inert(text: object) -> str:
    """Text from outside for a rich console: no markup, no control characters."""
    from rich.markup import escape

    return escape(one_line(str(text)))


def result_console() -> Console:
    """Where results go: standard output, tables unbroken when it is no terminal."""
    # rich costs 0.1 s, which `--help` need not pay.
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)


@contextmanager
def progress_display() -> Iterator[Report]:
    """A line per stage on standard error: bar, count, elapsed time and detail."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Display
    from rich.table import Column

    console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)
    columns = (
        TextColumn("{task.description}", table_column=Column(width=28, no_wrap=True)),
        BarColumn(bar_width=16, table_column=Column(width=16)),
        MofNCompleteColumn(table_column=Column(width=9, no_wrap=True)),
        TimeElapsedColumn(table_column=Column(width=8, no_wrap=True)),
        TextColumn("{task.fields[detail]}", table_column=Column(no_wrap=True)),
    )
    with Display(*columns, console=console, transient=False) as display:
        tasks: dict[str, object] = {}

        def report(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = display.add_task(progress.stage, total=progress.total, detail="")
            display.update(
                tasks[progress.stage],  # type: ignore[arg-type]
                completed=progress.done,
                total=progress.total,
                detail=progress.detail,
            )

        yield report
