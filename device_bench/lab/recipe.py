"""What the lab is made from. All of it, and the code that follows it, is hashed into the name of the cached archive."""

from __future__ import annotations

import hashlib
from pathlib import Path

from device_bench.lab.devices import Architecture

DEVICE_SUITE = "trixie"
DEVICE_PYTHON = "3.13"
"""Of that suite."""
DEVICE_PACKAGES = (
    "adbd",
    "base-files",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "mksh",
    "procps",
    "python3",
    "sed",
    "tar",
    "toybox",
    "util-linux",
)

# qemu 7.2, and no other: its faulty `max` is the device with wrong kernels.
QEMU_SUITE = "bookworm"
QEMU_PACKAGE = "qemu-user-static"
QEMU = "qemu-aarch64-static"

RUNNER_SUITE = "sid"
"""The only one with libtensorflow-lite."""
RUNNER_SOURCE = "tensorflow"
RUNNER_PACKAGES = (
    "base-files",
    "coreutils",
    "dash",
    "g++",
    "g++-aarch64-linux-gnu",
    "libabsl-dev",
    "libcpuinfo-dev",
    "libeigen3-dev",
    "libfarmhash-dev",
    "libflatbuffers-dev",
    "libfp16-dev",
    "libgemmlowp-dev",
    "libpthreadpool-dev",
    "libruy-dev",
    "libtensorflow-lite-dev:amd64",
    "libtensorflow-lite-dev:arm64",
    "sed",
)

WHEELS = (
    "ai-edge-litert",
    "backports-strenum",
    "flatbuffers",
    "ml-dtypes",
    "numpy",
    "onnxruntime",
    "packaging",
    "protobuf",
    "tqdm",
    "typing-extensions",
)
"""Python packages of the device, in the versions and with the hashes of requirements.lock."""

MULTIARCH: dict[Architecture, str] = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}
"""Debian's architectures as compilers and library folders name them."""

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
_FOLLOWED_BY = ("apt.py", "archive.py", "build.py", "compile_runner.sh", "native.py", "recipe.py", "wheels.py")


def recipe_key(requirements: str, code: Path = Path(__file__).parent) -> str:
    """Hex digest of all that makes the archive what it is, apart from what Debian serves on the day.

    Args:
        requirements: The locked requirements of the device.
        code: Folder of the sources that follow the recipe.
    """
    digest = hashlib.sha256(requirements.encode())
    for name in _FOLLOWED_BY:
        content = (code / name).read_bytes()
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
