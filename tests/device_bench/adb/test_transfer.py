"""Files to and from a phone: whole or not at all, whatever their names, and proved."""

import os
import shutil
from pathlib import Path

import pytest

from device_bench.adb import device_shell
from device_bench.adb.client import Adb
from device_bench.adb.phone import Phone
from models.errors import DeviceError, LinkError, StorageError, UnreachableError, UsageError
from tests.device_bench.adb_stub import AdbStub, free_port

NAMES = ["-n", "it's", 'a "b"', "$(reboot)", "a;b", "a\nb", "*", "a,755", "a\\b", "ä\udcff"]


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdbStub:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return AdbStub(tmp_path / "stub")


@pytest.fixture
def phone(stub: AdbStub) -> Phone:
    return Phone(Adb(stub.program), "phone")


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A folder on the device."""
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    (tmp_path / "local").write_bytes(os.urandom(50_000))
    return tmp_path / "local"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_goes_there_and_back_whatever_its_name(name: str, phone: Phone, there: Path, tmp_path: Path) -> None:
    content = b"\xff\r\n\0" * 1000
    (tmp_path / name).write_bytes(content)
    phone.push(tmp_path / name, f"{there}/{name}")
    assert [path.name for path in there.iterdir()] == [name]
    assert (there / name).read_bytes() == content
    phone.pull(f"{there}/{name}", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


@pytest.mark.parametrize(("executable", "mode"), [(True, 0o755), (False, 0o644)])
def test_the_mode_is_set_since_adb_keeps_whatever_the_local_one_is(
    executable: bool, mode: int, phone: Phone, there: Path, local: Path
) -> None:
    phone.push(local, f"{there}/x", executable=executable)
    assert (there / "x").stat().st_mode & 0o777 == mode


def test_a_file_in_place_is_replaced(phone: Phone, there: Path, local: Path) -> None:
    (there / "x").write_text("old")
    phone.push(local, f"{there}/x")
    assert (there / "x").read_bytes() == local.read_bytes()


def test_other_content_than_sent_is_a_transient_error_and_leaves_nothing(
    stub: AdbStub, phone: Phone, there: Path, local: Path
) -> None:
    # adb says that it went well, and nothing or something else is there.
    (there / "x").write_text("old")
    stub.answer("\0push\0", stdout="1 file pushed, 0 skipped.\n")
    with pytest.raises(LinkError, match=r"with other content \(digest 'no file'\)"):
        phone.push(local, f"{there}/y")
    stub.environment = {"PATH": f"{there.parent}/bin:/usr/bin:/bin"}
    stub.answers = []
    stub.save()
    (there.parent / "bin").mkdir()
    tool = there.parent / "bin" / "sha256sum"
    tool.write_text("#!/bin/sh\necho " + "0" * 64 + "  -\n")
    tool.chmod(0o755)
    with pytest.raises(LinkError, match=r"arrived at .* with other content \(digest '0{64} -'\)") as caught:
        phone.push(local, f"{there}/x")
    assert caught.value.transient
    assert [path.name for path in there.iterdir()] == ["x"]
    assert (there / "x").read_text() == "old"


@pytest.mark.parametrize(("tools", "proved"), [("sha256sum", True), ("md5sum", True), ("", False)])
def test_any_digest_that_the_device_has_proves_the_content(
    tools: str, proved: bool, stub: AdbStub, phone: Phone, there: Path, local: Path
) -> None:
    (there.parent / "bin").mkdir()
    for name in f"cat chmod df mv rm sh wc {tools}".split():
        (there.parent / "bin" / name).symlink_to(str(shutil.which(name)))
    stub.environment = {"PATH": f"{there.parent}/bin"}
    stub.save()
    if proved:
        phone.push(local, f"{there}/x")
        phone.pull(f"{there}/x", local.with_name("back"))
        assert local.with_name("back").read_bytes() == local.read_bytes()
        return
    with pytest.raises(DeviceError, match="neither sha256sum nor md5sum"):
        phone.push(local, f"{there}/x")
    assert list(there.iterdir()) == []
    (there / "x").write_text("content")
    with pytest.raises(DeviceError, match="neither sha256sum nor md5sum"):
        phone.pull(f"{there}/x", local.with_name("back"))
    assert not local.with_name("back").exists()


def test_a_full_disk_is_seen_before_anything_is_sent(stub: AdbStub, phone: Phone, there: Path, local: Path) -> None:
    (there.parent / "bin").mkdir()
    tool = there.parent / "bin" / "df"
    tool.write_text(
        "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\necho 't 99 91 8 92% /data'\n"
    )
    tool.chmod(0o755)
    stub.environment = {"PATH": f"{there.parent}/bin:/usr/bin:/bin"}
    stub.save()
    with pytest.raises(StorageError, match=r"0.0 MiB are free, 0.0 are needed; remove files"):
        phone.push(local, f"{there}/x")
    assert not any("push" in call for call in stub.calls())


def test_a_push_that_fails_removes_what_arrived(stub: AdbStub, phone: Phone, there: Path, local: Path) -> None:
    text = "adb: error: failed to copy 'a' to '/b': remote write failed: No space left on device\n"
    stub.answer("\0push\0", stderr=text, exit=1)
    with pytest.raises(StorageError, match="its disk is full"):
        phone.push(local, f"{there}/x")
    removals = [call for call in stub.calls() if "rm -f" in call[-1]]
    assert len(removals) == 1
    assert ".push-" in removals[0][-1]


def test_a_push_that_could_not_begin_is_made_again(stub: AdbStub, phone: Phone, there: Path, local: Path) -> None:
    text = "adb: error: failed to get feature set: device offline\n"
    stub.answer("\0push\0", stderr=text, exit=1, times=1)
    phone.push(local, f"{there}/x")
    assert (there / "x").read_bytes() == local.read_bytes()


def test_a_phone_that_is_gone_is_an_error_of_its_own(
    stub: AdbStub, phone: Phone, there: Path, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_shell, "_RECOVERY_PATIENCE_S", 0.1)
    stub.answer("\0(push|shell)\0", stderr="error: device 'phone' not found\n", exit=1)
    with pytest.raises(UnreachableError, match="adb does not see it"):
        phone.push(local, f"{there}/x")


def test_a_folder_in_place_is_refused(phone: Phone, there: Path, local: Path) -> None:
    (there / "x").mkdir()
    with pytest.raises(StorageError, match="is a folder, no file can stand there"):
        phone.push(local, f"{there}/x")
    assert list((there / "x").iterdir()) == []


def test_a_folder_that_is_missing_is_refused(phone: Phone, there: Path, local: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no folder '.*/no'; make it first"):
        phone.push(local, f"{there}/no/x")


@pytest.mark.parametrize("path", ["x", "", "/x/", "-x", "/a\0b"])
def test_a_path_must_be_that_of_a_file(path: str, phone: Phone, local: Path) -> None:
    with pytest.raises(UsageError, match=r"no absolute path of a file|holds a NUL"):
        phone.push(local, path)
    with pytest.raises(UsageError, match=r"no absolute path of a file|holds a NUL"):
        phone.pull(path, local)


def test_a_local_file_that_is_missing_is_bad_input(phone: Phone, there: Path) -> None:
    with pytest.raises(UsageError, match=r"no file '.*/nothing' to push; check the path"):
        phone.push(there / "nothing", f"{there}/x")


def test_a_file_that_is_missing_there_is_an_error_and_leaves_the_local_one(
    phone: Phone, there: Path, local: Path
) -> None:
    before = local.read_bytes()
    with pytest.raises(DeviceError, match=r"there is no file '.*/nothing'; the program that should write it did not"):
        phone.pull(f"{there}/nothing", local)
    with pytest.raises(DeviceError, match="there is no file"):
        phone.pull(str(there), local)
    assert local.read_bytes() == before


def test_a_file_that_is_too_large_is_not_fetched(phone: Phone, there: Path, local: Path) -> None:
    (there / "x").write_bytes(bytes(1001))
    with pytest.raises(DeviceError, match="has 1001 bytes, at most 1000 are fetched"):
        phone.pull(f"{there}/x", local, largest_bytes=1000)
    phone.pull(f"{there}/x", local, largest_bytes=1001)
    assert local.read_bytes() == bytes(1001)


@pytest.mark.parametrize("size", [0, 1, 2**20])
def test_files_of_any_size_come_back_whole(size: int, phone: Phone, there: Path, local: Path) -> None:
    content = os.urandom(size)
    (there / "x").write_bytes(content)
    phone.pull(f"{there}/x", local)
    assert local.read_bytes() == content


def test_a_file_that_arrives_otherwise_than_its_digest_says_is_a_transient_error(
    stub: AdbStub, phone: Phone, there: Path, local: Path
) -> None:
    (there.parent / "bin").mkdir()
    tool = there.parent / "bin" / "cat"
    tool.write_text("#!/bin/sh\necho something else\n")
    tool.chmod(0o755)
    stub.environment = {"PATH": f"{there.parent}/bin:/usr/bin:/bin"}
    stub.save()
    (there / "x").write_text("content")
    before = local.read_bytes()
    with pytest.raises(LinkError, match="arrived with other content") as caught:
        phone.pull(f"{there}/x", local)
    assert caught.value.transient
    assert local.read_bytes() == before
