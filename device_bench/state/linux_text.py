"""Texts of the Linux kernel and of POSIX tools read without guessing: /proc, /sys, os-release, df."""

from __future__ import annotations

import re
from collections.abc import Mapping

from device_bench.state.android_text import Temperature, is_plausible
from device_bench.state.questions import clean

MOST_CPUS = 4096
_MOST_ZONES = 256

ARM_PARTS: Mapping[str, str] = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72", "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77", "0xd40": "Neoverse-V1", "0xd41": "Cortex-A78",
    "0xd44": "Cortex-X1", "0xd46": "Cortex-A510", "0xd47": "Cortex-A710", "0xd48": "Cortex-X2",
    "0xd49": "Neoverse-N2", "0xd4b": "Cortex-A78C", "0xd4d": "Cortex-A715", "0xd4e": "Cortex-X3",
    "0xd4f": "Neoverse-V2", "0xd80": "Cortex-A520", "0xd81": "Cortex-A720", "0xd82": "Cortex-X4",
    "0xd85": "Cortex-X925", "0xd87": "Cortex-A725",
}  # fmt: skip
"""Names of Arm's own designs (implementer 0x41): Linux, arch/arm64/include/asm/cputype.h."""


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """CPU numbers of the kernel's list format (`0-3,7`), ascending; empty for an empty list.

    Raises:
        ValueError: it is no such list, or names a CPU beyond 4095.
    """
    numbers: set[int] = set()
    for part in text.strip().split(",") if text.strip() else []:
        match = re.fullmatch(r"\s*([0-9]{1,4})(?:-([0-9]{1,4}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last >= MOST_CPUS:
            raise ValueError(f"{clean(text, longest=60)!r} is no list of CPUs")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def format_cpu_list(numbers: tuple[int, ...]) -> str:
    """`0-3,7` for CPU numbers in ascending order."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(str(end) for end in run) for run in runs)


def name_cpus(numbers: tuple[int, ...]) -> str:
    """`CPU 7`, `CPUs 0-3` or `no CPU`, for sentences."""
    if not numbers:
        return "no CPU"
    return f"CPU{'s' if len(numbers) > 1 else ''} {format_cpu_list(numbers)}"


def parse_path_lines(text: str) -> dict[str, str]:
    """First line of each file by path, from `grep . /dev/null FILE…`, whose lines are `path:content`."""
    values: dict[str, str] = {}
    for line in text.split("\n"):
        path, separator, value = line.partition(":")
        if separator and path.startswith("/"):
            values.setdefault(path, clean(value))
    return values


def parse_meminfo(text: str, field: str) -> int | None:
    """Bytes of one line of /proc/meminfo; None if it is not there."""
    found = re.search(rf"^{re.escape(field)}:\s{{0,40}}([0-9]{{1,15}}) kB\s*$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def parse_cpuinfo(text: str) -> tuple[dict[str, str], ...]:
    """Fields of each CPU block of /proc/cpuinfo; lines outside of blocks (`Hardware`) are left out."""
    blocks = []
    for block in re.split(r"\n[ \t]*\n", text):
        pairs = (line.partition(":") for line in block.split("\n"))
        fields = {name.strip(): value.strip() for name, separator, value in pairs if separator}
        if "processor" in fields:
            blocks.append(fields)
    return tuple(blocks[:MOST_CPUS])


def cpu_parts(blocks: tuple[dict[str, str], ...]) -> tuple[str, ...]:
    """`implementer:part` of the ARM designs in the machine (`0x41:0xd05`), each once, in CPU order."""
    parts = (f"{block.get('CPU implementer', '?')}:{block['CPU part']}" for block in blocks if "CPU part" in block)
    return tuple(dict.fromkeys(clean(part, longest=20) for part in parts))[:16]


def cpu_name(blocks: tuple[dict[str, str], ...]) -> str | None:
    """What a person calls the CPUs: `Cortex-A55, Cortex-A76`, or the `model name` of other machines."""
    # 32-bit ARM kernels give a `model name` too, that of the architecture: the part says more.
    named = [ARM_PARTS.get(part.removeprefix("0x41:")) for part in cpu_parts(blocks) if part.startswith("0x41:")]
    names = named if named and None not in named else [block.get("model name") for block in blocks]
    distinct = dict.fromkeys(clean(name) for name in names if name)
    return ", ".join(distinct)[:400] or None


def parse_os_release(text: str) -> dict[str, str]:
    """Assignments of /etc/os-release, without quotes."""
    pairs = (line.partition("=") for line in text.split("\n"))
    return {name: clean(value.strip().strip("\"'")) for name, separator, value in pairs if separator}


def parse_zones(files: Mapping[str, str]) -> tuple[Temperature, ...]:
    """Temperatures of the kernel's thermal zones, from their files `type` and `temp` by path.

    The unit is not told: nearly all zones give 0.001 °C, some vendors °C or 0.1 °C. Each unit is taken where the
    others are impossible for a machine that runs; a number that could be two (1000..1500) is left out, and so are zones
    that cannot be read.
    """
    found = []
    for path, value in sorted(files.items()):
        folder, _, file = path.rpartition("/")
        if file != "temp" or not re.fullmatch(r"[0-9]{1,6}", value):
            continue
        celsius = _celsius(int(value))
        if celsius is not None and is_plausible(celsius):
            name = files.get(f"{folder}/type", folder.rpartition("/")[2])
            found.append(Temperature(name=clean(name, longest=60), kind="zone", celsius=celsius))
    return tuple(found[:_MOST_ZONES])


def _celsius(number: int) -> float | None:
    if number <= 150:
        return float(number)
    if number < 1000:
        return number / 10
    return number / 1000 if number > 1500 else None
