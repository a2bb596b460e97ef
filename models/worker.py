"""Runs a function in a fresh process, so that TensorFlow's memory, log noise and crashes stay there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import models.errors
from models.errors import ToolchainError, WorkerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a long stage stands."""

    stage: str
    done: int
    total: int
    detail: str = ""


Report = Callable[[Progress], None]


def run_in_worker(function: Callable[..., Any], *args: Any, report: Report | None = None) -> Any:
    """`function(report, *args)` computed in a new process; its result comes back, its progress while it runs.

    Whatever the process prints goes to a log that is shown only in part, and only if the process dies. Ctrl-C and any
    other exception here end the process; so does the end of this process, even by `kill -9`.

    Args:
        function: Module-level function; its first argument takes `Progress` values.
        args: Further arguments, small ones: they are copied.
        report: Receives the progress in this process.

    Raises:
        ToolchainError: what the function raised of it, same type and message.
        WorkerError: any other exception, or the process was killed or crashed.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile(prefix="worker-", suffix=".log") as log:
        process = context.Process(target=_main, args=(sender, log.name, function, args), daemon=True)
        process.start()
        sender.close()
        try:
            while True:
                try:
                    kind, value = receiver.recv()
                except EOFError:
                    process.join()
                    raise WorkerError(_obituary(function.__name__, process.exitcode, Path(log.name))) from None
                if kind == "result":
                    return value
                if kind == "error":
                    raise _rebuild(*value)
                if report:
                    report(value)
        finally:
            receiver.close()
            process.kill()
            process.join()


def _main(sender: Connection, log: str, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    # Ctrl-C reaches the whole terminal group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    try:
        result = function(lambda progress: sender.send(("progress", progress)), *args)
    except ToolchainError as error:
        sender.send(("error", (type(error).__name__, str(error))))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{function.__name__} failed: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        sender.send(("error", (WorkerError.__name__, " ".join(message.split()))))
    else:
        sender.send(("result", result))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _rebuild(name: str, message: str) -> ToolchainError:
    error_type = getattr(models.errors, name)
    error: ToolchainError = error_type.__new__(error_type)
    error.args = (message,)
    return error


def _obituary(name: str, exit_code: int | None, log: Path) -> str:
    cause = f"exit code {exit_code}"
    if exit_code is not None and exit_code < 0:
        cause = f"signal {signal.Signals(-exit_code).name}"
    if exit_code == -signal.SIGKILL:
        cause += ", which the system sends when memory runs out"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    last = f"; its last words: {' | '.join(lines[-3:])}" if lines else ""
    return f"the worker process for {name} died ({cause}){last}"
