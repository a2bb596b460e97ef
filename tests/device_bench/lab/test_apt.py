from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from device_bench.lab.apt import MIRROR_VARIABLE, Apt, DebianFile, debian_mirror
from device_bench.lab.programs import Programs
from models.errors import LabError


@pytest.fixture
def apt_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stub in place of apt-get: records its words, then does what the script in `do` says."""
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/argv\n. {tmp_path}/do\n')
    program.chmod(0o755)
    (tmp_path / "do").write_text("")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path


def _print_uris(folder: Path, *addresses: str) -> None:
    lines = "".join(f"'{address}' some_file 0 \n" for address in addresses)
    (folder / "do").write_text(f"cat <<'X'\n{lines}X\n")


def test_the_mirror_is_the_one_this_host_is_configured_with(apt_get: Path) -> None:
    _print_uris(
        apt_get,
        "http://third.example/apt/dists/some-product/InRelease",
        "http://m.example/security/dists/bookworm-security/InRelease",
        "http://m.example/debian/dists/bookworm-updates/InRelease",
        "http://m.example/debian/dists/bookworm/InRelease",
    )
    assert debian_mirror(Programs()) == "http://m.example/debian"


def test_without_a_debian_mirror_the_variable_that_names_one_is_told(apt_get: Path) -> None:
    _print_uris(apt_get, "http://m.example/ubuntu/dists/noble/InRelease")
    with pytest.raises(LabError, match=r"no Debian mirror; name one: LAB_DEBIAN_MIRROR=http://… make lab$"):
        debian_mirror(Programs())


def test_the_mirror_given_goes_first(apt_get: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _print_uris(apt_get, "http://m.example/debian/dists/sid/InRelease")
    monkeypatch.setenv(MIRROR_VARIABLE, "https://other.example/debian/")
    assert debian_mirror(Programs()) == "https://other.example/debian"


@pytest.mark.parametrize("value", ["ftp://x/", "http://x/ [trusted=yes]", "http://x/\ndeb http://y", "-o"])
def test_what_is_no_address_never_reaches_the_list_of_sources(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, value)
    with pytest.raises(LabError, match=r"is no address of a mirror; allowed are http, https and file$"):
        debian_mirror(Programs())


@pytest.fixture
def apt(apt_get: Path) -> Apt:
    return Apt(Programs(), apt_get / "apt", "http://m.example/debian", "sid", ("amd64", "arm64"))


def test_the_hosts_packages_are_left_alone(apt: Apt, apt_get: Path) -> None:
    apt.update()
    assert (apt_get / "argv").read_text().splitlines()[:3] == ["-qq", "--config-file", str(apt_get / "apt/apt.conf")]
    settings = (apt_get / "apt/apt.conf").read_text()
    for name in ("State", "State::Status", "State::Lists", "Cache", "Cache::Archives", "Log", "Etc::SourceList"):
        assert f'Dir::{name} "{apt_get}/apt' in settings
    assert 'APT::Architectures "amd64,arm64";' in settings
    assert "#clear APT::Update::Post-Invoke;" in settings


def test_every_package_must_be_signed_by_debian(apt: Apt, apt_get: Path) -> None:
    del apt
    lines = (apt_get / "apt/sources.list").read_text().splitlines()
    keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert lines == [f"{kind} {keyring} http://m.example/debian sid main" for kind in ("deb", "deb-src")]


def test_base_files_are_unpacked_first(apt: Apt, apt_get: Path) -> None:
    for name in ("adbd_1_arm64.deb", "base-files_2_arm64.deb", "a_1_arm64.deb"):
        (apt_get / "apt/archives" / name).write_bytes(b"x")
    files = apt.fetch(["adbd"])
    assert [path.name for path in files] == ["base-files_2_arm64.deb", "a_1_arm64.deb", "adbd_1_arm64.deb"]
    (described,) = apt.describe(files[1:2])
    assert described == DebianFile(name="a_1_arm64.deb", suite="sid", sha256=hashlib.sha256(b"x").hexdigest())


def test_a_mirror_that_fails_is_told(apt: Apt, apt_get: Path) -> None:
    (apt_get / "do").write_text("echo 'W: ignored' >&2; echo 'E: The repository is not signed.' >&2; exit 100\n")
    with pytest.raises(LabError, match=r"^cannot fetch the package lists of Debian sid: E: The repository is not"):
        apt.update()


def test_a_source_without_a_tarball_is_refused(apt: Apt) -> None:
    with pytest.raises(LabError, match=r"^the source package tensorflow has 0 upstream tarballs, one was expected$"):
        apt.fetch_source("tensorflow")
