"""The texts of adb, of device shells and of linkers as typed errors with one next step each. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from models.errors import DeviceError, LinkError, ProgramError, StorageError, UnreachableError

_LONGEST_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Cause:
    """One row: a text, and what it means."""

    pattern: str
    """Searched for in what adb printed."""
    error: type[DeviceError]
    transient: bool
    what: str
    next_step: str


_AGAIN = "run the same command again"
_REPLUG = "plug it in again or connect it again, then run the same command"

ADB_CAUSES: tuple[Cause, ...] = (
    # The first that matches counts. Versions differ in prefix (`error: `, `adb: `, `adb: error: `) and stream.
    Cause(r"more than one device", UnreachableError, False, "adb sees several devices", "name one by its serial"),
    Cause(
        r"device unauthorized|failed to authenticate to",
        UnreachableError,
        False,
        "it has not authorized this computer",
        "unlock its screen, accept `Allow USB debugging?`, and run the same command again",
    ),
    Cause(r"device still (authorizing|connecting)", UnreachableError, True, "it is not ready yet", _AGAIN),
    Cause(r"device offline", UnreachableError, True, "it is offline", _REPLUG),
    Cause(
        r"insufficient permissions for device|no permissions",
        UnreachableError,
        False,
        "this user may not open it",
        "install Android's udev rules, join the group plugdev, log in again, plug it in again",
    ),
    Cause(r"no devices/emulators found", UnreachableError, True, "no device is attached", _REPLUG),
    Cause(r"device '.*' not found|no such device", UnreachableError, True, "adb does not see it", _REPLUG),
    Cause(
        r"doesn't match this client",
        DeviceError,
        False,
        "two versions of adb fight for one server",
        "use one adb only (ADB=PATH), or a server of your own (ANDROID_ADB_SERVER_PORT=5038)",
    ),
    Cause(
        r"cannot connect to daemon|failed to start daemon|could not (read ok from|start) ADB [Ss]erver"
        r"|failed to check server version|cannot bind|Address already in use",
        UnreachableError,
        True,
        "the adb server cannot be reached or started",
        "run `adb start-server` by hand, or choose another port with ANDROID_ADB_SERVER_PORT",
    ),
    Cause(
        r"failed to connect to|unable to connect to|cannot connect to|cannot resolve host|failed to resolve",
        UnreachableError,
        True,
        "it does not take the connection",
        "check that it is on, on the same network, and that `adb tcpip 5555` was run on it",
    ),
    Cause(
        r"No space left on device|Disk quota exceeded",
        StorageError,
        False,
        "its disk is full",
        "remove files in /data/local/tmp on it",
    ),
    Cause(
        r"Read-only file system",
        StorageError,
        False,
        "the folder is read-only",
        "give a folder on it that can be written",
    ),
    Cause(
        r"failed to stat remote object .*No such file or directory",
        DeviceError,
        False,
        "there is no such file on it",
        "check the path",
    ),
    Cause(
        r"cannot stat '.*No such file or directory",
        DeviceError,
        False,
        "the local file has gone",
        "make it again and run the same command",
    ),
    Cause(
        r"remote (couldn't create file|secure_mkdirs failed|write failed|fchown failed|open failed)"
        r"|(stat failed when trying to push|failed to stat remote object)",
        StorageError,
        False,
        "it refuses the file",
        "choose a folder on it that adb's user may write",
    ),
    Cause(
        r"couldn't read from device|write failed: Success|failed to (read copy response|send)|connect(ion)? reset"
        r"|device disconnected|connection closed|protocol fault|failed to get feature set|: closed$|^error: closed",
        LinkError,
        True,
        "the connection broke",
        _AGAIN,
    ),
)

# Also with exit code 1 (mksh, Android's linker) or 2 (busybox, which reads a foreign program as a script).
_FOREIGN_CAUSES = (
    Cause(
        r"^CANNOT LINK EXECUTABLE |: error while loading shared libraries: ",
        ProgramError,
        False,
        "a library that it needs is missing",
        "use a statically linked program, or push the library beside it",
    ),
    Cause(
        r": not executable: \S+ ELF file|: Exec format error|: [Ss]yntax error: |: cannot execute binary file",
        ProgramError,
        False,
        "it was built for another processor",
        "use the build for the device's ABI",
    ),
)

START_CAUSES: tuple[Cause, ...] = (
    *_FOREIGN_CAUSES,
    Cause(
        r": (Permission denied|can't execute|cannot execute: Is a directory|Is a directory)",
        ProgramError,
        False,
        "its system refuses to execute it",
        "push it as executable, to a folder that is not mounted noexec",
    ),
    Cause(
        r": (not found|inaccessible or not found|No such file or directory|cannot execute: required file not found)$",
        ProgramError,
        False,
        "there is no such program, or its loader is missing: it was built for another system or processor",
        "check the path, and use the build for the device's ABI",
    ),
)

# How dash, mksh, busybox and bash name themselves before they name the program.
_SHELL = r"(?:E: )?(?:\S*sh: )?(?:<\w+>\[\d+\]: )?(?:line \d+: |\d+: )?(?:exec: )?(?:line \d+: )?"
_CHATTER = re.compile(r"\* daemon .*|.*files? pushed, .* skipped\..*|List of devices attached|\s*")


def adb_error(text: str, serial: str) -> DeviceError | None:
    """What adb's own words mean; None if they are none of the table's."""
    cause = _cause(ADB_CAUSES, text)
    if cause is None:
        return None
    message = f"device {serial!r}: {cause.what} (adb says {excerpt(text, cause.pattern)!r}); {cause.next_step}"
    return cause.error(message, transient=cause.transient)


def storage_error(text: str, serial: str, where: str) -> StorageError:
    """Why a place on a device cannot be used, by the words of a program there."""
    causes = tuple(cause for cause in ADB_CAUSES if cause.error is StorageError)
    cause = _cause(causes, text)
    what, pattern = (cause.what, cause.pattern) if cause else ("the folder is refused", "")
    next_step = cause.next_step if cause else "choose a folder on it that adb's user may write"
    return StorageError(f"device {serial!r}, {where}: {what} ({excerpt(text, pattern)!r}); {next_step}")


def start_error(exit_code: int, stderr: str, program: str, serial: str) -> ProgramError | None:
    """Why a program was not started at all, by the words of the shell or the linker; None if it did run.

    A shell ends with 126 or 127 then. A program may use these codes for its own ends, so the code alone proves nothing:
    the first line must be the shell's, or the linker's.
    """
    line = next((line for line in stderr.splitlines() if line.strip()), "")
    causes = {1: _FOREIGN_CAUSES, 2: _FOREIGN_CAUSES, 126: START_CAUSES, 127: START_CAUSES}.get(exit_code, ())
    cause = _cause(causes, line)
    # bash completes the path.
    named = rf"{_SHELL}(?:{re.escape(program)}|/\S*{re.escape(posixpath.basename(program))}): .*"
    if cause is None or not (line.startswith("CANNOT LINK EXECUTABLE ") or re.fullmatch(named, line)):
        return None
    return ProgramError(
        f"device {serial!r} cannot start {program!r}: {cause.what} ({excerpt(line)!r}); {cause.next_step}"
    )


def excerpt(text: str, pattern: str = "") -> str:
    """The line that tells most: the first that matches, else the last that is no chatter; bounded."""
    lines = [line.strip() for line in text.splitlines() if not _CHATTER.fullmatch(line)]
    telling = [line for line in lines if re.search(pattern, line)] if pattern else lines[-1:]
    return (telling or lines or [""])[0][:_LONGEST_EXCERPT]


def _cause(causes: tuple[Cause, ...], text: str) -> Cause | None:
    return next((cause for cause in causes if re.search(cause.pattern, text, re.MULTILINE)), None)
