"""What decides which runner a target can run: its system, its architectures, and the programs on its PATH."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from device_bench.elf import ElfHeader, android_architectures, linux_architectures
from device_bench.target import Target
from models.errors import DeviceError, UsageError

PROGRAMS = ("benchmark_model", "litert-benchmark", "python3")

# One round trip. `getprop` exists on Android alone, `getconf` on few phones.
_SCRIPT = "\n".join(
    [
        """echo "system=$(uname -s)" """,
        """echo "machine=$(uname -m)" """,
        """echo "abis=$(getprop ro.product.cpu.abilist 2>/dev/null)" """,
        """echo "long_bits=$(getconf LONG_BIT 2>/dev/null)" """,
        *(f"""echo "{name}=$(command -v {name} 2>/dev/null)" """ for name in PROGRAMS),
        "true",
    ]
)
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


def read_machine(target: Target) -> Machine:
    """What the target is, asked in one round trip.

    Raises:
        DeviceError: it does not answer, or tells no machine.
    """
    finished = target.shell(_SCRIPT)
    lines = finished.stdout[: 16 * _LONGEST].decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    machine = told.get("machine", "").strip()
    if not re.fullmatch(r"[\w.-]{1,32}", machine):
        raise DeviceError(
            f"{target.name} does not tell its machine: `uname -m` gave {machine[:80]!r} (exit code "
            f"{finished.exit_code}); check that `adb shell uname -m` works"
        )
    abis = tuple(abi for abi in told.get("abis", "").strip().split(",") if re.fullmatch(r"[\w.-]{1,32}", abi))
    bits = told.get("long_bits", "").strip()
    return Machine(
        android=bool(abis),
        description=f"ABIs {', '.join(abis)}" if abis else machine,
        architectures=android_architectures(abis)
        if abis
        else linux_architectures(machine, int(bits) if bits in ("32", "64") else None),
        programs={name: path for name in PROGRAMS if (path := _path(told.get(name, "")))},
    )


def _path(text: str) -> str | None:
    """An absolute path; `command -v` may also name an alias or a function."""
    text = text.strip()
    return text if text.startswith("/") and text.isprintable() and len(text) <= _LONGEST else None
