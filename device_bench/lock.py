"""One measurement at a time on a device, among all processes of this user on this computer."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import BusyError, OutputError
from models.files import output_errors

_PROJECT = "mobile-deploy-toolchain"


def state_folder() -> Path:
    """Where this user's programs keep what must outlive them, `XDG_STATE_HOME` or `~/.local/state`; made if need be.

    Raises:
        OutputError: it cannot be made.
    """
    base = os.environ.get("XDG_STATE_HOME", "")
    folder = (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / _PROJECT
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make {folder}, where locks are kept: {error.strerror or error}; "
            "set XDG_STATE_HOME to a folder that can be written"
        ) from error
    return folder


@contextmanager
def device_lock(identity: str, name: str) -> Iterator[None]:
    """The device for us alone. The system opens the lock when this process ends, however it ends.

    Args:
        identity: Hex digest of the device.
        name: What a person calls it.

    Raises:
        BusyError: another process, or another thread of this one, has it.
        OutputError: the folder for locks cannot be written.
    """
    path = state_folder() / f"device-{identity}.lock"
    with output_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with _locked(descriptor, name) as holder:
        os.ftruncate(holder, 0)
        os.pwrite(holder, f"{os.getpid()}\n".encode(), 0)
        yield


@contextmanager
def folder_lock(folder: Path, name: str) -> Iterator[None]:
    """A folder where runs lie for us alone, also against programs that keep their locks elsewhere (another HOME).

    Args:
        folder: That exists.
        name: What a person calls the device.

    Raises:
        BusyError: another process has it.
        OSError: it cannot be opened.
    """
    with _locked(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW), name):
        yield


@contextmanager
def _locked(descriptor: int, name: str) -> Iterator[int]:
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() if is_file else ""
            process = f"process {holder}" if holder.isdecimal() else "another process"
            raise BusyError(
                f"{process} measures on device {name!r} now; wait for it to end, or choose another device"
            ) from None
        yield descriptor
    finally:
        # The file stays: removing it would let a third process lock a file that nobody sees.
        os.close(descriptor)
