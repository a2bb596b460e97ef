"""ELF headers and what runs where."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.runners.elf import android_architectures, linux_architectures, parse_elf, read_elf
from models.errors import UsageError


def elf(machine: int = 183, bits: int = 64, *, kind: int = 3, order: int = 1) -> bytes:
    """The first 64 bytes of a program."""
    return (b"\x7fELF" + bytes([bits // 32, order, 1]) + bytes(9) + struct.pack("<HH", kind, machine)).ljust(64, b"\0")


@pytest.mark.parametrize(
    ("machine", "bits", "architecture"),
    [
        (183, 64, "arm64"), (40, 32, "arm32"), (62, 64, "x86-64"), (3, 32, "x86-32"), (243, 64, "riscv-64"),
        (8, 32, "ELF machine 8"),
    ],
)  # fmt: skip
def test_the_architecture_is_in_the_header(machine: int, bits: int, architecture: str) -> None:
    header = parse_elf(elf(machine, bits))
    assert header is not None
    assert header.architecture == architecture


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"#!/bin/sh\n" * 9,
        elf()[:19],
        b"MZ" + elf(),
        elf(kind=1),
        elf(order=2),
        elf(bits=96),
        b"\x7fELF" + bytes(60),
    ],
)
def test_what_is_no_little_endian_program_has_no_header(start: bytes) -> None:
    assert parse_elf(start) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_read_without_an_error(start: bytes) -> None:
    parse_elf(start)
    parse_elf(b"\x7fELF" + start)


def test_this_python_is_a_program_of_this_machine() -> None:
    assert read_elf(Path(sys.executable).resolve()).architecture == linux_architectures(_machine(), None)[0]


def _machine() -> str:
    import platform

    return platform.machine()


def test_what_is_no_program_is_refused_with_its_beginning(tmp_path: Path) -> None:
    script = tmp_path / "it's a script"
    script.write_text("#!/bin/sh\n", "utf-8")
    with pytest.raises(UsageError, match=r"it's a script\" is no ELF program \(it begins with b'#!/bin/s'\); give the"):
        read_elf(script)
    with pytest.raises(
        UsageError, match=r"^cannot read the runner '.*nope': No such file or directory; check the path$"
    ):
        read_elf(tmp_path / "nope")
    with pytest.raises(UsageError, match=r"^cannot read the runner .*: Is a directory; check the path$"):
        read_elf(tmp_path)


def test_a_phone_runs_the_architectures_of_its_abis_best_first() -> None:
    assert android_architectures(("arm64-v8a", "armeabi-v7a", "armeabi", "new")) == ("arm64", "arm32")
    assert android_architectures(("x86_64", "arm64-v8a", "x86")) == ("x86-64", "arm64", "x86-32")


@pytest.mark.parametrize(
    ("machine", "bits", "architectures"),
    [
        ("aarch64", 64, ("arm64", "arm32")), ("aarch64", None, ("arm64", "arm32")), ("aarch64", 32, ("arm32",)),
        ("armv7l", 32, ("arm32",)), ("armv8l", None, ("arm32",)), ("x86_64", 64, ("x86-64", "x86-32")),
        ("x86_64", 32, ("x86-32",)), ("i686", 32, ("x86-32",)), ("riscv64", 64, ("riscv-64",)), ("s390x", 64, ()),
    ],
)  # fmt: skip
def test_a_linux_runs_what_its_machine_and_its_system_allow(
    machine: str, bits: int | None, architectures: tuple[str, ...]
) -> None:
    assert linux_architectures(machine, bits) == architectures
