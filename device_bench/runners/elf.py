"""Which machines a native program is for, told by its ELF header before it is copied anywhere."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from models.errors import UsageError

_HEADER_BYTES = 20
_MACHINES = {3: "x86", 40: "arm", 62: "x86", 183: "arm", 243: "riscv"}
"""`e_machine` of the ELF specification, by family of processors."""
_ABI_OF = {
    "arm64-v8a": "arm64",
    "armeabi-v7a": "arm32",
    "armeabi": "arm32",
    "x86_64": "x86-64",
    "x86": "x86-32",
    "riscv64": "riscv-64",
}
"""Android's names of ABIs, <https://developer.android.com/ndk/guides/abis>."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfHeader:
    """The beginning of an ELF file."""

    bits: int
    machine: int

    @property
    def architecture(self) -> str:
        """`arm64`, `arm32`, `x86-64`, `x86-32`, or the machine's number if it is none that phones and boards have."""
        family = _MACHINES.get(self.machine)
        if family is None:
            return f"ELF machine {self.machine}"
        return f"{family}{self.bits}" if family == "arm" else f"{family}-{self.bits}"


def parse_elf(start: bytes) -> ElfHeader | None:
    """The header at the start of a file; None if it is no ELF file for a little-endian machine."""
    if len(start) < _HEADER_BYTES or start[:4] != b"\x7fELF" or start[4] not in (1, 2) or start[5] != 1:
        return None
    kind, machine = struct.unpack_from("<HH", start, 16)
    # 2: program at a fixed place, 3: program or library at any.
    return ElfHeader(bits=32 * start[4], machine=machine) if kind in (2, 3) else None


def read_elf(path: Path) -> ElfHeader:
    """The header of a program.

    Raises:
        UsageError: the file cannot be read, or is no ELF program.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read the runner {str(path)!r}: {error.strerror or error}; check the path") from error
    header = parse_elf(start)
    if header is None:
        raise UsageError(
            f"{str(path)!r} is no ELF program (it begins with {start[:8]!r}); give the benchmark_model of the device's "
            "architecture with --runner-path"
        )
    return header


def android_architectures(abis: tuple[str, ...]) -> tuple[str, ...]:
    """What a phone with these ABIs runs, best first; unknown ABIs are left out."""
    return tuple(dict.fromkeys(_ABI_OF[abi] for abi in abis if abi in _ABI_OF))


def linux_architectures(machine: str, long_bits: int | None) -> tuple[str, ...]:
    """What a Linux of `uname -m` can run, best first; empty if the machine is none of the known.

    Args:
        machine: `aarch64`, `armv7l`, `x86_64`, …
        long_bits: `getconf LONG_BIT`, None if unknown. A 64-bit kernel may carry a 32-bit system, as Raspberry Pi OS
            did for years, and then runs only 32-bit programs.
    """
    if machine in ("aarch64", "arm64"):
        both = ("arm64", "arm32")
    elif machine in ("x86_64", "amd64"):
        both = ("x86-64", "x86-32")
    elif machine.startswith("arm"):
        return ("arm32",)
    elif machine in ("i386", "i486", "i586", "i686"):
        return ("x86-32",)
    elif machine == "riscv64":
        return ("riscv-64",)
    else:
        return ()
    return both[1:] if long_bits == 32 else both
