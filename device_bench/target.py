"""The seam between measuring and the machine that is measured: a phone or board over adb, or this desktop.

Everything above (facts, runners, measurement) speaks to a `Target` and knows no adb; tests speak to a fake one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run on a target, word by word: nothing in it is ever read by a shell."""

    argv: tuple[str, ...]
    """Program and arguments; paths are the target's."""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Added to the target's own."""
    cpu_mask: int | None = None
    """CPUs it may run on, bit n for CPU n; None leaves the choice to the scheduler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A program that has ended, with whatever exit code."""

    stdout: bytes
    stderr: bytes
    exit_code: int
    """Of the program itself; 128 + n if signal n ended it."""
    wall_s: float
    """From the call to the answer, seen from here: transport included."""
    allowed_cpus: str | None = None
    """`Cpus_allowed_list` of the process as the kernel saw it (`4-7`); None if the target does not tell."""


class Target(Protocol):
    """A machine that runs programs.

    Exit codes are results, not errors: only what keeps a program from running to its end raises.
    """

    @property
    def name(self) -> str:
        """What a person calls it: the serial of a phone, `local` for this desktop."""
        ...

    @property
    def identity(self) -> str:
        """Hex digest that stands for the serial number in results."""
        ...

    def shell(self, script: str, *, timeout_s: float = 15.0) -> Finished:
        """Runs a short shell script of our own; every word from outside in it is quoted by the caller.

        Raises:
            DeviceError: no answer in time, or the connection failed (transient), or the target refused (stable).
        """
        ...

    def execute(self, command: Command, folder: str, *, timeout_s: float) -> Finished:
        """Runs a program to its end in `folder`; after `timeout_s` it is killed there, by pid, and confirmed gone.

        Raises:
            DeviceError: as for `shell`; also a program that had to be killed (stable), and CPUs that the kernel did
                not grant although `cpu_mask` asks for them.
        """
        ...

    def push(self, local: Path, remote: str, *, executable: bool = False) -> None:
        """Copies a file and proves by SHA-256 that it arrived.

        Raises:
            DeviceError: full or read-only disk, refused folder, lost connection, other content than sent.
            UsageError: there is no such local file.
        """
        ...

    def pull(self, remote: str, local: Path, *, largest_bytes: int = 64 * 2**20) -> None:
        """Copies a file from the target, whole or not at all, and proves it by SHA-256.

        Raises:
            DeviceError: there is no such file, it is larger than `largest_bytes`, or the connection was lost.
        """
        ...

    @contextmanager
    def session(self) -> Iterator[str]:
        """Path of a private folder on the target while nobody else measures on it.

        Takes the target's lock, removes what a killed run left behind (processes and folders of ours), and afterwards
        removes the folder, also on Ctrl-C.

        Raises:
            DeviceError: another process measures on this target, or the folder cannot be made.
        """
        ...


class DeviceUnderTest(Target, Protocol):
    """A target whose connection may be lost and found again."""

    def shielded(self) -> AbstractContextManager[object]:
        """Within it a target that stops answering on Ctrl-C answers still, so that what was changed can be put back."""
        ...

    def recover(self) -> None:
        """Makes a target answer again whose connection was lost, and ends there what was running when it was.

        Raises:
            DeviceError: it does not answer within some seconds.
        """
        ...
