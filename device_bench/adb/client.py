"""The only place that starts `adb`: every call is bounded in time and output, and can be stopped.

What adb's exit code says is not believed: adb 29 and 34 return 0 with a cut answer when the device dies meanwhile.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device_bench.adb.devices import Choice, Device, choose_devices, parse_devices
from device_bench.adb.errors import adb_error, excerpt
from device_bench.adb.program import (
    check_versions,
    client_version,
    find_adb,
    is_network_serial,
    parse_address,
    server_from_environment,
    server_version,
)
from device_bench.process import (
    LARGEST_OUTPUT_BYTES,
    Answer,
    OutputTooLargeError,
    Stopped,
    TimedOutError,
    run_process,
    signals_held,
)
from device_bench.remote import Seal
from device_bench.target import Finished
from models.errors import DeviceError, LinkError, ProgramError, UnreachableError

_LIST_TIMEOUT_S = 15.0
_PROBE_TIMEOUT_S = 5.0
_START_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 15.0
_SLOWEST_BYTES_PER_S = 200_000  # a phone on bad Wi-Fi


class _Shield(threading.local):
    depth = 0


class Adb:
    """adb with one server. May be used by several threads, one per device."""

    def __init__(
        self, program: str | Path | None = None, server: str | None = None, stop: threading.Event | None = None
    ) -> None:
        """Finds the program; starts nothing yet.

        Args:
            program: Path of adb; None takes `ADB`, the one on PATH or the adbutils package's, in this order.
            server: `host:port` of an adb server that runs already; None takes adb's own default, and starts it.
            stop: Ends every call soon after it is set.

        Raises:
            UsageError: no adb, or no such address.
        """
        self.program = find_adb(program)
        self._remote = parse_address(server) if server else None
        self._stop = stop
        self._shield = _Shield()
        self._starting = threading.Lock()
        self._started = False
        self._has_shell_v2: dict[str, bool] = {}

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Clean-up in it goes on after a stop; Ctrl-C waits. Every call in it still ends by its own timeout."""
        self._shield.depth += 1
        try:
            with signals_held():
                yield
        finally:
            self._shield.depth -= 1

    def devices(self) -> tuple[Device, ...]:
        """What is attached, usable or not.

        Raises:
            DeviceError: adb or its server does not work.
        """
        answer = self.run("devices", "-l", timeout_s=_LIST_TIMEOUT_S)
        return parse_devices(_text(answer.stdout) + "\n" + _text(answer.stderr))

    def choose(self, selection: str | None = None) -> Choice:
        """The devices that a selection means; those on the network (`host:port`) are connected first.

        Args:
            selection: None for the only usable one (or `ANDROID_SERIAL`'s), serials with commas between them, or `all`.

        Raises:
            UsageError: no selection and several devices, or an unknown serial.
            UnreachableError: no device, or none of those meant can be used.
        """
        selection = selection if selection is not None else os.environ.get("ANDROID_SERIAL") or None
        known = {device.serial: device for device in self.devices()}
        for serial in (selection or "").split(","):
            if is_network_serial(serial) and (serial not in known or known[serial].state == "offline"):
                self.reconnect(serial)
        return choose_devices(self.devices(), selection)

    def connect(self, address: str) -> None:
        """A device on the network, attached and answering.

        Raises:
            UnreachableError: it does not take the connection, or has not authorized this computer.
        """
        answer = self.run("connect", address, timeout_s=_CONNECT_TIMEOUT_S)
        text = _text(answer.stdout + answer.stderr)
        # Its exit code is 0 either way.
        if not re.search(r"^(already )?connected to ", text, re.MULTILINE):
            raise adb_error(text, address) or UnreachableError(
                f"device {address!r}: adb cannot connect ({excerpt(text)!r}); check that it is on and in this network"
            )

    def disconnect(self, address: str) -> None:
        """No connection to a device on the network any more, whether or not there was one."""
        self.run("disconnect", address, timeout_s=_CONNECT_TIMEOUT_S)

    def reconnect(self, serial: str, *, patience_s: float = 10.0) -> None:
        """A device that was lost, answering again: one on the network is connected anew, one on USB waited for.

        Raises:
            DeviceError: it does not answer within `patience_s`.
        """
        deadline = time.monotonic() + patience_s
        while True:
            try:
                if is_network_serial(serial):
                    # Without it, adb says "already connected" and means the connection that broke.
                    self.disconnect(serial)
                    self.connect(serial)
                return self.probe(serial)
            except DeviceError as error:
                if not error.transient or time.monotonic() > deadline:
                    raise
            self._wait(0.3)

    def probe(self, serial: str) -> None:
        """Proves that the device runs commands: a stopped adbd is listed as `device` for ever.

        Raises:
            DeviceError: it does not.
        """
        self.shell(serial, "echo", mark="probe", timeout_s=_PROBE_TIMEOUT_S, probe=False)

    def shell(
        self,
        serial: str,
        command: str,
        *,
        mark: str,
        timeout_s: float,
        largest_bytes: int = LARGEST_OUTPUT_BYTES,
        what: str = "a command",
        probe: bool = True,
    ) -> Finished:
        """What a shell command of ours answered on the device, whole.

        On an error the command may go on there: it is found by its mark.

        Args:
            serial: The device.
            command: For its shell; words from outside are quoted.
            mark: For the environment of its processes.
            timeout_s: For all of it.
            largest_bytes: Of its output.
            what: What a person calls it.
            probe: Whether to find out after a timeout if it was the command or the connection.

        Raises:
            UnreachableError: nothing was started.
            LinkError: the answer is missing or cut (transient).
            ProgramError: it took too long, or printed too much.
        """
        seal = Seal()
        words = [*self._shell_words(serial), seal.sealed(command, mark)]
        try:
            answer = self._call(words, serial=serial, timeout_s=timeout_s, largest_bytes=largest_bytes)
        except TimedOutError:
            if probe:
                self._explain_silence(serial, timeout_s, what)
            raise LinkError(
                f"device {serial!r} gave no answer in {timeout_s:g} s although adb may list it; "
                "switch USB debugging off and on, or start it anew",
                transient=True,
            ) from None
        except OutputTooLargeError:
            raise ProgramError(
                f"{what} on device {serial!r} printed more than {largest_bytes / 2**20:g} MiB; "
                "find out with `adb shell` what it prints"
            ) from None
        try:
            stdout, exit_code = seal.opened(answer.stdout)
        except LinkError:
            error = adb_error(_text(answer.stderr), serial) if seal.text not in answer.stdout else None
            # Words such as "device offline" say that nothing was started only if nothing was printed.
            if error is not None and not answer.stdout:
                raise error from None
            raise
        return Finished(stdout=stdout, stderr=answer.stderr, exit_code=exit_code, wall_s=answer.wall_s)

    def push(self, serial: str, local: Path, remote: str) -> None:
        """Copies a file; whether it arrived whole is for the caller to prove.

        Raises:
            DeviceError: adb says that it failed, with the reason.
        """
        seconds = 30 + local.stat().st_size / _SLOWEST_BYTES_PER_S
        answer = self.run("push", str(local.absolute()), remote, serial=serial, timeout_s=seconds)
        if answer.exit_code:
            # adb 29 says it on stdout, adb 36 on stderr.
            text = _text(answer.stderr + b"\n" + answer.stdout)
            raise adb_error(text, serial) or DeviceError(
                f"device {serial!r}: `adb push` to {remote!r} failed with exit code {answer.exit_code}: "
                f"{excerpt(text)!r}; check the folder on the device",
                transient=True,
            )

    def run(self, *words: str, serial: str | None = None, timeout_s: float) -> Answer:
        """The answer of one adb command, whatever its exit code.

        Raises:
            DeviceError: adb cannot be run, or did not end in time (transient).
        """
        try:
            return self._call(words, serial=serial, timeout_s=timeout_s, largest_bytes=LARGEST_OUTPUT_BYTES)
        except (TimedOutError, OutputTooLargeError) as error:
            what = "did not end" if isinstance(error, TimedOutError) else "printed without end"
            raise LinkError(
                f"`adb {words[0]}`{f' for device {serial!r}' if serial else ''} {what} in {timeout_s:g} s; "
                "plug the device in again; if that does not help, see whether `adb devices` answers",
                transient=True,
            ) from None

    def _call(
        self, words: tuple[str, ...] | list[str], *, serial: str | None, timeout_s: float, largest_bytes: int
    ) -> Answer:
        self._start_server()
        where = ["-H", self._remote.host, "-P", str(self._remote.port)] if self._remote else []
        which = [] if serial is None else ["-s", serial]
        return self._run([*where, *which, *words], timeout_s, largest_bytes)

    def _run(self, words: list[str], timeout_s: float, largest_bytes: int = LARGEST_OUTPUT_BYTES) -> Answer:
        stop = None if self._shield.depth else self._stop
        try:
            return run_process([str(self.program), *words], timeout_s=timeout_s, stop=stop, largest_bytes=largest_bytes)
        except OSError as error:
            raise DeviceError(
                f"cannot run {self.program} as adb: {error.strerror or error}; name another one with ADB=PATH"
            ) from error

    def _start_server(self) -> None:
        """A running server before the first command, whose chatter would come with the answer otherwise.

        The versions are compared beforehand: adb would end a server of another version, whoever uses it.
        """
        with self._starting:
            if self._started:
                return
            address = self._remote or server_from_environment(os.environ)
            if address is not None:
                running = server_version(address)
                client = client_version(_text(self._run(["version"], _START_TIMEOUT_S).stdout))
                check_versions(self.program, client, running, address)
                if running is None and self._remote:
                    raise UnreachableError(
                        f"no adb server listens at {address}; start it there with "
                        f"`adb -a -P {address.port} nodaemon server`, or check the address",
                        transient=True,
                    )
            if not self._remote:
                answer = self._run(["start-server"], _START_TIMEOUT_S)
                if answer.exit_code:
                    text = _text(answer.stderr + answer.stdout)
                    raise adb_error(text, "any") or UnreachableError(
                        f"adb cannot start its server: {excerpt(text)!r}; run `adb start-server` by hand"
                    )
            self._started = True

    def _shell_words(self, serial: str) -> list[str]:
        if serial not in self._has_shell_v2:
            answer = self.run("features", serial=serial, timeout_s=_LIST_TIMEOUT_S)
            text = _text(answer.stderr + answer.stdout)
            if answer.exit_code and (error := adb_error(text, serial)):
                raise error
            self._has_shell_v2[serial] = answer.exit_code == 0 and "shell_v2" in text.split()
        # Without it (Android before 7), `shell` puts a terminal between, which changes line ends; `exec-out` does not.
        # Both streams come as one then.
        return ["shell", "-n", "-T"] if self._has_shell_v2[serial] else ["exec-out"]

    def _explain_silence(self, serial: str, timeout_s: float, what: str) -> None:
        """Raises ProgramError if the device still answers."""
        try:
            with self.shielded():
                self.probe(serial)
        except DeviceError:
            return
        raise ProgramError(
            f"{what} on device {serial!r} took longer than {timeout_s:g} s, while the device still answers; "
            "give it more time, or find out with `adb shell` why it is slow"
        )

    def _wait(self, seconds: float) -> None:
        if self._stop is None or self._shield.depth:
            time.sleep(seconds)
        elif self._stop.wait(seconds):
            raise Stopped


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
