"""The devices the lab offers. A new device is a row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from models.errors import UnknownNameError

Architecture = Literal["arm64", "amd64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """What a device is made of."""

    name: str
    about: str
    architecture: Architecture = "arm64"
    cpu: str | None = "cortex-a76"
    """As qemu names it; None: no emulation."""
    android: bool = True
    """Whether it has Android's shell (mksh, toybox) and commands (getprop, dumpsys, …), or is a plain Linux board."""
    data_bytes: int = 512 * 2**20
    """Size of the disk at /data, where everything is pushed to."""
    data_options: tuple[str, ...] = ()
    """How /data is mounted: noexec, ro."""
    rate_bytes_per_s: int | None = None
    """Of the connection; None: unlimited."""


_TABLE = (
    # qemu 7.2 computes int8 like x86 for this CPU, bit for bit; floats differ in their last bits.
    DeviceSpec(name="good", about="computes as it should"),
    # qemu 7.2's `max` has a faulty SME, which XNNPACK's int8 kernels use: 991 of 1000 outputs were wrong.
    DeviceSpec(name="liar", cpu="max", about="its XNNPACK computes int8 wrongly without a word (RUNNER=interpreter)"),
    # LiteRT's newer interface needs atomic instructions that this CPU lacks; the plain interpreter does not.
    DeviceSpec(name="old", cpu="cortex-a53", about="litert-benchmark dies of SIGILL on its CPU; the interpreter runs"),
    DeviceSpec(name="tiny", data_bytes=4 * 2**20, about="4 MB of storage"),
    DeviceSpec(name="slow", rate_bytes_per_s=2 * 10**6, about="2 MB/s connection"),
    DeviceSpec(name="noexec", data_options=("noexec",), about="storage that runs no programs"),
    DeviceSpec(name="readonly", data_options=("ro",), about="storage that cannot be written"),
    DeviceSpec(name="board", android=False, about="plain ARM Linux board without Android's commands"),
    DeviceSpec(name="amd64", architecture="amd64", cpu=None, about="x86-64 without emulation, fast"),
)

DEVICES = {spec.name: spec for spec in _TABLE}


def lookup(name: str) -> DeviceSpec:
    """The device of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in DEVICES:
        raise UnknownNameError("lab device", name, DEVICES)
    return DEVICES[name]


def lookup_all(names: Iterable[str]) -> tuple[DeviceSpec, ...]:
    """The devices of those names, each once, in the order of the table; `all` stands for every one.

    Raises:
        UnknownNameError: a name is unknown.
    """
    given = list(names)
    wanted = {lookup(name).name for name in given if name != "all"}
    if "all" in given:
        wanted = set(DEVICES)
    return tuple(spec for spec in _TABLE if spec.name in wanted)


def preferred_port(spec: DeviceSpec) -> int:
    """The loopback port a device has while nobody else uses it, so that its serial stays the same.

    Outside 5555 to 5585, where any adb server looks for emulators by itself.
    """
    return 26101 + list(DEVICES).index(spec.name)
