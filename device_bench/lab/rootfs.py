"""Mounts the file system of a device, inside its own mount namespace: all of it goes away with the last process."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from pathlib import Path

from device_bench.lab.devices import DeviceSpec
from device_bench.lab.phone_files import write_phone

TOOL_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
# ELF, 64 bit, little endian, for machine 183. F: the kernel opens the emulator now, so the root needs no copy of it.
_ARM64_PROGRAMS = (
    rb":arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:"
    rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:%s:F"
)


class MountError(Exception):
    """The kernel refused a part of the device's file system."""


def mount_device(lower: Path, place: Path, spec: DeviceSpec, emulator: Path | None) -> Path:
    """Mounts a fresh device at `place` and returns its root. The root below it is shared and stays as it is.

    Args:
        lower: Unpacked root.
        place: Empty folder.
        spec: Which device.
        emulator: For programs of its architecture; None if the host runs them.

    Raises:
        MountError: the kernel refused.
    """
    _mount("-t", "tmpfs", "-o", "mode=755,size=1g", "tmpfs", place)
    for name in ("upper", "work", "root", "binfmt"):
        (place / name).mkdir()
    root = place / "root"
    layers = f"lowerdir={_escaped(lower)},upperdir={_escaped(place / 'upper')},workdir={_escaped(place / 'work')}"
    _mount("-t", "overlay", "-o", f"{layers},userxattr", "overlay", root)
    _mount("-t", "proc", "proc", root / "proc")
    _mount_dev(root / "dev")
    write_phone(root, spec, sorted(os.sched_getaffinity(0)))
    if spec.cpu:
        _mount("--bind", root / "etc/cpuinfo", root / "proc/cpuinfo")
    _mount("-t", "tmpfs", "-o", f"mode=771,size={spec.data_bytes}", "tmpfs", root / "data")
    (root / "data/local/tmp").mkdir(parents=True)
    (root / "data/local/tmp").chmod(0o777)
    if spec.data_options:
        remount_data(root, ",".join(spec.data_options))
    if spec.android:
        _be_android(root)
    if emulator:
        _register(emulator, place / "binfmt")
    return root


def remount_data(root: Path, option: str) -> None:
    """Changes the size or the rights of /data.

    Raises:
        MountError: the kernel refused: files there are open for writing, or use more.
    """
    _mount("-o", f"remount,{option}", root / "data")


def raise_loopback() -> None:
    """Switches on the one network interface that this namespace has.

    Raises:
        OSError: not allowed here.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def _mount_dev(dev: Path) -> None:
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", dev)
    for name in _NODES:
        (dev / name).touch()
        # Nobody may make nodes in a user namespace.
        _mount("--bind", f"/dev/{name}", dev / name)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", dev / "pts")
    (dev / "shm").chmod(0o777)
    for name, target in {"ptmx": "pts/ptmx", "fd": "/proc/self/fd"}.items():
        (dev / name).symlink_to(target)


def _be_android(root: Path) -> None:
    # /system/bin, which is first on PATH there, holds toybox already; adbd runs /bin/sh.
    shell = root / "usr/bin/sh"
    shell.unlink()
    shell.symlink_to("mksh")
    (root / "system/bin/sh").symlink_to("/usr/bin/mksh")


def _register(emulator: Path, place: Path) -> None:
    _mount("-t", "binfmt_misc", "binfmt_misc", place)
    try:
        (place / "register").write_bytes(_ARM64_PROGRAMS % os.fsencode(emulator))
    except OSError as error:
        raise MountError(f"registering {emulator}: {error.strerror}") from None


def _mount(*words: str | Path) -> None:
    result = subprocess.run(  # noqa: S603 - words of our own, never a shell
        ["mount", *map(str, words)],  # noqa: S607 - PATH is TOOL_PATH here
        env={"PATH": TOOL_PATH, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        raise MountError(f"mount {' '.join(map(str, words))}: {result.stderr.strip()}")


def _escaped(path: Path) -> str:
    # What separates the options of overlay, and the layers.
    return "".join(f"\\{letter}" if letter in "\\:," else letter for letter in str(path))
