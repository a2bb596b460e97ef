"""Where Google publishes benchmark_model for which device.

Source: <https://ai.google.dev/edge/litert/models/measurement>, <https://ai.google.dev/edge/litert/next/benchmark>.
The classic runner has no versions: every night's build replaces the last one under the same address, so its SHA-256,
recorded when it is first fetched, is what pins it. LiteRT's are in a folder per version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.errors import DownloadError

BASE_URL = "https://storage.googleapis.com"
LITERT_VERSION = "2.2.0"
"""The newest whose addresses are known from use, in LiteRT's own `rust/build.rs`."""

_CLASSIC = "tensorflow-nightly-public/prod/tensorflow/release/lite/tools/nightly/latest"
_CLASSIC_PLATFORMS = {
    ("android", "arm64"): "android_aarch64",
    ("android", "arm32"): "android_arm",
    ("linux", "x86-64"): "linux_x86-64",
    ("linux", "arm64"): "linux_aarch64",
    ("linux", "arm32"): "linux_arm",
}
_LITERT = f"litert/binaries/{LITERT_VERSION}"
_LITERT_PLATFORMS = {
    ("android", "arm64"): "android_arm64",
    ("linux", "x86-64"): "linux_x86_64",
    ("linux", "arm64"): "linux_arm64",
}
_RUNTIME = ("libLiteRt.so",)
_GPU = ("libLiteRtClGlAccelerator.so", "libLiteRtOpenClAccelerator.so")
"""Loaded by the runner from its own folder when the GPU is asked for."""

Kind = Literal["classic", "litert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The files of one runner for one kind of device."""

    architecture: str
    program: str
    """Path below `BASE_URL`; the same path identifies it in the lock, wherever a mirror is."""
    libraries: tuple[str, ...]
    """Likewise, of the same version; they belong into the program's folder."""


def find_build(kind: Kind, *, android: bool, architecture: str) -> Build:
    """The files to fetch.

    Raises:
        DownloadError: Google publishes none for such a device.
    """
    key = ("android" if android else "linux", architecture)
    table = _CLASSIC_PLATFORMS if kind == "classic" else _LITERT_PLATFORMS
    if key not in table:
        known = ", ".join(" ".join(pair) for pair in table)
        raise DownloadError(
            f"Google publishes no {kind} benchmark_model for {' '.join(key)}, only for {known}; build one and give it "
            "with --runner-path"
        )
    if kind == "classic":
        return Build(architecture=architecture, program=f"{_CLASSIC}/{table[key]}_benchmark_model", libraries=())
    folder = f"{_LITERT}/{table[key]}"
    names = _RUNTIME + (_GPU if android else ())
    return Build(
        architecture=architecture,
        program=f"{folder}/benchmark_model",
        libraries=tuple(f"{folder}/{name}" for name in names),
    )
