"""Addresses of Google's runners, as its documentation has them."""

from __future__ import annotations

import pytest

from device_bench.runners.builds import BASE_URL, LITERT_VERSION, find_build
from models.errors import DownloadError

NIGHTLY = "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/nightly/latest"


@pytest.mark.parametrize(
    ("android", "architecture", "file"),
    [
        (True, "arm64", "android_aarch64_benchmark_model"),
        (True, "arm32", "android_arm_benchmark_model"),
        (False, "x86-64", "linux_x86-64_benchmark_model"),
        (False, "arm64", "linux_aarch64_benchmark_model"),
        (False, "arm32", "linux_arm_benchmark_model"),
    ],
)
def test_the_classic_runner_is_at_the_documented_address(android: bool, architecture: str, file: str) -> None:
    build = find_build("classic", android=android, architecture=architecture)
    assert f"{BASE_URL}/{build.program}" == f"{NIGHTLY}/{file}"
    assert (build.libraries, build.architecture) == ((), architecture)


@pytest.mark.parametrize(
    ("android", "architecture", "folder", "libraries"),
    [
        (True, "arm64", "android_arm64", 3),
        (False, "x86-64", "linux_x86_64", 1),
        (False, "arm64", "linux_arm64", 1),
    ],
)
def test_litert_comes_with_libraries_of_the_same_version(
    android: bool, architecture: str, folder: str, libraries: int
) -> None:
    build = find_build("litert", android=android, architecture=architecture)
    beside = f"litert/binaries/{LITERT_VERSION}/{folder}/"
    assert build.program == f"{beside}benchmark_model"
    assert f"{beside}libLiteRt.so" in build.libraries
    assert len(build.libraries) == libraries
    assert all(name.startswith(beside) for name in build.libraries)


def test_a_device_without_a_build_is_told_which_have_one() -> None:
    with pytest.raises(
        DownloadError,
        match=r"^Google publishes no litert benchmark_model for android arm32, only for android arm64, linux x86-64, "
        r"linux arm64; build one and give it with --runner-path$",
    ):
        find_build("litert", android=True, architecture="arm32")
