"""A phone or a board behind adb, as a `Target`."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import posixpath
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from device_bench import remote
from device_bench.adb.client import Adb
from device_bench.adb.device_shell import SHORT_S, DeviceShell
from device_bench.adb.errors import excerpt, start_error, storage_error
from device_bench.adb.transfer import pull_file, push_file
from device_bench.lock import device_lock, state_folder
from device_bench.process import LARGEST_OUTPUT_BYTES
from device_bench.target import Command, Finished
from models.errors import BusyError, DeviceError, LinkError, ProgramError, StorageError, UsageError

log = logging.getLogger(__name__)

_FILE_TOO_LARGE = 128 + 25  # SIGXFSZ


class Phone:
    """One device, by its serial. Meant for one thread."""

    def __init__(self, adb: Adb, serial: str) -> None:
        self._shell = DeviceShell(adb, serial)

    @property
    def name(self) -> str:
        """The serial."""
        return self._shell.serial

    @property
    def identity(self) -> str:
        """First 16 hex digits of the serial's SHA-256."""
        return hashlib.sha256(os.fsencode(self.name)).hexdigest()[:16]

    def shell(self, script: str, *, timeout_s: float = SHORT_S) -> Finished:
        """What a short shell script of ours answered; see `Target`."""
        return self._shell.run(remote.script_call(script), timeout_s=timeout_s)

    def execute(self, command: Command, folder: str, *, timeout_s: float) -> Finished:
        """What a program answered; see `Target`. A program that cannot be started raises, too."""
        started = time.monotonic()
        if not command.argv or command.cpu_mask == 0:
            raise UsageError(f"{command} has no program or no CPU to run it on; give both")
        name = f"exec-{secrets.token_hex(8)}"
        run = posixpath.join(folder, f".{name}")
        part = remote.Seal()
        answer = self._shell.run(
            remote.execute_call(command.argv, command.environment, command.cpu_mask, folder, run, part),
            timeout_s=timeout_s,
            largest_bytes=LARGEST_OUTPUT_BYTES,
            own_folder=run,
            name=name,
            what=repr(command.argv[0]),
        )
        if answer.exit_code:
            raise self._not_begun(answer, folder)
        return self._finished(command, answer.stdout, part, time.monotonic() - started)

    def push(self, local: Path, remote: str, *, executable: bool = False) -> None:
        """Copies a file and proves it; see `Target`. Its folder must exist."""
        push_file(self._shell, local, remote, executable=executable)

    def pull(self, remote: str, local: Path, *, largest_bytes: int = 64 * 2**20) -> None:
        """Copies a file from the device and proves it; see `Target`."""
        pull_file(self._shell, remote, local, largest_bytes=largest_bytes)

    def recover(self) -> None:
        """The device answering again after its connection was lost.

        Raises:
            DeviceError: it does not within 10 s.
        """
        self._shell.recover()

    def shielded(self) -> AbstractContextManager[None]:
        """Within it, commands go on after a stop, and Ctrl-C waits: for putting things back."""
        return self._shell.adb.shielded()

    @contextmanager
    def session(self) -> Iterator[str]:
        """Path of a private folder on the device while nobody else measures on it; see `Target`."""
        with device_lock(self.identity, self.name):
            name = f"run-{secrets.token_hex(16)}"
            self._shell.scope = name
            folder, others = self._open(name)
            error: BaseException | None = None
            try:
                for other, owner in others:
                    self._clear(posixpath.join(posixpath.dirname(folder), other), owner)
                yield folder
            except BaseException as raised:
                error = raised
                raise
            finally:
                left = self._close(folder)
                self._shell.scope = "no-session"
                if left and error is None:
                    raise DeviceError(left)
                if left:
                    log.warning("%s", left)

    def _open(self, name: str) -> tuple[str, list[tuple[str, str]]]:
        """The folder, and the names and owners of other runs' folders beside it."""
        answer = self._shell.run(remote.script_call(remote.OPEN_SESSION, name, self._owner()))
        if answer.exit_code:
            raise self._no_session(answer)
        base, others = "", []
        for line in answer.stdout.decode("utf-8", "surrogateescape").splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "base":
                base = rest
            elif kind == "left" and remote.is_run(other := rest.partition(" ")[0]):
                others.append((other, rest.partition(" ")[2]))
        if not base.startswith("/"):
            raise LinkError(f"device {self.name!r} did not say where its folder is; run the same command again")
        return f"{base}/{name}", others

    def _clear(self, folder: str, owner: str) -> None:
        """Nothing left of a run that was killed; a run of somebody else is not touched.

        Raises:
            BusyError: somebody else's run is alive.
            DeviceError: something of ours cannot be removed.
        """
        name = posixpath.basename(folder)
        if owner != self._owner():
            alive = self._shell.run(remote.signal_call(name, number=0)).stdout.split()
            if alive:
                raise BusyError(
                    f"somebody else measures on device {self.name!r} now, from another computer, account or by another "
                    f"serial (process {alive[0].decode('ascii', 'replace')} on it, in {folder}); wait for it to end"
                )
            return
        if left := self._close(folder):
            raise DeviceError(left)

    def _close(self, folder: str) -> str | None:
        """Ends what runs in a folder and removes it; says what is left, and where."""
        if left := self._shell.end(posixpath.basename(folder)):
            return f"{left}; the folder {folder} is left there, too; start the device anew, then run the same command"
        try:
            answer = self._shell.clean_up(remote.script_call(remote.CLOSE_SESSION, folder))
        except DeviceError as error:
            cause = str(error).partition(";")[0]
            return f"the folder {folder} is left on device {self.name!r} ({cause}); the next run on it removes it"
        if answer.exit_code:
            words = excerpt(answer.stderr.decode("utf-8", "replace"))
            return (
                f"the folder {folder} on device {self.name!r} cannot be removed: {words!r}; remove it with `adb shell`"
            )
        return None

    def _finished(self, command: Command, stdout: bytes, part: remote.Seal, wall_s: float) -> Finished:
        pieces = stdout.split(b"\n" + part.text + b"\n")
        if len(pieces) != 4:
            raise LinkError(
                f"device {self.name!r}: the answer of {command.argv[0]!r} has {len(pieces)} parts instead of 4; "
                "run the same command again",
                transient=True,
            )
        out, err, shell = pieces[:3]
        status, _, cpus = pieces[3].decode("ascii", "replace").partition("\n")
        allowed = cpus.strip() or None
        words = (err + b"\n" + shell).decode("utf-8", "replace")
        if status == "full":
            raise storage_error(words + "\nNo space left on device", self.name, "the folder of the run")
        if status == "unstarted":
            raise ProgramError(
                f"device {self.name!r} did not start {command.argv[0]!r}: {excerpt(words)!r}; see if `adb shell` works"
            )
        if command.cpu_mask is not None and (status == "refused" or allowed is None):
            granted = f"the kernel grants {allowed}" if allowed else excerpt(words)
            raise DeviceError(
                f"device {self.name!r} does not give the CPUs {remote.format_cpus(command.cpu_mask)} (mask "
                f"{command.cpu_mask:x}): {granted}; choose CPUs that are online and allowed to adb's user"
            )
        exit_code = int(status)
        if exit_code == _FILE_TOO_LARGE:
            raise ProgramError(
                f"device {self.name!r}: {command.argv[0]!r} was ended as it wrote a file of more than "
                f"{remote.LARGEST_FILE_BYTES // 2**20} MiB; find out with `adb shell` what it writes"
            )
        if error := start_error(exit_code, words, command.argv[0], self.name):
            raise error
        return Finished(stdout=out, stderr=err, exit_code=exit_code, wall_s=wall_s, allowed_cpus=allowed)

    def _not_begun(self, answer: Finished, folder: str) -> DeviceError:
        if answer.exit_code == remote.NO_TASKSET:
            return DeviceError(
                f"device {self.name!r} has no `taskset`, so CPUs cannot be chosen on it; "
                "install util-linux, toybox or busybox on it, or leave the affinity to `none`"
            )
        return storage_error((answer.stderr + answer.stdout).decode("utf-8", "replace"), self.name, repr(folder))

    def _no_session(self, answer: Finished) -> DeviceError:
        words = (answer.stderr + answer.stdout).decode("utf-8", "replace")
        if answer.exit_code == remote.NO_BASE:
            return StorageError(
                f"device {self.name!r} has neither /data/local/tmp nor $TMPDIR nor /tmp; make one of them"
            )
        if answer.exit_code == remote.BASE_IS_LINK:
            return StorageError(f"device {self.name!r}: {excerpt(words)!r} is a symbolic link, not trusted; remove it")
        if answer.exit_code == remote.BASE_NOEXEC:
            return StorageError(
                f"device {self.name!r} runs no programs in {words.split()[-1]!r} (it is mounted noexec, or forbidden); "
                "mount it with exec, or set TMPDIR for adbd to a folder that is"
            )
        return storage_error(words, self.name, "the folder for runs")

    def _owner(self) -> str:
        """Whose runs these are: those that our lock covers. While we have it, they have ended."""
        who = f"{platform.node()}\0{os.getuid()}\0{state_folder()}\0{self.identity}"
        return hashlib.sha256(who.encode("utf-8", "surrogateescape")).hexdigest()[:16]
