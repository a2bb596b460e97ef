"""Runs the programs that build the lab, from several threads, and ends them all when one of them fails."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from models.errors import LabError

_TIMEOUT_S = 600.0


class Programs:
    """Programs at work. Once ended, no other one starts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = False

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        to: str,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """What the program printed to standard output.

        Args:
            argv: Program and arguments.
            to: What it is for, as in "cannot {to}".
            folder: To run it in.
            environment: In place of this process's.

        Raises:
            LabError: it is not there, failed, or took more than 10 minutes.
        """
        process = self._start([str(word) for word in argv], to, folder, environment)
        try:
            stdout, stderr = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise LabError(
                f"cannot {to}: {argv[0]} was not done after {_TIMEOUT_S:g} s; try again", transient=True
            ) from None
        finally:
            self._end(process)
        if process.returncode:
            raise LabError(f"cannot {to}: {_reason(stderr, process.returncode)}; mend that and try again")
        return stdout

    def end(self) -> None:
        """Kills what runs, and lets nothing else start."""
        with self._lock:
            self._ended = True
            running = list(self._running)
        for process in running:
            _kill(process)

    def _start(
        self, argv: list[str], to: str, folder: Path | None, environment: Mapping[str, str] | None
    ) -> subprocess.Popen[str]:
        with self._lock:
            if self._ended:
                raise LabError(f"did not {to}: the build was ended")
            try:
                process = subprocess.Popen(  # noqa: S603 - words of our own, never a shell
                    argv,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            except OSError as error:
                raise LabError(f"cannot {to}: {argv[0]} does not start: {error.strerror or error}") from None
            self._running.add(process)
            return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        _kill(process)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
        with self._lock:
            self._running.discard(process)


def _kill(process: subprocess.Popen[str]) -> None:
    # It leads a session of its own: its children go with it, and no child of ours is left behind.
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _reason(stderr: str, code: int) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # apt and pip say the cause in a line of this kind, and warn before and after it.
    causes = [line for line in lines if line.startswith(("E:", "ERROR", "error", "Err:")) or "error:" in line] or lines
    return " | ".join(causes[:2])[:400] if causes else f"exit code {code} without a word"
