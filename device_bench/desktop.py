"""This machine as a `Target`: programs run as its own processes."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from device_bench.lock import device_lock, folder_lock
from device_bench.process import LARGEST_OUTPUT_BYTES, Answer, OutputTooLargeError, TimedOutError, run_process
from device_bench.remote import MARK, format_cpus, is_run
from device_bench.target import Command, Finished
from models.errors import DeviceError, LinkError, ProgramError, StorageError, UsageError
from models.files import sha256_file

_END_PATIENCE_S = 5.0


class Desktop:
    """This machine."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop
        self._scope = "no-session"

    @property
    def name(self) -> str:
        """`local`."""
        return "local"

    @property
    def identity(self) -> str:
        """First 16 hex digits of the SHA-256 of the host's name."""
        return hashlib.sha256(platform.node().encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def shell(self, script: str, *, timeout_s: float = 15.0) -> Finished:
        """What a short shell script of ours answered; see `Target`."""
        return self._run(("sh", "-c", script), timeout_s=timeout_s)

    def execute(self, command: Command, folder: str, *, timeout_s: float) -> Finished:
        """What a program answered; see `Target`. It and all that it started are ended together."""
        if not command.argv or command.cpu_mask == 0:
            raise UsageError(f"{command} has no program or no CPU to run it on; give both")
        cpus = None if command.cpu_mask is None else _cpus(command.cpu_mask)
        return self._run(
            command.argv, timeout_s=timeout_s, folder=Path(folder), environment=dict(command.environment), cpus=cpus
        )

    def push(self, local: Path, remote: str, *, executable: bool = False) -> None:
        """Copies a file and proves it; see `Target`."""
        if not local.is_file():
            raise UsageError(f"no file {str(local)!r} to copy; check the path")
        _copy(local, Path(remote), 0o755 if executable else 0o644)

    def pull(self, remote: str, local: Path, *, largest_bytes: int = 64 * 2**20) -> None:
        """Copies a file and proves it; see `Target`."""
        source = Path(remote)
        if not source.is_file():
            raise DeviceError(f"there is no file {remote!r}; the program that should write it did not")
        if (size := source.stat().st_size) > largest_bytes:
            raise DeviceError(f"{remote!r} has {size} bytes, at most {largest_bytes} are fetched")
        _copy(source, local, 0o644)

    def shielded(self) -> AbstractContextManager[object]:
        """Nothing: this machine answers always."""
        return nullcontext()

    def recover(self) -> None:
        """Nothing: a desktop is not lost."""

    @contextmanager
    def session(self) -> Iterator[str]:
        """Path of a private folder while no other process of this user measures here; see `Target`."""
        with device_lock(self.identity, self.name), ExitStack() as stack:
            base = Path(tempfile.gettempdir()) / f"device_bench-{os.getuid()}"
            try:
                _make_base(base)
                stack.enter_context(folder_lock(base, self.name))
                for left in [path for path in base.iterdir() if is_run(path.name)]:
                    _remove(left)
                folder = base / f"run-{secrets.token_hex(16)}"
                folder.mkdir(mode=0o700)
            except OSError as error:
                raise StorageError(
                    f"cannot use {error.filename or base} for runs: {error.strerror or error}; "
                    "set TMPDIR to a folder that can be written"
                ) from error
            self._scope = folder.name
            try:
                yield str(folder)
            finally:
                self._scope = "no-session"
                _remove(folder)

    def _run(
        self,
        argv: tuple[str, ...],
        *,
        timeout_s: float,
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
        cpus: frozenset[int] | None = None,
    ) -> Finished:
        try:
            answer = run_process(
                argv,
                timeout_s=timeout_s,
                stop=self._stop,
                folder=folder,
                environment={**(environment or {}), MARK: self._scope},
                cpus=cpus,
                end_group=True,
            )
        except TimedOutError:
            raise ProgramError(
                f"{argv[0]!r} took longer than {timeout_s:g} s and was ended; give it more time, or a smaller task"
            ) from None
        except OutputTooLargeError:
            raise ProgramError(
                f"{argv[0]!r} printed more than {LARGEST_OUTPUT_BYTES // 2**20} MiB and was ended; "
                "run it by hand to see what it prints"
            ) from None
        except ValueError as error:
            raise UsageError(f"{argv} cannot be a command: {error}; use other names") from error
        except OSError as error:
            raise _not_started(argv[0], folder, error) from error
        return _finished(answer, cpus)


def _finished(answer: Answer, cpus: frozenset[int] | None) -> Finished:
    allowed = None if answer.allowed_cpus is None else format_cpus(sum(1 << cpu for cpu in answer.allowed_cpus))
    if cpus is not None and answer.allowed_cpus != cpus:
        asked = format_cpus(sum(1 << cpu for cpu in cpus))
        raise DeviceError(
            f"this machine gives the CPUs {allowed} instead of {asked}; choose CPUs that are allowed here"
        )
    return Finished(
        stdout=answer.stdout,
        stderr=answer.stderr,
        exit_code=answer.exit_code,
        wall_s=answer.wall_s,
        allowed_cpus=allowed,
    )


def _cpus(mask: int) -> frozenset[int]:
    """The CPUs of a mask.

    Raises:
        DeviceError: this system cannot keep a program on some CPUs, or not on these.
    """
    cpus = frozenset(number for number in range(mask.bit_length()) if mask >> number & 1)
    if not hasattr(os, "sched_setaffinity"):
        raise DeviceError(f"{platform.system()} cannot keep a program on some CPUs; leave the affinity to `none`")
    # What this process may use; the kernel silently leaves out the rest.
    allowed = os.sched_getaffinity(0)
    if not cpus <= allowed:
        here = format_cpus(sum(1 << cpu for cpu in allowed))
        raise DeviceError(f"CPUs {format_cpus(mask)} (mask {mask:x}) are asked for, this process may use {here}")
    return cpus


def _not_started(program: str, folder: Path | None, error: OSError) -> DeviceError:
    if folder is not None and not folder.is_dir():
        return StorageError(f"there is no folder {str(folder)!r} to run {program!r} in; make it first")
    hint = "check its path and mode; a folder mounted noexec refuses every program (TMPDIR chooses another)"
    if "format" in str(error):
        hint = "it was built for another system or processor; use the build for this one"
    return ProgramError(f"cannot start {program!r}: {error.strerror or error}; {hint}")


def _make_base(base: Path) -> None:
    base.mkdir(mode=0o700, exist_ok=True)
    facts = base.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise StorageError(f"{str(base)!r} is not a folder of this user; remove it, or set TMPDIR to another folder")


def _copy(source: Path, target: Path, mode: int) -> None:
    made = target.with_name(f".push-{secrets.token_hex(8)}")
    try:
        shutil.copyfile(source, made)
        if sha256_file(made) != sha256_file(source):
            raise LinkError(f"{str(source)!r} changed while it was copied; run the same command again", transient=True)
        made.chmod(mode)
        made.replace(target)
    except OSError as error:
        raise StorageError(
            f"cannot copy {str(source)!r} to {str(target)!r}: {error.strerror or error}; choose a folder that can be "
            "written, with space left"
        ) from error
    finally:
        made.unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """Ends what still runs for a session, and removes its folder.

    Raises:
        DeviceError: one of both is not possible.
    """
    deadline = time.monotonic() + _END_PATIENCE_S
    while left := _marked(folder.name):
        if time.monotonic() > deadline:
            raise DeviceError(f"processes {sorted(left)} of {folder} could not be ended; end them by hand")
        for pid in left:
            # It may end meanwhile.
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise StorageError(f"the folder {folder} cannot be removed; remove it by hand")


def _marked(name: str) -> set[int]:
    """Processes of this user with the session's mark; none where there is no /proc, as on macOS."""
    mark = f"{MARK}={name}".encode()
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes().split(b"\0"):
                found.add(int(path.name))
        except OSError:
            continue
    return found
