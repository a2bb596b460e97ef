"""One program run on this machine: bounded in time and output, ended together with all that it started."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

LARGEST_OUTPUT_BYTES = 8 * 2**20
"""Of stdout and stderr together; the longest log of a benchmark runner known is 0.3 MB."""

_TICK_S = 0.1  # how late a stop is noticed
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Ctrl-C as threads other than the main one learn of it: through the stop event."""


class UnfinishedError(Exception):
    """A program that was ended before its own end; what it had printed until then."""

    def __init__(self, stdout: bytes, stderr: bytes) -> None:
        super().__init__("the program was ended before its own end")
        self.stdout = stdout
        self.stderr = stderr


class TimedOutError(UnfinishedError):
    """It took too long."""


class OutputTooLargeError(UnfinishedError):
    """It printed too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A program that has ended by itself, or by a signal that we did not send."""

    stdout: bytes
    stderr: bytes
    exit_code: int
    """128 + n if signal n ended it."""
    wall_s: float
    allowed_cpus: frozenset[int] | None
    """Where it was allowed to run as it started; None if the system does not tell."""


@contextmanager
def signals_held() -> Iterator[None]:
    """Ctrl-C and its kin wait until the block has ended. Elsewhere than in the main thread they never arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    before = {}
    try:
        for number in _SIGNALS:
            # None: a handler that Python did not install and could not restore.
            if signal.getsignal(number) not in (None, signal.SIG_IGN):
                before[number] = signal.signal(number, hold)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def run_process(
    argv: Sequence[str],
    *,
    timeout_s: float,
    stop: threading.Event | None = None,
    largest_bytes: int = LARGEST_OUTPUT_BYTES,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    cpus: frozenset[int] | None = None,
    end_group: bool = False,
) -> Answer:
    """What a program answered. No shell reads its words, and it has no input.

    Args:
        argv: Program and arguments.
        timeout_s: For all of it, from the start to the last byte.
        stop: Ends it soon after it is set.
        largest_bytes: Of its output.
        folder: Where it runs.
        environment: Added to our own.
        cpus: Where it may run.
        end_group: Ends what it left running in its process group, too.

    Raises:
        TimedOutError: it had to be killed.
        OutputTooLargeError: it printed more than `largest_bytes`, and was killed.
        Stopped: `stop` was set; KeyboardInterrupt in the main thread. It was killed.
        OSError: it could not be started, or not on these CPUs.
    """
    started = time.monotonic()
    process: subprocess.Popen[bytes] | None = None
    ended = False
    try:
        # Held, so that Ctrl-C cannot come after the fork and before we know whom to end.
        with signals_held(), _placed(cpus):
            process = subprocess.Popen(  # noqa: S603 - words, no shell
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=None if environment is None else {**os.environ, **environment},
                start_new_session=True,
                bufsize=0,
            )
        allowed = _allowed_cpus(process.pid)
        stdout, stderr = _collect(process, started + timeout_s, stop, largest_bytes)
        ended = True
    finally:
        if process is not None:
            with signals_held():
                _end(process, group=end_group or not ended)
    code = process.returncode
    return Answer(
        stdout=stdout,
        stderr=stderr,
        exit_code=128 - code if code < 0 else code,
        wall_s=time.monotonic() - started,
        allowed_cpus=allowed,
    )


@contextmanager
def _placed(cpus: frozenset[int] | None) -> Iterator[None]:
    """This thread, and so the children that it starts, on the CPUs given."""
    if cpus is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _allowed_cpus(pid: int) -> frozenset[int] | None:
    if not hasattr(os, "sched_getaffinity"):
        return None
    try:
        return frozenset(os.sched_getaffinity(pid))
    except ProcessLookupError:
        return None


def _collect(
    process: subprocess.Popen[bytes], deadline: float, stop: threading.Event | None, largest_bytes: int
) -> tuple[bytes, bytes]:
    """Standard output and standard error of a process, complete, once it has ended."""
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for stream, kept in ((process.stdout, stdout), (process.stderr, stderr)):
            assert stream is not None  # noqa: S101 - both were asked for
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, kept)
        while True:
            # Asked before reading: what it wrote until then is in the pipes. Waiting for their end instead would wait
            # for a grandchild that keeps them open, such as a daemon.
            ended = process.poll() is not None
            patience_s = 0 if ended else min(_TICK_S, max(0.0, deadline - time.monotonic()))
            if selector.get_map():
                ready = selector.select(patience_s)
            else:
                ready = []
                with suppress(subprocess.TimeoutExpired):
                    process.wait(patience_s)
            for key, _ in ready:
                data = os.read(key.fd, 2**16)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
            if len(stdout) + len(stderr) > largest_bytes:
                raise OutputTooLargeError(bytes(stdout), bytes(stderr))
            if ended and not ready:
                return bytes(stdout), bytes(stderr)
            if stop is not None and stop.is_set():
                raise Stopped
            if time.monotonic() > deadline:
                raise TimedOutError(bytes(stdout), bytes(stderr))


def _end(process: subprocess.Popen[bytes], *, group: bool) -> None:
    if group:
        # macOS: PermissionError where only a zombie is left of the group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    # Not for ever: the kernel may hold it, waiting for a USB cable.
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
