"""Commands on one device, none of which outlives its call: what was started is found again by its mark, and ended."""

from __future__ import annotations

import logging
import secrets
import time
from pathlib import Path

from device_bench import remote
from device_bench.adb.client import Adb
from device_bench.process import LARGEST_OUTPUT_BYTES
from device_bench.target import Finished
from models.errors import DeviceError, UnreachableError

log = logging.getLogger(__name__)

SHORT_S = 15.0
"""Enough for a command that computes nothing, on a phone that wakes up."""

_END_TIMEOUT_S = 6.0
_END_PATIENCE_S = 5.0
_RECOVERY_PATIENCE_S = 10.0


class DeviceShell:
    """The shell of one device."""

    def __init__(self, adb: Adb, serial: str) -> None:
        self.adb = adb
        self.serial = serial
        self.scope = "no-session"
        """In the mark of every command: the session it belongs to."""

    def run(
        self,
        command: str,
        *,
        timeout_s: float = SHORT_S,
        largest_bytes: int = LARGEST_OUTPUT_BYTES,
        own_folder: str = "",
        name: str | None = None,
        what: str = "a command",
    ) -> Finished:
        """What a command answered, whole; after any error, Ctrl-C included, nothing of it runs on there.

        Args:
            command: For the device's shell.
            timeout_s: For all of it.
            largest_bytes: Of its output.
            own_folder: That it makes for a program, if it does; gone with the program.
            name: Unique, to find its processes by.
            what: What a person calls it.

        Raises:
            DeviceError: as `Adb.shell`; the message also says if something could not be ended.
        """
        name = name or f"shell-{secrets.token_hex(8)}"
        mark = f"{self.scope}/{name}"
        try:
            return self._retried(command, mark, timeout_s, largest_bytes, what)
        except UnreachableError:
            raise
        except DeviceError as error:
            end = self.end(name, own_folder=own_folder) or "what ran was ended there"
            # The next step stays last.
            what, _, next_step = str(error).rpartition("; ")
            raise type(error)(f"{what}; {end}; {next_step}", transient=error.transient) from error
        except KeyboardInterrupt:
            if left := self.end(name, own_folder=own_folder):
                log.warning("%s", left)
            raise

    def push(self, local: Path, path: str) -> None:
        """`Adb.push`, tried again if it could not even begin."""
        try:
            self.adb.push(self.serial, local, path)
        except UnreachableError as error:
            self._recover_from(error)
            self.adb.push(self.serial, local, path)

    def recover(self) -> None:
        """The device answering again.

        Raises:
            DeviceError: it does not within 10 s.
        """
        self.adb.reconnect(self.serial, patience_s=_RECOVERY_PATIENCE_S)

    def end(self, name: str, *, own_folder: str = "") -> str | None:
        """Ends all processes with `name` in their mark or command line, and says what could not be ended.

        Goes on after a stop. A lost connection is tried once more.
        """
        call = remote.signal_call(name, own_folder=own_folder)
        deadline = time.monotonic() + _END_PATIENCE_S
        with self.adb.shielded():
            try:
                while left := self.clean_up(call).stdout.split():
                    if time.monotonic() > deadline:
                        pids = ", ".join(pid.decode("ascii", "replace") for pid in left[:20])
                        return f"processes {pids} on device {self.serial!r} could not be ended"
                    time.sleep(0.05)
            except DeviceError as error:
                cause = str(error).partition(";")[0]
                return (
                    f"what ran on device {self.serial!r} may still run there, as it cannot be asked ({cause}), until "
                    "the next run on it ends it"
                )
        return None

    def clean_up(self, command: str) -> Finished:
        """What a short command answered, even after a stop, and with one new connection if need be.

        Raises:
            DeviceError: it did not answer then either.
        """
        with self.adb.shielded():
            try:
                return self._clean(command)
            except DeviceError:
                self.recover()
                return self._clean(command)

    def _retried(self, command: str, mark: str, timeout_s: float, largest_bytes: int, what: str) -> Finished:
        try:
            return self._answer(command, mark, timeout_s, largest_bytes, what)
        except UnreachableError as error:
            # Nothing was started, so nothing can run twice.
            self._recover_from(error)
            return self._answer(command, mark, timeout_s, largest_bytes, what)

    def _recover_from(self, error: UnreachableError) -> None:
        if not error.transient:
            raise error
        self.recover()

    def _answer(self, command: str, mark: str, timeout_s: float, largest_bytes: int, what: str) -> Finished:
        return self.adb.shell(
            self.serial, command, mark=mark, timeout_s=timeout_s, largest_bytes=largest_bytes, what=what
        )

    def _clean(self, command: str) -> Finished:
        # A device that is silent here has been asked long enough: no probe.
        return self.adb.shell(self.serial, command, mark="clean-up", timeout_s=_END_TIMEOUT_S, probe=False)
