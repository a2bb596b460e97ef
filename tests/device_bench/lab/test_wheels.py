from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from device_bench.lab.archive import locked_requirements
from device_bench.lab.programs import Programs
from device_bench.lab.recipe import WHEELS
from device_bench.lab.wheels import device_requirements, install_wheels
from models.errors import LabError

_A, _B, _C = ("--hash=sha256:" + digit * 64 for digit in "abc")
_LOCK = f"""\
# made by a tool
numpy==2.4.6 ; python_full_version < '3.12' \\
    {_A}
    # via something
numpy==2.5.5 ; python_full_version >= '3.12' \\
    {_B} \\
    {_C}
    # via something
tqdm==4.70.1 \\
    {_A}
"""


def test_a_marker_is_decided_for_the_python_of_the_device() -> None:
    assert device_requirements(_LOCK, ["numpy"]) == f"numpy==2.5.5 {_B} {_C}\n"


def test_a_package_brings_its_own_hashes_and_no_others() -> None:
    assert device_requirements(_LOCK, ["tqdm"]) == f"tqdm==4.70.1 {_A}\n"


def test_a_package_that_is_not_locked_is_refused() -> None:
    with pytest.raises(
        LabError, match=r"^requirements.lock holds no flatbuffers, ml-dtypes for Python 3\.13; run make"
    ):
        device_requirements(_LOCK, ["numpy", "ml-dtypes", "flatbuffers"])


def test_a_marker_that_is_not_understood_is_refused_rather_than_guessed() -> None:
    lock = _LOCK.replace("python_full_version >= '3.12'", "sys_platform == 'linux'")
    with pytest.raises(LabError, match="says numpy ; sys_platform == 'linux', and only a comparison"):
        device_requirements(lock, ["numpy"])


def test_this_projects_lock_has_every_package_of_the_device_exactly_once() -> None:
    lines = locked_requirements().splitlines()
    assert [line.partition("==")[0] for line in lines] == sorted(WHEELS)
    assert all("--hash=sha256:" in line for line in lines)


@pytest.fixture
def _no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"pip"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else object())


@pytest.mark.usefixtures("_no_pip")
def test_without_pip_the_users_uv_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/argv\n')
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
    install_wheels(Programs(), tmp_path, "numpy==1\n", "arm64", tmp_path / "target")
    words = (tmp_path / "argv").read_text().splitlines()
    assert words[:2] == ["pip", "install"]
    assert "aarch64-manylinux_2_28" in words
    assert {"--require-hashes", "--only-binary", "--no-deps"} <= set(words)
    assert (tmp_path / "requirements.txt").read_text() == "numpy==1\n"


def test_without_pip_uv_and_ensurepip_the_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"needs pip or uv; apt install python3-venv$"):
        install_wheels(Programs(), tmp_path, "", "arm64", tmp_path / "target")
