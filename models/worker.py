"""Runs a function in a fresh process, so that TensorFlow's memory, log noise and crashes stay there."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from models.errors import ToolchainError, WorkerError
from models.files import output_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a long stage stands."""

    stage: str
    done: int
    total: int
    detail: str = ""


Report = Callable[[Progress], None]

Handler = Callable[[int, Any], object]
"""Of a signal, as Python calls it: with the number and the frame."""

LOG = "said.log"
"""What a worker prints, in its folder."""

STARTING = "start TensorFlow"
"""The stage that every worker with TensorFlow begins with, and that takes seconds."""


@dataclass(frozen=True, slots=True)
class Task:
    """A call to make in a process of its own: `function(report, *args)`."""

    function: Callable[..., Any]
    """Module-level; its first argument takes `Progress` values."""
    args: tuple[Any, ...] = ()
    """Small values: they are copied."""


def run_in_worker(function: Callable[..., Any], *args: Any, report: Report | None = None) -> Any:
    """`function(report, *args)` computed in a new process; its progress comes back while it runs, then its result.

    Raises:
        ToolchainError: what the function raised of it, same type and message.
        WorkerError: it raised anything else, or its process was killed or crashed.
    """
    (outcome,) = run_in_workers([Task(function, args)], at_once=1, report=report)
    if isinstance(outcome, ToolchainError):
        raise outcome
    return outcome


def run_in_workers(tasks: Sequence[Task], *, at_once: int, report: Report | None = None) -> list[Any]:
    """Results of the tasks in their order; a task that failed gives its `ToolchainError` instead.

    What the processes print goes to logs that are shown only in part, and only if a process dies. Ctrl-C and any other
    exception here end the processes; so does the end of this process, even by `kill -9`.

    Args:
        tasks: The calls.
        at_once: How many processes may run together.
        report: Receives all progress, in this process.
    """
    outcomes: dict[int, Any] = {}
    waiting = list(enumerate(tasks))
    running: dict[Connection, tuple[int, _Worker]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                number, task = waiting.pop(0)
                with _interrupts_put_off():
                    worker = _Worker(task)
                    running[worker.receiver] = number, worker
            for receiver in wait(list(running)):
                number, worker = running[receiver]  # type: ignore[index]
                kind, value = worker.receive()
                if kind == "progress":
                    if report:
                        report(value)
                    continue
                outcomes[number] = value
                # It has delivered and is about to leave; killed now, it would leave semaphores behind.
                worker.end(patience_s=10)
                del running[receiver]  # type: ignore[arg-type]
    finally:
        for _, worker in running.values():
            worker.end()
    return [outcomes[number] for number in range(len(tasks))]


@contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Ctrl-C and the signals that are treated like it strike after the block, and Ctrl-C never its new processes.

    A process that is only half started when its parent gives up would complain on the terminal, and nobody would know
    of it who could end it.
    """
    came: list[tuple[Handler, int]] = []
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                handler = signal.getsignal(number)
                if callable(handler):
                    stack.callback(signal.signal, number, handler)
                    signal.signal(number, partial(_note, came, handler))
        # Its start would undo the mask.
        resource_tracker.ensure_running()
        # Processes inherit the mask. For this one it would not be enough: another thread, such as one of NumPy's, takes
        # the signal, and Python then interrupts the main thread all the same.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        yield
    for strike, came_as in came:
        strike(came_as, None)


def _note(came: list[tuple[Handler, int]], handler: Handler, number: int, _: object) -> None:
    came.append((handler, number))


class _Worker:
    """A process at work on a task, seen from the parent."""

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = task.function.__name__
        # Its log and all temporary files of the process, which may be killed before it removes them.
        self.folder = tempfile.TemporaryDirectory(prefix="worker-", ignore_cleanup_errors=True)
        self.receiver, sender = context.Pipe(duplex=False)
        self.process = context.Process(target=_main, args=(sender, self.folder.name, task), daemon=True)
        self.process.start()
        # The process has its own copy; without closing ours, its death would not be seen.
        sender.close()

    def receive(self) -> tuple[str, Any]:
        """The next message: `progress`, `result` or `error`."""
        try:
            kind, value = self.receiver.recv()
        except (EOFError, OSError):
            # OSError: it died in the middle of a message.
            self.process.join()
            return "error", WorkerError(_obituary(self.name, self.process.exitcode, Path(self.folder.name, LOG)))
        return kind, _rebuild(*value) if kind == "error" else value

    def end(self, *, patience_s: float = 0.0) -> None:
        """Ends the process, if it has not ended by itself after the time given."""
        self.process.join(patience_s)
        self.process.kill()
        self.process.join()
        self.receiver.close()
        self.folder.cleanup()


def _main(sender: Connection, folder: str, task: Task) -> None:
    threading.Thread(target=_die_with_parent, args=(folder,), daemon=True).start()
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    descriptor = os.open(Path(folder, LOG), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    try:
        result = task.function(lambda progress: sender.send(("progress", progress)), *task.args)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        cause = _explain(error, task.function.__name__)
        sender.send(("error", (type(cause), str(cause))))
    else:
        sender.send(("result", result))


def _explain(error: Exception, name: str) -> ToolchainError:
    if isinstance(error, ToolchainError):
        return error
    refusal = output_error(error) if isinstance(error, OSError) else None
    if refusal:
        return refusal
    place = traceback.extract_tb(error.__traceback__)[-1]
    message = f"{name} failed: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    return WorkerError(" ".join(message.split()))


def _die_with_parent(folder: str) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


def _rebuild(error_type: type[ToolchainError], message: str) -> ToolchainError:
    # Not by its constructor, which may want more than the message.
    error = error_type.__new__(error_type)
    error.args = (message,)
    return error


def _obituary(name: str, exit_code: int | None, log: Path) -> str:
    cause = f"exit code {exit_code}"
    if exit_code is not None and exit_code < 0:
        cause = f"signal {signal.Signals(-exit_code).name}"
    if exit_code == -signal.SIGKILL:
        cause += ", which the system sends when memory runs out"
    # There is none if it died before its first line.
    said = log.read_text(errors="replace") if log.exists() else ""
    lines = [line for line in said.splitlines() if line.strip()]
    last = f"; its last words: {' | '.join(lines[-3:])}" if lines else ""
    return f"the worker process for {name} died ({cause}){last}"
