"""What decides which runner a target can run: its architectures, and the programs on its PATH."""

from __future__ import annotations

import posixpath
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from device_bench.runners.elf import ElfHeader, android_architectures, linux_architectures
from device_bench.state.facts import DeviceFacts
from device_bench.target import Target
from models.errors import UsageError

LOCAL = "local"
"""Name of the target that is this desktop."""

PROGRAMS = ("benchmark_model", "litert-benchmark", "python3")

_LONGEST = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A target as a place for programs."""

    android: bool
    description: str
    """ABIs or `uname -m`, for people."""
    architectures: tuple[str, ...]
    """Of programs it can run, best first; empty if they are unknown."""
    programs: Mapping[str, str]
    """Absolute paths of those on its PATH, by name."""

    def refuse_foreign(self, program: str, header: ElfHeader) -> None:
        """Ends what cannot work before anything is copied.

        Raises:
            UsageError: the program is for another architecture.
        """
        if self.architectures and header.architecture not in self.architectures:
            raise UsageError(
                f"{program!r} is a program for {header.architecture}, but the device ({self.description}) runs "
                f"{', '.join(self.architectures)}; give one for {self.architectures[0]} with --runner-path"
            )


def read_machine(target: Target, facts: DeviceFacts) -> Machine:
    """What runs there, asked in one round trip.

    Raises:
        DeviceError: it does not answer.
    """
    words = " ".join(PROGRAMS)
    script = f'getconf LONG_BIT 2>/dev/null || echo; for name in {words}; do command -v "$name" || echo; done'
    said = target.shell(script).stdout[: 8 * _LONGEST].decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    bits, *paths = said
    programs = {name: path for name, path in zip(PROGRAMS, paths, strict=False) if _is_path(path)}
    if target.name == LOCAL:
        programs |= _own_programs()
    if facts.abis:
        architectures, description = android_architectures(facts.abis), f"ABIs {', '.join(facts.abis)}"
    else:
        architectures = linux_architectures(facts.machine or "", int(bits) if bits in ("32", "64") else None)
        description = facts.machine or "of an unknown machine"
    return Machine(android=bool(facts.abis), description=description, architectures=architectures, programs=programs)


def script_python(target: Target, script: str) -> str | None:
    """The Python in the first line of a console script on the target; None if it is written in another way.

    Raises:
        DeviceError: it does not answer.
    """
    start = target.shell(f"head -c 300 {shlex.quote(script)}").stdout.decode("utf-8", "replace")
    found = re.match(r"#!(?:/usr/bin/env )?(\S+)\n", start)
    if found is None or not posixpath.basename(found[1]).startswith("python"):
        return None
    return found[1]


def _own_programs() -> dict[str, str]:
    """On this desktop, the Python that runs this and what is installed beside it."""
    beside = Path(sys.executable).with_name("litert-benchmark")
    return {"python3": sys.executable} | ({"litert-benchmark": str(beside)} if beside.is_file() else {})


def _is_path(text: str) -> bool:
    """Whether `command -v` gave a file; it also names aliases and functions."""
    return text.startswith("/") and text.isprintable() and len(text) <= _LONGEST
