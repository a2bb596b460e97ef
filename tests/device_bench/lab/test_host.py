from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from device_bench.lab import host
from device_bench.lab.host import check_build_tools, check_host
from models.errors import LabError


@pytest.fixture
def new_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "release", lambda: "6.18.1-amd64")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds all the programs there are."""
    monkeypatch.setattr(host, "tool_environment", lambda: {"PATH": str(tmp_path)})
    for name in ("unshare", "mount", "chroot", "tar", "gzip", "apt-get", "dpkg-deb", "sh"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.usefixtures("new_kernel", "programs")
def test_a_host_that_has_all_is_accepted() -> None:
    check_host()


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "aarch64"), ("win32", "AMD64")])
def test_another_system_is_refused(system: str, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(LabError, match=rf"runs on x86-64 Linux and this is .* on {machine}; use a phone"):
        check_host()


@pytest.mark.usefixtures("new_kernel", "programs")
@pytest.mark.parametrize("release", ["6.6.87", "5.15.0-100-generic"])
def test_an_old_kernel_is_refused(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: release)
    with pytest.raises(LabError, match=rf"needs Linux 6\.7, .* and this is {release}; use a newer kernel$"):
        check_host()


@pytest.mark.usefixtures("new_kernel")
def test_missing_programs_are_named_with_their_packages(programs: Path) -> None:
    (programs / "unshare").unlink()
    (programs / "mount").unlink()
    with pytest.raises(
        LabError, match=r"^the lab needs mount, unshare, not found on PATH; apt install mount util-linux$"
    ):
        check_host()


def test_programs_that_only_a_build_needs_are_asked_for_then(programs: Path) -> None:
    check_build_tools()
    (programs / "dpkg-deb").unlink()
    with pytest.raises(LabError, match=r"needs dpkg-deb, not found on PATH; apt install dpkg$"):
        check_build_tools()


@pytest.mark.usefixtures("programs")
def test_without_debians_keys_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(LabError, match=r"none\.gpg to check .* with; apt install debian-archive-keyring$"):
        check_build_tools()


@pytest.mark.usefixtures("new_kernel")
def test_forbidden_namespaces_are_told_with_the_setting_that_forbids_them(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (programs / "unshare").write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    setting = tmp_path / "proc/kernel/unprivileged_userns_clone"
    setting.parent.mkdir(parents=True)
    setting.write_text("0\n")
    monkeypatch.setattr(host, "SYSCTL", tmp_path / "proc")
    with pytest.raises(
        LabError,
        match=r"forbids user namespaces \(unshare failed: Operation not permitted\); "
        r"as administrator: sysctl kernel\.unprivileged_userns_clone=1$",
    ):
        check_host()
    setting.write_text("1\n")
    with pytest.raises(LabError, match=r"not permitted\); (inside a container, start|ask its administrator)"):
        check_host()
