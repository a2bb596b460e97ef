"""Whether this host can run the lab, and if not, what to do."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from device_bench.lab.apt import KEYRING
from models.errors import LabError

_RUN_TOOLS = {"unshare": "util-linux", "mount": "mount", "chroot": "coreutils", "tar": "tar", "gzip": "gzip"}
_BUILD_TOOLS = {"apt-get": "apt", "dpkg-deb": "dpkg", "sh": "dash"}
NAMESPACES = ("--user", "--map-root-user", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
_OLDEST_KERNEL = (6, 7)
SYSCTL = Path("/proc/sys")
_SETTINGS = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
    ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
)


def check_host() -> None:
    """Returns if devices can run here.

    Raises:
        LabError: another system than Linux on x86-64, an old kernel, a missing program, forbidden namespaces.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise LabError(
            f"the lab runs on x86-64 Linux and this is {platform.system()} on {platform.machine()}; use a phone, or a "
            "Linux machine"
        )
    release = platform.release()
    version = re.match(r"(\d+)\.(\d+)", release)
    if version and (int(version[1]), int(version[2])) < _OLDEST_KERNEL:
        raise LabError(
            f"the lab needs Linux 6.7, which lets a user namespace register an emulator, and this is {release}; use a "
            "newer kernel"
        )
    _check_programs(_RUN_TOOLS)
    probe = subprocess.run(  # noqa: S603 - constant words
        ["unshare", *NAMESPACES, "true"],  # noqa: S607 - from wherever the user's PATH says
        env=tool_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=30,
        check=False,
    )
    if probe.returncode:
        raise LabError(f"this system forbids user namespaces ({probe.stderr.strip()}); {_remedy()}")


def check_build_tools() -> None:
    """Returns if the lab can be built here.

    Raises:
        LabError: a program or Debian's keys are missing.
    """
    _check_programs(_BUILD_TOOLS)
    if not KEYRING.exists():
        raise LabError(f"there is no {KEYRING} to check Debian's packages with; apt install debian-archive-keyring")


def tool_environment() -> dict[str, str]:
    """For programs of the system: also the folders of administrators, where mount and chroot may be."""
    # Some Pythons find their own library by the second one only.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "PATH": f"{kept.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


def _check_programs(packages: Mapping[str, str]) -> None:
    missing = {
        program: package
        for program, package in packages.items()
        if not shutil.which(program, path=tool_environment()["PATH"])
    }
    if missing:
        raise LabError(
            f"the lab needs {', '.join(sorted(missing))}, not found on PATH; "
            f"apt install {' '.join(sorted(set(missing.values())))}"
        )


def _remedy() -> str:
    for name, bad, command in _SETTINGS:
        try:
            value = (SYSCTL / name).read_text("ascii").strip()
        except OSError:
            continue
        if value == bad:
            return f"as administrator: {command}"
    if os.getuid() == 0:
        return "inside a container, start it with more rights (Docker: --privileged)"
    return "ask its administrator, or use a phone"
