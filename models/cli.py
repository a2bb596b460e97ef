"""What the command lines of all packages share: one error line, exit codes by the contract, progress on a terminal."""

from __future__ import annotations

import argparse
import io
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from models.errors import ToolchainError
from models.files import output_error
from models.worker import Progress, Report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn


OUR_PACKAGES = ("models", "export", "device_bench")


def make_command(target: str, model: str, *more: str, weights: str, dataset: str) -> str:
    """What a person types to `make` something of a network; defaults are left out."""
    given = [f"WEIGHTS={weights}"] if weights != "auto" else []
    given += [f"DATASET={dataset}"] if dataset != "digits" else []
    return shlex.join(["make", target, f"MODEL={model}", *given, *more])


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line, as all other errors are, and which takes no half-typed option."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False} | settings)

    def error(self, message: str) -> NoReturn:
        """Prints the message with the command that explains more, and exits with 2."""
        self.exit(2, f"error: {one_line(message)}; see `{self.prog} --help`\n")


def seed(text: str) -> int:
    """A seed from the command line: what NumPy, Keras and TensorFlow all take."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{value} is outside 0..4294967295")
    return value


def at_least_one(text: str) -> int:
    """A number of things from the command line."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return value


def words(text: str) -> tuple[str, ...]:
    """A comma separated list from the command line; an empty one means: not given."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def one_line(text: str) -> str:
    """`text` on one line and without control characters, so that a hostile name cannot steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def run(main: Callable[[], int]) -> NoReturn:
    """Runs a command and exits with its code.

    0 passed, 1 a check failed, 2 bad input, 3 a device failed, 130 interrupted, 141 the reader of the output is gone.
    """
    _treat_signals(signal.default_int_handler)
    sys.unraisablehook = _interrupt_again
    # Closed by the caller (`>&-`): Python has None there, and nobody reads what is said.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w", encoding="utf-8") for stream in (sys.stdout, sys.stderr))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
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
        say(f"error: {one_line(str(known))}")
        code = known.exit_code
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OUR_PACKAGES:
            raise
        # The system's Python, most often: `python3 -m models` starts there, and lacks what the set-up installs.
        say(f"error: {one_line(sys.executable)} has no {package}; use .venv/bin/python, which `make setup` makes")
        code = 2
    except KeyboardInterrupt as interrupt:
        # A command that knows more raises it anew with its words.
        say(f"interrupted: {str(interrupt) or 'nothing was left half-written; the same command starts again'}")
        code = 128 + signal.SIGINT
    # All is said and done: nothing is left to clean up.
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.unraisablehook = sys.__unraisablehook__
    _treat_signals(signal.SIG_DFL)
    sys.exit(code)


def _treat_signals(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    """A closed terminal or a cancelled job ends the program as Ctrl-C does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        # Ignored from the start: by `nohup`, or by a shell for what it runs in the background. So it stays.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Python swallows what is raised in a finalizer or a weak reference's callback; an interrupt comes once more."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    # By the alarm, a moment later: at once, it would be within the same finalizer.
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def say(line: str) -> None:
    # The terminal may be gone, or the reader of `2>&1 | head`: that changes nothing.
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def inert(text: object) -> str:
    """Text from outside for a rich console: no markup, no control characters."""
    from rich.markup import escape

    return escape(one_line(str(text)))


def result_console() -> Console:
    """Where results go: standard output, tables unbroken when it is no terminal."""
    # rich costs 0.1 s, which `--help` need not pay.
    from rich.console import Console

    class Results(Console):
        def on_broken_pipe(self) -> None:
            # The default exits with 1, which here means that a check failed.
            raise BrokenPipeError

    return Results(width=None if sys.stdout.isatty() else 120)


@contextmanager
def progress_display() -> Iterator[Report]:
    """Progress on standard error: a bar per stage on a terminal, a line per finished stage in a log."""
    if not sys.stderr.isatty():
        yield _log_report()
        return
    from rich.console import Console
    from rich.progress import Progress as Display
    from rich.progress import TaskID

    console = Console(stderr=True)
    with Display(*_columns(console.width), console=console) as display:
        tasks: dict[str, TaskID] = {}

        def report(progress: Progress) -> None:
            stage, detail = progress.stage, one_line(progress.detail)
            if stage not in tasks:
                tasks[stage] = display.add_task(stage, total=progress.total, detail="")
            display.update(tasks[stage], completed=progress.done, total=progress.total, detail=detail)

        yield report


WIDE = 100
"""Columns of a terminal that has room for bars and times beside what a stage has to say."""


def _columns(width: int) -> list[ProgressColumn]:
    """What a terminal of that width shows of a stage; only its detail may be cut, and is then seen to be."""
    from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeElapsedColumn
    from rich.table import Column
    from rich.text import Text

    class Detail(TextColumn):
        def render(self, task: Task) -> Text:
            # Not by the table's column, which would then be as little flexible as the others.
            text = super().render(task)
            text.no_wrap, text.overflow = True, "ellipsis"
            return text

    whole = Column(no_wrap=True)
    name = TextColumn("{task.description}", table_column=Column(no_wrap=True, max_width=28), markup=False)
    bar = [BarColumn(bar_width=16, table_column=whole)] if width >= WIDE else []
    elapsed = [TimeElapsedColumn(table_column=whole)] if width >= WIDE else []
    detail = Detail("{task.fields[detail]}", markup=False, table_column=Column())
    return [name, *bar, MofNCompleteColumn(table_column=whole), *elapsed, detail]


SILENCE_S = 20.0
"""Of a stage in a log, at most, as far as it has something to say."""


def _log_report() -> Report:
    started = time.monotonic()
    said: dict[str, tuple[str, float]] = {}

    def report(progress: Progress) -> None:
        moment = time.monotonic()
        before, when = said.setdefault(progress.stage, ("", moment))
        # A stage speaks when it is finished, when it begins with something to say, and to show that it is alive.
        begins = progress.done == 0 and progress.detail
        if not begins and progress.done != progress.total and moment - when < SILENCE_S:
            return
        line = f"{progress.stage} {progress.done}/{progress.total} {one_line(progress.detail)}".rstrip()
        if before != line:
            said[progress.stage] = line, moment
            say(f"{moment - started:6.1f} s  {line}")

    return report
