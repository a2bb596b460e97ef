"""The classic benchmark_model, compiled from Debian's source package of TensorFlow.

Nothing published can be had through Debian or a Python package index, and this is the real program: version 2.14.1,
without XNNPACK, GPU and NNAPI.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from device_bench.lab.apt import Apt, DebianFile, unpack
from device_bench.lab.devices import Architecture
from device_bench.lab.programs import Programs
from device_bench.lab.recipe import MULTIARCH, RUNNER_PACKAGES, RUNNER_SOURCE, RUNNER_SUITE

_SOURCES = ("*/tensorflow/lite/*", "*/tensorflow/tsl/*", "*/tensorflow/core/util/*", "*/third_party/eigen3/*")
_LOADER: dict[Architecture, str] = {"arm64": "ld-linux-aarch64.so.1", "amd64": "ld-linux-x86-64.so.2"}


def compile_runner(programs: Programs, work: Path, mirror: str) -> list[DebianFile]:
    """Compiles the program for every architecture into `work/out/TRIPLE`; tells what from.

    Raises:
        LabError: a package is missing, or the source does not compile with the present ones.
    """
    work.mkdir()
    apt = Apt(programs, work / "apt", mirror, RUNNER_SUITE, ("amd64", "arm64"))
    apt.update()
    packages = apt.fetch(RUNNER_PACKAGES)
    tarball = apt.fetch_source(RUNNER_SOURCE)
    origin = apt.describe([*packages, tarball])
    root = work / "root"
    unpack(programs, packages, root)
    for name in ("src", "out", "dev"):
        (root / name).mkdir(exist_ok=True)
    programs.run(
        ("tar", "-C", root / "src", "-xf", tarball, "--strip-components=1", "--wildcards", *_SOURCES),
        to="unpack the source of TensorFlow",
    )
    (root / "dev/null").touch()
    shutil.copy(Path(__file__).parent / "compile_runner.sh", root / "compile_runner.sh")
    for architecture, triple in MULTIARCH.items():
        run_in_root(
            programs,
            root,
            ("/bin/sh", "/compile_runner.sh", triple, _LOADER[architecture]),
            to=f"compile benchmark_model for {architecture}",
        )
    (root / "out").rename(work / "out")
    for name in ("root", "apt"):
        shutil.rmtree(work / name)
    return origin


def install_runner(work: Path, root: Path, architecture: Architecture) -> None:
    """Puts the compiled program and its libraries into a device's root."""
    made = work / "out" / MULTIARCH[architecture]
    shutil.copytree(made / "lib", root / "opt/tflite/lib")
    shutil.copy(made / "benchmark_model", root / "usr/bin/benchmark_model")


def run_in_root(programs: Programs, root: Path, argv: tuple[str, ...], *, to: str) -> str:
    """What a program prints that sees nothing but `root`, in namespaces of its own, which an ordinary user may make."""
    inside = 'mount --bind /dev/null "$0/dev/null" && exec chroot "$0" "$@"'
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8"}
    # The program dies with its namespace if this process is killed.
    apart = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")
    return programs.run((*apart, "sh", "-c", inside, root, *argv), to=to, environment=environment)
