from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from device_bench.lab import build as build_module
from device_bench.lab.archive import (
    Archive,
    cache_folder,
    find_archive,
    locked,
    locked_requirements,
    remove_roots,
    unpack_root,
)
from device_bench.lab.build import build
from device_bench.lab.programs import Programs
from device_bench.lab.recipe import recipe_key
from models.errors import LabError
from models.worker import Progress


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mobile-deploy-toolchain" / "lab"


def _finished(cache: Path, **changes: object) -> Path:
    folder = cache / recipe_key(locked_requirements())
    folder.mkdir(parents=True)
    manifest = {"schema": 1, "native": {"made": True, "reason": None}, **changes}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_cache_is_where_the_user_keeps_such_things(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == cache
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home/.cache/mobile-deploy-toolchain/lab"


def test_a_finished_build_is_found(cache: Path) -> None:
    assert find_archive() is None
    folder = _finished(cache)
    assert find_archive() == Archive(key=folder.name, folder=folder, native_missing=None)


def test_a_build_without_the_native_runner_says_why(cache: Path) -> None:
    _finished(cache, native={"made": False, "reason": "sid has no such package"})
    archive = find_archive()
    assert archive
    assert archive.native_missing == "sid has no such package"


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"schema": 2, "native": {"made": true}}', "{}"])
def test_half_a_build_never_counts(cache: Path, content: str | None) -> None:
    folder = _finished(cache)
    (folder / "manifest.json").unlink()
    if content is not None:
        (folder / "manifest.json").write_text(content)
    assert find_archive() is None


def test_a_finished_build_is_not_built_again(cache: Path) -> None:
    _finished(cache)
    reports: list[Progress] = []
    assert build(reports.append) == find_archive()
    assert reports == []


def test_a_build_that_fails_leaves_nothing(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_get = tmp_path / "bin/apt-get"
    apt_get.parent.mkdir()
    apt_get.write_text("#!/bin/sh\necho 'E: Temporary failure resolving' >&2\nexit 100\n")
    apt_get.chmod(0o755)
    monkeypatch.setenv("PATH", f"{apt_get.parent}:/usr/bin:/bin")
    monkeypatch.setenv("LAB_DEBIAN_MIRROR", "http://m.example/debian")
    for check in ("check_host", "check_build_tools"):
        monkeypatch.setattr(build_module, check, lambda: None)
    left_over = cache / ".partial-killed"
    left_over.mkdir(parents=True)
    with pytest.raises(LabError, match=r"^cannot fetch the package lists of Debian trixie: E: Temporary failure"):
        build(lambda _: None)
    assert [path.name for path in cache.iterdir()] == ["build.lock"]
    assert find_archive() is None


def test_a_second_holder_of_a_lock_waits_for_the_first(cache: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(cache, "build", lambda: order.append("waits")):
            order.append("second")

    with locked(cache, "build"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["waits", "first", "second"]


@pytest.fixture
def archive(cache: Path, tmp_path: Path) -> Archive:
    made = Archive(key="k", folder=cache / "k", native_missing=None)
    made.folder.mkdir(parents=True)
    (tmp_path / "root/usr").mkdir(parents=True)
    (tmp_path / "root/usr/file").write_text("content")
    Programs().run(("tar", "-C", tmp_path / "root", "-czf", made.packed("amd64"), "."), to="pack")
    return made


def test_a_root_is_unpacked_once(archive: Archive) -> None:
    unpack_root(Programs(), archive, "amd64")
    file = archive.root("amd64") / "usr/file"
    assert file.read_text() == "content"
    file.write_text("shared by devices that are up")
    unpack_root(Programs(), archive, "amd64")
    assert file.read_text() == "shared by devices that are up"
    remove_roots(archive.folder)
    assert [path.name for path in archive.folder.iterdir()] == ["amd64.tar.gz"]


def test_half_an_unpacked_root_never_counts(archive: Archive) -> None:
    partial = archive.root("amd64").with_name(".partial-amd64")
    partial.mkdir(parents=True)
    (partial / "stale").touch()
    unpack_root(Programs(), archive, "amd64")
    assert not (archive.root("amd64") / "stale").exists()


def test_a_damaged_archive_is_told(archive: Archive) -> None:
    packed = archive.packed("amd64")
    packed.write_bytes(packed.read_bytes()[:60])
    with pytest.raises(LabError, match=r"^cannot unpack .*amd64\.tar\.gz \(remove its folder to have it built again\)"):
        unpack_root(Programs(), archive, "amd64")
    assert not archive.root("amd64").exists()
