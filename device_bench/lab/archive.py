"""The lab's cache: one folder per recipe, with an archive per architecture and a manifest of what is in them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device_bench.lab.devices import Architecture
from device_bench.lab.programs import Programs
from device_bench.lab.recipe import LOCK, WHEELS, recipe_key
from device_bench.lab.wheels import device_requirements
from models.errors import LabError
from models.files import output_errors

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A finished build."""

    key: str
    folder: Path
    native_missing: str | None
    """Why benchmark_model is not in it; None if it is."""

    @property
    def manifest(self) -> Path:
        """What it was made from, every package with its SHA-256."""
        return self.folder / "manifest.json"

    @property
    def qemu(self) -> Path:
        """The emulator, for those who unpacked the arm64 root."""
        return self.root("arm64") / "usr/libexec/qemu-aarch64-static"

    def packed(self, architecture: Architecture) -> Path:
        """The archive of a root."""
        return self.folder / f"{architecture}.tar.gz"

    def root(self, architecture: Architecture) -> Path:
        """The unpacked root that devices share, read-only; there while one is up."""
        return self.folder / "roots" / architecture


def cache_folder() -> Path:
    """Where the lab keeps its archive and the state of its devices.

    Raises:
        LabError: the environment names no home and no cache.
    """
    # A relative path is to be ignored, says the XDG Base Directory Specification.
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        base = given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise LabError("there is no home folder to keep the lab in; set XDG_CACHE_HOME to a folder of yours") from None
    return base / "mobile-deploy-toolchain" / "lab"


def locked_requirements() -> str:
    """The Python packages of the device, as requirements.lock has them.

    Raises:
        LabError: the lock cannot be read, or lacks one.
    """
    try:
        lock = LOCK.read_text("utf-8")
    except OSError as error:
        raise LabError(f"cannot read {LOCK}: {error.strerror or error}; the lab is run from a clone") from None
    return device_requirements(lock, WHEELS)


def find_archive() -> Archive | None:
    """The finished build of the present recipe, if there is one.

    Raises:
        LabError: as for `locked_requirements`.
    """
    key = recipe_key(locked_requirements())
    folder = cache_folder() / key
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        reason = None if manifest["native"]["made"] else str(manifest["native"]["reason"])
        fits = manifest["schema"] == SCHEMA
    except (OSError, ValueError, KeyError, TypeError):
        # The manifest is written last: a folder without one is no build.
        return None
    return Archive(key=key, folder=folder, native_missing=reason) if fits else None


@contextmanager
def locked(folder: Path, name: str, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds a lock of that name in `folder`, waiting for whoever holds it; the kernel frees it however we end.

    Args:
        folder: Made if there is none.
        name: Of the lock.
        waits: Called before a wait.

    Raises:
        OutputError: the folder cannot be made.
    """
    with output_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def unpack_root(programs: Programs, archive: Archive, architecture: Architecture) -> None:
    """Unpacks a root, unless it is there.

    Raises:
        LabError: the archive is damaged, or the disk full.
    """
    final = archive.root(architecture)
    if final.exists():
        return
    partial = final.with_name(f".partial-{architecture}")
    shutil.rmtree(partial, ignore_errors=True)
    with output_errors(partial):
        partial.mkdir(parents=True)
    # The files belong to whoever runs the device: no other owner exists in its namespace.
    programs.run(
        ("tar", "-C", partial, "-xzf", archive.packed(architecture), "--no-same-owner"),
        to=f"unpack {archive.packed(architecture)} (remove its folder to have it built again)",
    )
    partial.rename(final)


def remove_roots(archive_folder: Path) -> None:
    """Removes what was unpacked; the archives stay."""
    shutil.rmtree(archive_folder / "roots", ignore_errors=True)
