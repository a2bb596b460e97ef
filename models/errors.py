"""Every error the toolchain raises on purpose, and the exit code each one ends the program with.

    ToolchainError              1  (never raised itself)
    ├── UsageError              2  a name, option or value the caller can correct
    │   ├── UnknownNameError    2  a model, precision, format or data set that does not exist
    │   ├── WeightsError        2  a checkpoint that is missing, damaged or of another model
    │   ├── DataError           2  images that are missing, too few or not finite
    │   ├── NotInstalledError   2  a library that an engine needs and that is not installed
    │   ├── BrokenFileError     2  a file to be looked into that is damaged, hostile or of another format
    │   └── OutputError         2  a folder that cannot be written, a full disk
    ├── TrainingError           1  a training whose loss is not finite any more
    ├── ConversionError         1  a converter refused, crashed or produced something else than asked for
    ├── VerificationError       1  an artifact that is not what its name says
    ├── PlacementError          1  an engine that computed elsewhere than on the device asked for
    ├── WorkerError             1  a helper process died (killed, out of memory)
    ├── TeamError               3  another worker of a training on several machines did not come, died or is cut off
    └── DeviceError             3  a phone, its connection or a program on it failed
        ├── UnreachableError    3  a device that adb cannot use now: absent, offline, unauthorized; nothing was started
        ├── LinkError           3  a connection that broke or fell silent while it was used
        ├── BusyError           3  a device that somebody else measures on
        ├── StorageError        3  a folder on the device: full, read-only, refused, not for programs
        ├── ProgramError        3  a program on the device that could not be started or had to be killed
        ├── DownloadError       3  a runner that cannot be downloaded, or is not the one on record
        ├── EngineError         3  a desktop runtime, its GPU or driver failed
        ├── LabError            3  the emulated device cannot be built, started or controlled here
        └── RunnerOutputError   3  a benchmark runner's output that holds no result to be believed

A message says what failed, the value got, what is allowed, and the next step, on one line. A device error is transient
(the same command may succeed when tried again) or stable (something has to be mended first).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ToolchainError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1


class UsageError(ToolchainError):
    """The caller asked for something that cannot be; correcting the command line or the files helps."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name outside its table; the message offers the nearest names."""

    def __init__(self, what: str, name: str, known: Iterable[str], *, see: str = "") -> None:
        names = sorted(set(known))
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if near:
            hint = f"did you mean {' or '.join(near)}?"
        elif not names:
            hint = f"no {what} is known"
        elif len(names) <= 12:
            hint = f"known: {', '.join(names)}"
        else:
            hint = ""
        # A question ends its sentence: no semicolon after it.
        advice = (" " if near else "; ").join(part for part in (hint, see) if part)
        super().__init__("; ".join(part for part in (f"unknown {what} {name!r}", advice) if part))


class WeightsError(UsageError):
    """A checkpoint that cannot serve the model it was given for."""


class DataError(UsageError):
    """Images or labels that cannot be used."""


class NotInstalledError(UsageError):
    """A library is needed that is not installed; the message says how to install it."""


class BrokenFileError(UsageError):
    """A file that is damaged, hostile or not of the format it was read as."""


class OutputError(UsageError):
    """Results cannot be written where they were asked for."""


class TrainingError(ToolchainError):
    """A training that diverged."""


class ConversionError(ToolchainError):
    """A converter failed, or made something else than it was asked for."""


class VerificationError(ToolchainError):
    """An artifact is not what its name says it is."""


class PlacementError(ToolchainError):
    """Work was not done on the device that was asked for by name."""


class WorkerError(ToolchainError):
    """A helper process ended without a result."""


class TeamError(ToolchainError):
    """Another worker of a training on several machines did not come, died, or cannot be reached any more."""

    exit_code = 3


class DeviceError(ToolchainError):
    """A phone, its connection or a program on it failed; `transient` says whether trying again makes sense."""

    exit_code = 3

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class UnreachableError(DeviceError):
    """adb cannot use the device now; the command was not started there, so it is safe to try again."""


class LinkError(DeviceError):
    """The connection broke or fell silent while it was used; what ran on the device may go on there."""


class BusyError(DeviceError):
    """Somebody else measures on the device."""


class StorageError(DeviceError):
    """A folder on the device is full, read-only, refused, or not for programs."""


class ProgramError(DeviceError):
    """A program on the device could not be started, or had to be killed."""


class DownloadError(DeviceError):
    """A runner for a device cannot be downloaded, or what came is not what was recorded on first use."""


class RunnerOutputError(DeviceError):
    """A benchmark runner failed, ignored an option, or printed something that cannot be read without guessing."""


class EngineError(DeviceError):
    """A runtime on the desktop, its GPU or its driver failed."""


class LabError(DeviceError):
    """The emulated device cannot be built, started or controlled on this machine."""
