"""The files that make a root look like a phone or a board: CPUs, sensors, battery, properties, settings.

Everything that can change is one file, which the device's commands and the lab's controls both read and write.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from device_bench.lab.devices import DeviceSpec

STATE = "var/lib/phone"
MANNERS = Path(__file__).parent / "manners"

# kHz; those of a Pixel 5's Snapdragon 765G. cpu_capacity is relative to the fastest core.
_LITTLE = {"capacity": 385, "max_khz": 1804800}
_BIG = {"capacity": 891, "max_khz": 2208000}
_PRIME = {"capacity": 1024, "max_khz": 2400000}
_MIN_KHZ = 300000

_ZONES_C = {"cpu": 41.2, "gpu": 38.7, "battery": 30.1, "skin": 33.4}
_SETTINGS = {
    "global": {"airplane_mode_on": "0", "low_power": "0", "stay_on_while_plugged_in": "0"},
    "secure": {"android_id": "lab"},
    "system": {"screen_brightness": "102", "screen_brightness_mode": "1", "screen_off_timeout": "60000"},
}
_POWER = {
    "battery_updates": "running",
    "fixed_performance_mode": "false",
    "thermal_override": "false",
    "thermal_status": "0",
    "wakefulness": "Asleep",
}
_MIDR = {"cortex-a76": ("0x41", "0x3", "0xd0b", "1"), "cortex-a53": ("0x41", "0x0", "0xd03", "4")}
_FEATURES = {
    "cortex-a53": "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid",
    "cortex-a76": "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    "max": "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 "
    "sm3 sm4 asimddp sha512 sve asimdfhm dit sve2 i8mm bf16 sme",
}


def write_phone(root: Path, spec: DeviceSpec, cpus: Sequence[int]) -> None:
    """Writes all of it below `root`.

    Args:
        root: Of the device.
        spec: Which device.
        cpus: Numbers of the CPUs that processes here may use.
    """
    _write_cpus(root / "sys/devices/system/cpu", cpus)
    _write_zones(root / "sys/class/thermal")
    # Nobody else exists in the device's namespace. No script of a package has run, so these files are missing.
    _write(root / "etc/passwd", f"root:x:0:0:root:/data:{'/system/bin/sh' if spec.android else '/bin/sh'}")
    _write(root / "etc/group", "root:x:0:")
    if spec.cpu:
        _write(root / "etc/cpuinfo", _cpuinfo(spec.cpu, cpus).rstrip("\n"))
    if spec.android:
        _write_android(root, spec)
    else:
        _write(root / "sys/firmware/devicetree/base/model", f"Lab {spec.name} emulated by qemu\0", end="")
        _write(root / "etc/hostname", spec.name)


def set_temperature(root: Path, temperature_c: float) -> None:
    """Gives all sensors and the battery that temperature."""
    for zone in (root / "sys/class/thermal").glob("thermal_zone*"):
        _write(zone / "temp", f"{temperature_c * 1000:.0f}")
    battery = root / "sys/class/power_supply/battery/temp"
    if battery.exists():
        _write(battery, f"{temperature_c * 10:.0f}")


def set_thermal_status(root: Path, status: int) -> None:
    """Reports that throttling status, 0 none to 6 shutdown."""
    _write(root / STATE / "thermal_status", str(status))


def limit_frequency(root: Path, khz: int | None) -> None:
    """Lowers the frequency that CPUs may reach, as a hot phone does; None lets them reach their own again."""
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"):
        top = int((folder / "cpuinfo_max_freq").read_text("ascii"))
        allowed = top if khz is None else max(_MIN_KHZ, min(top, khz))
        for name in ("scaling_max_freq", "scaling_cur_freq"):
            _write(folder / name, str(allowed))


def set_property(root: Path, name: str, value: str) -> None:
    """Makes `getprop NAME` answer VALUE."""
    file = root / "system/build.prop"
    kept = [line for line in file.read_text("utf-8").splitlines() if not line.startswith(f"{name}=")]
    _write(file, "\n".join([*kept, f"{name}={value}"]))


def read_state(root: Path) -> Mapping[str, str]:
    """All that commands on the device can change, by name: `settings/global/low_power`, `wakefulness`, …"""
    folder = root / STATE
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text("utf-8", "replace").strip() for path in files}


def clusters(cpus: Sequence[int]) -> list[dict[str, int]]:
    """Capacity and highest frequency of each CPU: slow ones first, one fastest if there are four or more."""
    prime = 1 if len(cpus) >= 4 else 0
    little = len(cpus) // 2
    return [_LITTLE] * little + [_BIG] * (len(cpus) - little - prime) + [_PRIME] * prime


def _write_cpus(folder: Path, cpus: Sequence[int]) -> None:
    listed = ",".join(map(str, cpus))
    for name in ("possible", "present", "online"):
        _write(folder / name, listed)
    made = clusters(cpus)
    for cpu, cluster in zip(cpus, made, strict=True):
        _write(folder / f"cpu{cpu}/cpu_capacity", str(cluster["capacity"]))
        _write(folder / f"cpu{cpu}/online", "1")
        related = " ".join(str(other) for other, its in zip(cpus, made, strict=True) if its == cluster)
        values = {
            "affected_cpus": related,
            "cpuinfo_max_freq": cluster["max_khz"],
            "cpuinfo_min_freq": _MIN_KHZ,
            "related_cpus": related,
            "scaling_cur_freq": cluster["max_khz"],
            "scaling_governor": "schedutil",
            "scaling_max_freq": cluster["max_khz"],
            "scaling_min_freq": _MIN_KHZ,
        }
        for name, value in values.items():
            _write(folder / f"cpu{cpu}/cpufreq/{name}", str(value))


def _write_zones(folder: Path) -> None:
    for number, (kind, temperature_c) in enumerate(_ZONES_C.items()):
        _write(folder / f"thermal_zone{number}/type", kind)
        _write(folder / f"thermal_zone{number}/temp", f"{temperature_c * 1000:.0f}")


def _cpuinfo(cpu: str, cpus: Sequence[int]) -> str:
    # qemu's `max` has an implementer of its own, 0.
    implementer, variant, part, revision = _MIDR.get(cpu, ("0x00", "0x0", "0x051", "0"))
    return "".join(
        f"processor\t: {number}\nBogoMIPS\t: 100.00\nFeatures\t: {_FEATURES[cpu]}\nCPU implementer\t: {implementer}\n"
        f"CPU architecture: 8\nCPU variant\t: {variant}\nCPU part\t: {part}\nCPU revision\t: {revision}\n\n"
        for number in cpus
    )


def _write_android(root: Path, spec: DeviceSpec) -> None:
    abi = {"arm64": "arm64-v8a", "amd64": "x86_64"}[spec.architecture]
    properties = {
        "ro.product.manufacturer": "lab",
        "ro.product.brand": "lab",
        "ro.product.model": f"Lab {spec.name}",
        "ro.product.device": spec.name,
        "ro.product.name": f"lab_{spec.name}",
        "ro.product.board": "qemu",
        "ro.board.platform": "qemu",
        "ro.hardware": "qemu",
        "ro.soc.manufacturer": "QEMU",
        "ro.soc.model": spec.cpu or "host",
        "ro.product.cpu.abi": abi,
        "ro.product.cpu.abilist": abi,
        "ro.product.cpu.abilist64": abi,
        "ro.product.cpu.abilist32": "",
        "ro.build.version.release": "14",
        "ro.build.version.sdk": "34",
        "ro.build.version.security_patch": "2024-05-05",
        "ro.build.id": "LAB",
        "ro.build.fingerprint": f"lab/lab_{spec.name}/{spec.name}:14/LAB/1:userdebug/test-keys",
        "ro.build.type": "userdebug",
        "ro.debuggable": "1",
        "ro.serialno": f"LAB-{spec.name}",
        # It is an emulator, and nobody shall take its numbers for a phone's.
        "ro.kernel.qemu": "1",
        "ro.boot.qemu": "1",
        "sys.boot_completed": "1",
    }
    _write(root / "system/build.prop", "\n".join(f"{name}={value}" for name, value in properties.items()))
    for name, value in _POWER.items():
        _write(root / STATE / name, value)
    for namespace, settings in _SETTINGS.items():
        for name, value in settings.items():
            _write(root / STATE / "settings" / namespace / name, value)
    for name, value in {"capacity": "87", "status": "Charging", "temp": "301", "type": "Battery"}.items():
        _write(root / "sys/class/power_supply/battery" / name, value)
    for command in MANNERS.iterdir():
        shutil.copy(command, root / "system/bin" / command.name)
        (root / "system/bin" / command.name).chmod(0o755)


def _write(path: Path, text: str, *, end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # In place, so that a bind mount or an open reader sees it.
    path.write_text(text + end, "utf-8")
