"""Python packages for the device: the versions of requirements.lock, in wheels for another machine."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from device_bench.lab.devices import Architecture
from device_bench.lab.programs import Programs
from device_bench.lab.recipe import DEVICE_PYTHON
from models.errors import LabError

_MACHINE: dict[Architecture, str] = {"arm64": "aarch64", "amd64": "x86_64"}
_GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
_ENTRY = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? *\\$", re.MULTILINE
)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
_MARKER = re.compile(r"python_full_version (?P<comparison><|>=) '(?P<version>\d+\.\d+)'")


def device_requirements(lock: str, names: Sequence[str]) -> str:
    """The part of a lock that the device needs: exact versions with hashes, without markers.

    Markers are decided here, for the device's Python: pip would decide them for its own.

    Raises:
        LabError: a package is not in the lock, or its marker is of an unknown kind.
    """
    entries = list(_ENTRY.finditer(lock))
    ends = [entry.start() for entry in entries[1:]] + [len(lock)]
    chosen: dict[str, str] = {}
    for entry, end in zip(entries, ends, strict=True):
        if entry["name"] in names and _applies(entry["name"], entry["marker"]):
            hashes = _HASH.findall(lock, entry.end(), end)
            chosen[entry["name"]] = " ".join([f"{entry['name']}=={entry['version']}", *hashes])
    if missing := sorted(set(names) - set(chosen)):
        raise LabError(f"requirements.lock holds no {', '.join(missing)} for Python {DEVICE_PYTHON}; run make lock")
    return "".join(f"{chosen[name]}\n" for name in sorted(chosen))


def install_wheels(programs: Programs, work: Path, requirements: str, architecture: Architecture, target: Path) -> None:
    """Unpacks the wheels for the device into `target`, by pip or uv as the user configured them.

    Raises:
        LabError: neither is here, or a wheel cannot be fetched or has another hash.
    """
    file = work / "requirements.txt"
    file.write_text(requirements, "utf-8")
    common: tuple[str | Path, ...] = (
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--requirement",
        file,
    )
    client, is_uv = _client(programs, work)
    if is_uv:
        where = ["--python-platform", f"{_MACHINE[architecture]}-{_GLIBC[0]}"]
    else:
        # The hashes say which files; what they need was decided when the lock was made.
        platforms = [f"--platform={glibc}_{_MACHINE[architecture]}" for glibc in _GLIBC]
        where = ["--no-input", "--ignore-requires-python", "--implementation", "cp", *platforms]
    command: tuple[str | Path, ...] = (
        *client,
        "install",
        "--target",
        target,
        "--python-version",
        DEVICE_PYTHON,
        *where,
        *common,
    )
    programs.run(command, to=f"fetch the {architecture} Python packages of the device")
    # Scripts made for this machine's Python.
    shutil.rmtree(target / "bin", ignore_errors=True)


def _applies(name: str, marker: str | None) -> bool:
    if marker is None:
        return True
    found = _MARKER.fullmatch(marker.strip())
    if not found:
        raise LabError(
            f"requirements.lock says {name} ; {marker.strip()}, and only a comparison of python_full_version is "
            "understood; teach device_bench/lab/wheels.py"
        )
    device, bound = (tuple(map(int, version.split("."))) for version in (DEVICE_PYTHON, found["version"]))
    return device < bound if found["comparison"] == "<" else device >= bound


def _client(programs: Programs, work: Path) -> tuple[tuple[str, ...], bool]:
    """The words that call pip or uv, and whether it is uv. An environment made by uv has no pip in it."""
    if importlib.util.find_spec("pip"):
        return (sys.executable, "-m", "pip"), False
    if uv := shutil.which("uv"):
        return (uv, "pip"), True
    if not importlib.util.find_spec("ensurepip"):
        raise LabError("fetching the device's Python packages needs pip or uv; apt install python3-venv")
    folder = work / "pip"
    if not folder.exists():
        programs.run((sys.executable, "-m", "venv", folder), to="make an environment with pip")
    return (str(folder / "bin" / "python"), "-m", "pip"), False
