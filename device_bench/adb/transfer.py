"""Files to and from a device: whole or not at all, and proved by a digest."""

from __future__ import annotations

import hashlib
import posixpath
import secrets
from contextlib import suppress
from pathlib import Path

from device_bench import remote
from device_bench.adb.device_shell import SHORT_S, DeviceShell
from device_bench.adb.errors import excerpt, storage_error
from device_bench.target import Finished
from models.errors import DeviceError, LinkError, StorageError, UsageError
from models.files import write_file

_SLOWEST_BYTES_PER_S = 200_000  # a phone on bad Wi-Fi
_NO_DIGEST = "it has neither sha256sum nor md5sum, so no transfer can be proved; install one of them on it"


def push_file(shell: DeviceShell, local: Path, path: str, *, executable: bool) -> None:
    """The local file at `path` on the device, with mode 755 or 644; see `Target.push`."""
    _check_path(path)
    if not local.is_file():
        raise UsageError(f"no file {str(local)!r} to push; check the path")
    try:
        with local.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            size_bytes = file.tell()
    except OSError as error:
        raise UsageError(f"cannot read {str(local)!r}: {error.strerror}; check its mode") from error
    folder = posixpath.dirname(path)
    _check_space(shell, folder, size_bytes)
    arriving = posixpath.join(folder, f".push-{secrets.token_hex(8)}")
    try:
        shell.push(local, arriving)
        mode = "755" if executable else "644"
        call = remote.script_call(remote.FINISH_PUSH, arriving, path, mode, sha256, md5)
        answer = shell.run(call, timeout_s=SHORT_S + size_bytes / _SLOWEST_BYTES_PER_S)
        if answer.exit_code:
            raise _push_error(answer, shell.serial, local, path)
    except BaseException:
        # A full disk may leave a part of it there; adb leaves one when the connection breaks.
        with suppress(DeviceError):
            shell.clean_up(remote.script_call('rm -f "$1"', arriving))
        raise


def pull_file(shell: DeviceShell, path: str, local: Path, *, largest_bytes: int) -> None:
    """The device's file at `local`; see `Target.pull`.

    It comes through the shell, not by `adb pull`: so its size is bounded here, whatever the device says.
    """
    _check_path(path)
    call = remote.script_call(remote.READ_FILE, path, str(largest_bytes))
    seconds = SHORT_S + largest_bytes / _SLOWEST_BYTES_PER_S
    answer = shell.run(call, timeout_s=seconds, largest_bytes=largest_bytes + 2**16)
    if answer.exit_code:
        raise _pull_error(answer, shell.serial, path, largest_bytes)
    # The digest is the last line, after a line end of our own.
    end = answer.stdout.rfind(b"\n", 0, len(answer.stdout) - 1)
    content, digest = answer.stdout[: max(end, 0)], answer.stdout[end + 1 :].split()[:1]
    proofs = (hashlib.sha256(content), hashlib.md5(content, usedforsecurity=False))
    if not digest or digest[0].decode("ascii", "replace") not in [proof.hexdigest() for proof in proofs]:
        raise LinkError(
            f"device {shell.serial!r}: {path!r} arrived with other content than it has there, or changed meanwhile; "
            "run the same command again",
            transient=True,
        )
    write_file(local, content)


def _check_path(path: str) -> None:
    if not path.startswith("/") or path.endswith("/"):
        raise UsageError(f"{path!r} is no absolute path of a file on a device; give one that begins with /")
    remote.quote(path)


def _check_space(shell: DeviceShell, folder: str, size_bytes: int) -> None:
    answer = shell.run(remote.script_call(remote.FREE_SPACE, folder))
    if answer.exit_code == remote.NO_SUCH_FOLDER:
        raise StorageError(f"device {shell.serial!r}: there is no folder {folder!r}; make it first")
    free_bytes = remote.parse_free_bytes(answer.stdout.decode("utf-8", "replace"))
    if free_bytes is not None and free_bytes < size_bytes:
        raise StorageError(
            f"device {shell.serial!r}, {folder!r}: {free_bytes / 2**20:.1f} MiB are free, {size_bytes / 2**20:.1f} "
            "are needed; remove files in /data/local/tmp on it"
        )


def _push_error(answer: Finished, serial: str, local: Path, path: str) -> DeviceError:
    words = answer.stderr.decode("utf-8", "replace")
    if answer.exit_code == remote.NO_DIGEST:
        return DeviceError(f"device {serial!r}: {_NO_DIGEST}")
    if answer.exit_code == remote.OTHER_CONTENT:
        return LinkError(
            f"device {serial!r}: {str(local)!r} arrived at {path!r} with other content (digest {excerpt(words)!r}); "
            "run the same command again, with another cable if it comes back",
            transient=True,
        )
    if answer.exit_code == remote.IS_FOLDER:
        return StorageError(f"device {serial!r}: {path!r} is a folder, no file can stand there; choose another name")
    return storage_error(words, serial, repr(path))


def _pull_error(answer: Finished, serial: str, path: str, largest_bytes: int) -> DeviceError:
    if answer.exit_code == remote.NO_DIGEST:
        return DeviceError(f"device {serial!r}: {_NO_DIGEST}")
    if answer.exit_code == remote.NO_FILE:
        return DeviceError(f"device {serial!r}: there is no file {path!r}; the program that should write it did not")
    if answer.exit_code == remote.TOO_LARGE:
        size = answer.stdout.decode("ascii", "replace").strip()[:20]
        return DeviceError(f"device {serial!r}: {path!r} has {size} bytes, at most {largest_bytes} are fetched")
    return DeviceError(
        f"device {serial!r}: {path!r} cannot be read: {excerpt(answer.stderr.decode('utf-8', 'replace'))!r}; "
        "check its mode"
    )
