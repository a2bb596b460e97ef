"""What a target is: model, chip, system, memory. No serial number, host name or account is asked for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from device_bench.remote import parse_free_bytes
from device_bench.result import check_reasons
from device_bench.state.android_text import parse_properties
from device_bench.state.linux_text import (
    cpu_name,
    cpu_parts,
    parse_cpuinfo,
    parse_meminfo,
    parse_os_release,
)
from device_bench.state.questions import Answer, Findings, ask, clean
from device_bench.target import Target

SCHEMA = 1

_KERNELS_CARE = frozenset({
    "neon", "vfpv4", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "svei8mm", "sme", "sme2",
    "sse4_1", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8",
})  # fmt: skip
"""CPU features by which the runtimes choose their kernels; the other hundred would hide them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """A target at one moment; what it does not tell is None, with the reason in `missing`."""

    manufacturer: str | None
    brand: str | None
    model: str | None
    device: str | None
    """Code name."""
    soc_manufacturer: str | None
    soc_model: str | None
    soc_source: str | None
    """Property or file that `soc_model` comes from: a platform's name is less exact than a chip's."""
    abis: tuple[str, ...] | None
    """Android's, the preferred first."""
    os_name: str | None
    os_release: str | None
    sdk: int | None
    """Android API level."""
    security_patch: str | None
    build_id: str | None
    build_type: str | None
    fingerprint: str | None
    is_emulator: bool | None
    kernel: str | None
    machine: str | None
    """As `uname -m` says: of the kernel, which may run 32-bit programs."""
    cpu_name: str | None
    cpu_parts: tuple[str, ...] | None
    """`implementer:part` of ARM designs."""
    cpu_features: tuple[str, ...] | None
    """Those of all CPUs that decide about kernels, sorted."""
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    storage_free_bytes: int | None
    """Where the work folders are."""
    page_size_bytes: int | None
    python_version: str | None
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        values = asdict(self)
        lists = {name: list(item) for name, item in values.items() if isinstance(item, tuple)}
        return {"schema": SCHEMA, **values, **lists}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> DeviceFacts:
        """Value from `to_json`'s form.

        Raises:
            KeyError, TypeError, ValueError: these are no facts of this schema.
        """
        if value["schema"] != SCHEMA:
            raise ValueError(f"device facts schema {value['schema']}, known is {SCHEMA}")
        values: dict[str, Any] = {field.name: value[field.name] for field in fields(cls)}
        lists = {name: tuple(item) for name, item in values.items() if isinstance(item, list)}
        return cls(**{**values, **lists})


def read_facts(target: Target, folder: str | None = None) -> DeviceFacts:
    """Facts about a target, in one round trip.

    Args:
        target: Phone, board or this desktop.
        folder: Work folder whose free space counts; None stands for the usual place of temporary files.

    Raises:
        DeviceError: the target did not answer.
    """
    answers = ask(target, _questions(folder))
    found = Findings()
    _read_product(found, answers)
    _read_system(found, answers)
    _read_cpu(found, answers["cpuinfo"])
    _read_memory(found, answers)
    found.read("python_version", answers["python"], _python_version, "python3")
    return DeviceFacts(**found.values, missing=found.missing)


def _questions(folder: str | None) -> dict[str, str]:
    # A relative folder named `-x` must not be an option.
    where = None if folder is None else shlex.quote(folder if folder.startswith("/") else f"./{folder}")
    usual = 'if [ -d /data/local/tmp ]; then df -Pk /data/local/tmp; else df -Pk "${TMPDIR:-/tmp}"; fi'
    return {
        "getprop": "getprop",
        "kernel": "uname -sr",
        "machine": "uname -m",
        "os_release": "cat /etc/os-release",
        "device_tree": "cat /proc/device-tree/model",
        "compatible": "cat /proc/device-tree/compatible",
        "vendor": "cat /sys/class/dmi/id/sys_vendor",
        "product": "cat /sys/class/dmi/id/product_name",
        "cpuinfo": "cat /proc/cpuinfo",
        "meminfo": "cat /proc/meminfo",
        "df": usual if where is None else f"df -Pk {where}",
        "page_size": "getconf PAGESIZE",
        "python": "python3 -V 2>&1",
    }


_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "manufacturer": ("ro.product.manufacturer",),
    "brand": ("ro.product.brand",),
    "model": ("ro.product.model",),
    "device": ("ro.product.device",),
    "soc_manufacturer": ("ro.soc.manufacturer",),
    # ro.soc.model came with Android 12; before, the platform is the nearest there is.
    "soc_model": ("ro.soc.model", "ro.board.platform", "ro.hardware"),
    "abis": ("ro.product.cpu.abilist", "ro.product.cpu.abi"),
    "os_release": ("ro.build.version.release",),
    "sdk": ("ro.build.version.sdk",),
    "security_patch": ("ro.build.version.security_patch",),
    "build_id": ("ro.build.id",),
    "build_type": ("ro.build.type",),
    "fingerprint": ("ro.build.fingerprint",),
}
"""Android's properties by field, the best first."""

_NOT_LINUX = ("brand", "device", "abis", "sdk", "security_patch", "build_id", "build_type", "fingerprint")


def _read_product(found: Findings, answers: Mapping[str, Answer]) -> None:
    properties = parse_properties(answers["getprop"].text)
    if not properties:
        reason = f"{answers['getprop'].refusal('getprop') or 'getprop told nothing'}: it is no Android"
        _read_board(found, answers, reason)
        return
    found.put("os_name", "Android", "")
    for field, keys in _PROPERTIES.items():
        key = next((key for key in keys if _is_told(properties.get(key, ""))), None)
        text = properties[key] if key else None
        if field == "soc_model":
            found.put("soc_source", key, f"none of {', '.join(keys)} is set")
        found.put(field, _typed(field, text), _why_unset(properties, keys, text))
    qemu = [properties.get(key) for key in ("ro.kernel.qemu", "ro.boot.qemu")]
    found.put("is_emulator", "1" in qemu or properties.get("ro.hardware") in ("goldfish", "ranchu"), "")


def _read_board(found: Findings, answers: Mapping[str, Answer], reason: str) -> None:
    system = parse_os_release(answers["os_release"].text)
    found.put("os_name", system.get("NAME") or None, "no NAME in /etc/os-release")
    found.put("os_release", system.get("VERSION_ID") or None, "no VERSION_ID in /etc/os-release")
    tree, product = (clean(answers[name].text.split("\0")[0]) or None for name in ("device_tree", "product"))
    found.put("model", tree or product, "neither /proc/device-tree/model nor /sys/class/dmi/id/product_name is there")
    vendor = clean(answers["vendor"].text) or None
    found.put("manufacturer", vendor, "no /sys/class/dmi/id/sys_vendor")
    # The last entry of a board's `compatible` is its chip: `raspberrypi,4-model-b`, `brcm,bcm2711`.
    entries = [clean(entry) for entry in answers["compatible"].text.split("\0") if entry.strip()]
    maker, comma, chip = entries[-1].partition(",") if entries else ("", "", "")
    no_tree = "no maker,chip in /proc/device-tree/compatible"
    found.put("soc_manufacturer", maker if comma else None, no_tree)
    found.put("soc_model", chip or None, no_tree)
    found.put("soc_source", "/proc/device-tree/compatible" if chip else None, no_tree)
    for field in _NOT_LINUX:
        found.put(field, None, reason)
    found.put("is_emulator", None, reason)


def _read_system(found: Findings, answers: Mapping[str, Answer]) -> None:
    for name in ("kernel", "machine"):
        found.read(name, answers[name], clean, "uname")


def _read_cpu(found: Findings, answer: Answer) -> None:
    blocks = parse_cpuinfo(answer.text)
    refusal = answer.refusal("/proc/cpuinfo") if not blocks else None
    found.put("cpu_name", cpu_name(blocks), refusal or "/proc/cpuinfo names no design that is known")
    found.put("cpu_parts", cpu_parts(blocks) or None, refusal or "/proc/cpuinfo has no `CPU part`: no ARM")
    lists = [set((block.get("Features") or block.get("flags") or "").split()) for block in blocks]
    shared = tuple(sorted(_KERNELS_CARE.intersection(*lists))) if lists and all(lists) else None
    found.put("cpu_features", shared, refusal or "/proc/cpuinfo lists no features")


def _read_memory(found: Findings, answers: Mapping[str, Answer]) -> None:
    memory = answers["meminfo"]
    found.read("memory_total_bytes", memory, lambda text: parse_meminfo(text, "MemTotal"), "/proc/meminfo")
    found.read("memory_available_bytes", memory, lambda text: parse_meminfo(text, "MemAvailable"), "/proc/meminfo")
    found.read("storage_free_bytes", answers["df"], parse_free_bytes, "df")
    found.read("page_size_bytes", answers["page_size"], _page_size, "getconf")


def _typed(field: str, text: str | None) -> object:
    if text is None:
        return None
    if field == "abis":
        return tuple(clean(abi, longest=30) for abi in text.split(",")[:8] if abi.strip()) or None
    if field == "sdk":
        return int(text) if re.fullmatch("[0-9]{1,4}", text.strip()) else None
    return clean(text) or None


def _is_told(value: str | None) -> bool:
    # Android's own Build.UNKNOWN means that the maker left it out.
    return value is not None and value.strip().lower() not in ("", "unknown")


def _why_unset(properties: Mapping[str, str | None], keys: tuple[str, ...], text: str | None) -> str:
    if text is not None:
        return f"{keys[0]} is {clean(text, longest=60)!r}"
    twice = [key for key in keys if key in properties and properties[key] is None]
    return f"getprop gives {twice[0]} twice with different values" if twice else f"{' and '.join(keys)} not set"


def _page_size(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*[0-9]{4,7}\s*", text) else None


def _python_version(text: str) -> str | None:
    found = re.fullmatch(r"Python ([0-9][0-9A-Za-z.+]{0,30})\s*", text)
    return found[1] if found else None
