"""`build`: packages -> roots of the devices -> one cached folder of archives."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from device_bench.lab.apt import Apt, DebianFile, debian_mirror, unpack
from device_bench.lab.archive import SCHEMA, Archive, cache_folder, find_archive, locked, locked_requirements
from device_bench.lab.devices import Architecture
from device_bench.lab.host import check_build_tools, check_host
from device_bench.lab.native import compile_runner, install_runner, run_in_root
from device_bench.lab.programs import Programs
from device_bench.lab.recipe import (
    DEVICE_PACKAGES,
    DEVICE_PYTHON,
    DEVICE_SUITE,
    MULTIARCH,
    QEMU,
    QEMU_PACKAGE,
    QEMU_SUITE,
    recipe_key,
)
from device_bench.lab.wheels import install_wheels
from models.errors import LabError
from models.files import format_json, output_errors, sha256_file, write_file
from models.worker import Progress, Report

STAGE = "build the lab"
_PACKAGES = f"usr/local/lib/python{DEVICE_PYTHON}/dist-packages"
# A third of the whole, which would be unpacked with every start.
_USELESS_DEBIAN = ("share/doc", "share/info", "share/lintian", "share/locale", "share/man", "lib/*-linux-gnu/gconv")
_LITERT_BENCHMARK = """\
#!/usr/bin/python3
import sys
from ai_edge_litert.tools.benchmark_litert_model import main
sys.exit(main())
"""


def build(report: Report, *, again: bool = False) -> Archive:
    """The archives of the present recipe, built unless they are in the cache.

    Needs a Debian mirror and a Python package index, and takes one to three minutes. Two builds at the same time are
    one: the second waits for the first and takes its result.

    Args:
        report: Receives the progress.
        again: Build even if there is one.

    Raises:
        LabError: this host cannot, or a package cannot be had.
        OutputError: the cache cannot be written.
    """
    archive = find_archive()
    if archive and not again:
        return archive
    check_host()
    check_build_tools()
    cache = cache_folder()
    with locked(cache, "build", lambda: report(Progress(stage=STAGE, done=0, total=_STEPS, detail=_WAITING))):
        archive = find_archive()
        if archive and not again:
            return archive
        with output_errors(cache):
            for left_over in cache.glob(".partial-*"):
                shutil.rmtree(left_over)
            work = Path(tempfile.mkdtemp(prefix=".partial-", dir=cache))
        try:
            return _Build(work, report).run(cache)
        finally:
            shutil.rmtree(work, ignore_errors=True)


class _Build:
    """One build, in a work folder that goes away."""

    def __init__(self, work: Path, report: Report) -> None:
        self._work = work
        self._programs = Programs()
        self._origin: list[DebianFile] = []
        self._report = report
        self._lock = threading.Lock()
        self._done = 0
        self._started = time.monotonic()

    def run(self, cache: Path) -> Archive:
        """Builds, and puts the result into `cache`."""
        requirements = locked_requirements()
        mirror = debian_mirror(self._programs)
        # One core compiles while the other one unpacks, and the network serves both.
        pool = ThreadPoolExecutor(max_workers=2)
        try:
            native = pool.submit(self._native, mirror)
            roots = pool.submit(self._roots, mirror, requirements)
            roots.result()
            missing = self._install_native(native)
            made = self._work / "made"
            made.mkdir()
            self._step("pack", lambda: list(pool.map(lambda one: self._pack(one, made), MULTIARCH)))
        finally:
            self._programs.end()
            pool.shutdown(cancel_futures=True)
        return self._publish(cache, made, requirements, missing)

    def _step(self, detail: str, work: Callable[[], Any]) -> Any:
        with self._lock:
            self._report(Progress(stage=STAGE, done=self._done, total=_STEPS, detail=detail))
        result = work()
        with self._lock:
            self._done += 1
            self._report(Progress(stage=STAGE, done=self._done, total=_STEPS, detail=detail))
        return result

    def _native(self, mirror: str) -> list[DebianFile]:
        result: list[DebianFile] = self._step(
            "benchmark_model from source", lambda: compile_runner(self._programs, self._work / "native", mirror)
        )
        return result

    def _install_native(self, native: Future[list[DebianFile]]) -> str | None:
        """Why there is no benchmark_model; None if there is."""
        try:
            self._origin += native.result()
        except LabError as error:
            # The suite it is built from changes daily. The lab is of use without it.
            self._report(Progress(stage="benchmark_model", done=0, total=1, detail=f"left out: {error}"))
            return str(error)
        for architecture in MULTIARCH:
            install_runner(self._work / "native", self._work / architecture, architecture)
        return None

    def _roots(self, mirror: str, requirements: str) -> None:
        for architecture in MULTIARCH:
            self._step(f"Debian {DEVICE_SUITE} {architecture}", partial(self._root, mirror, architecture))
            self._step(f"Python packages {architecture}", partial(self._wheels, requirements, architecture))
        self._step("emulator", lambda: self._emulator(mirror))
        self._step("Python byte code", self._compile_python)
        self._link_toybox()

    def _wheels(self, requirements: str, architecture: Architecture) -> None:
        install_wheels(self._programs, self._work, requirements, architecture, self._work / architecture / _PACKAGES)

    def _root(self, mirror: str, architecture: Architecture) -> None:
        root = self._work / architecture
        apt = Apt(self._programs, self._work / f"apt-{architecture}", mirror, DEVICE_SUITE, (architecture,))
        apt.update()
        packages = apt.fetch(DEVICE_PACKAGES)
        self._origin += apt.describe(packages)
        unpack(self._programs, packages, root)
        _remove(root / "usr", _USELESS_DEBIAN)
        for name in ("data", "dev/shm", "opt/tflite", "system/bin", "usr/libexec"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "dev/null").touch()
        script = root / "usr/bin/litert-benchmark"
        script.write_text(_LITERT_BENCHMARK, "utf-8")
        script.chmod(0o755)
        shutil.rmtree(self._work / f"apt-{architecture}")

    def _emulator(self, mirror: str) -> None:
        folder = self._work / "apt-emulator"
        apt = Apt(self._programs, folder, mirror, QEMU_SUITE, ("amd64",))
        apt.update()
        packages = [path for path in apt.fetch((QEMU_PACKAGE,)) if path.name.startswith(f"{QEMU_PACKAGE}_")]
        self._origin += apt.describe(packages)
        self._programs.run(
            # Only one of its 40 emulators is of use here.
            ("sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar -C "$1" -xf - "./usr/bin/$2"', *packages, folder, QEMU),
            to="unpack the emulator",
        )
        (folder / "usr/bin" / QEMU).rename(self._work / "arm64/usr/libexec" / QEMU)
        shutil.rmtree(folder)

    def _link_toybox(self) -> None:
        """Android's tools under their names, where only devices that are like Android look."""
        for name in run_in_root(self._programs, self._work / "amd64", ("toybox",), to="list toybox's tools").split():
            for architecture in MULTIARCH:
                (self._work / architecture / "system/bin" / name).symlink_to("/usr/bin/toybox")

    def _compile_python(self) -> None:
        """Byte code for both roots, by the one Python that runs without emulation: its start takes a second less."""
        root = self._work / "amd64"
        self._compile_folders(root, "")
        inside = root / "other"
        (self._work / "arm64").rename(inside)
        try:
            self._compile_folders(root, "/other")
        finally:
            inside.rename(self._work / "arm64")

    def _compile_folders(self, root: Path, top: str) -> None:
        strip = ("-s", top, "-p", "/") if top else ()
        folders = (f"{top}/usr/lib/python{DEVICE_PYTHON}", f"{top}/{_PACKAGES}")
        # 0: as many processes as CPUs. Byte code that is never checked needs no times of files.
        options = ("-q", "-j", "0", "--invalidation-mode", "unchecked-hash")
        run_in_root(
            self._programs,
            root,
            ("/usr/bin/python3", "-m", "compileall", *options, *strip, *folders),
            to="compile Python's modules",
        )

    def _pack(self, architecture: Architecture, made: Path) -> None:
        # Nobody's files, the same bytes for the same content, and no program that runs with its owner's rights.
        plain = ("--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+rw,u-s,g-s")
        compress = "--use-compress-program=gzip -1"
        target = made / f"{architecture}.tar.gz"
        self._programs.run(
            ("tar", "-C", self._work / architecture, compress, *plain, "-cf", target, "."), to="pack the archive"
        )

    def _publish(self, cache: Path, made: Path, requirements: str, missing: str | None) -> Archive:
        key = recipe_key(requirements)
        archive = Archive(key=key, folder=cache / key, native_missing=missing)
        manifest = {
            "schema": SCHEMA,
            "key": key,
            "made_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "build_s": round(time.monotonic() - self._started, 1),
            "native": {"made": missing is None, "reason": missing},
            "archives": {path.name: sha256_file(path) for path in sorted(made.iterdir())},
            "python": requirements.splitlines(),
            "debian": [asdict(file) for file in sorted(set(self._origin), key=lambda file: (file.suite, file.name))],
        }
        write_file(made / "manifest.json", format_json(manifest).encode())
        with output_errors(archive.folder):
            # Those of earlier recipes too, apart from one whose devices are up.
            for old in cache.glob("[0-9a-f]" * len(key)):
                if old == archive.folder or not (old / "roots").exists():
                    shutil.rmtree(old)
            made.rename(archive.folder)
        return archive


def _remove(folder: Path, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        for useless in list(folder.glob(pattern)):
            shutil.rmtree(useless)


_STEPS = 2 * len(MULTIARCH) + 4
_WAITING = "another process builds it; waiting for that one"
