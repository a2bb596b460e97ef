"""No archive gets anything outside of its private folder, fills the disk or the memory, or means two things."""

import io
import itertools
import os
import random
import resource
import signal
import stat
import struct
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.bundle.archive import BOUNDS, Bounds, unpacked, write_archive
from models.errors import BrokenFileError, OutputError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files; nothing may be left in it."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def make_zip(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            if isinstance(name, str):
                name = raw(name)  # noqa: PLW2901
                name.compress_type = method
            file.writestr(name, content)
    return path


def raw(name: str) -> zipfile.ZipInfo:
    """A member with just that name; the constructor would cut it at a zero byte."""
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    return info


def refusal(path: Path, bounds: Bounds = BOUNDS) -> str:
    with pytest.raises(BrokenFileError) as caught, unpacked(path, bounds):
        pass
    return str(caught.value)


def test_what_is_written_is_unpacked_the_same(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    contents = {"a.txt": b"a", "models/m.tflite": bytes(range(256)) * 100, "golden/images/01.png": b""}
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_archive(folder, tmp_path / "b.zip")
    with unpacked(tmp_path / "b.zip") as found:
        assert found.name == "bundle"
        assert found.is_relative_to(place)
        got = {p.relative_to(found).as_posix(): p.read_bytes() for p in found.rglob("*") if p.is_file()}
    assert got == contents
    assert list(place.iterdir()) == []


def test_equal_folders_are_equal_archives_whoever_writes_them_and_when(tmp_path: Path) -> None:
    names = ["b/2", "b/10", "a", "C"]
    for number, order in enumerate(itertools.permutations(names)):
        folder = tmp_path / str(number) / "bundle"
        for name in order:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode())
            os.utime(folder / name, (number * 1e6, number * 1e6))
            (folder / name).chmod(0o600 if number % 2 else 0o755)
        write_archive(folder, tmp_path / f"{number}.zip")
    assert len({path.read_bytes() for path in tmp_path.glob("*.zip")}) == 1


def test_an_archive_packed_anew_by_a_common_tool_is_opened(tmp_path: Path) -> None:
    members = [("b/", b""), ("b/x/", b""), ("b/x/1", b"one" * 1000), ("b/manifest.json", b"{}")]
    path = make_zip(tmp_path / "b.zip", *members, method=zipfile.ZIP_DEFLATED)
    with unpacked(path) as found:
        assert (found / "x/1").read_bytes() == b"one" * 1000


NAMES = [
    "../evil", "b/../../evil", "/etc/evil", "//host/share/evil", "b//x", "./b/x", "b/.", "b/..", "C:/evil", "C:evil",
    "b\\..\\..\\evil", "..\\evil", "b/x\0.txt", "b/CON", "b/con.txt", "b/nul", "b/COM1.json", "b/x:stream", "b/x.",
    "b/x ", "b/ x", "b/x?", "b/x*", "b/<x>", 'b/"', "b/|", "b/\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "b/\x1b[31m",
    "b/\nx", "b/größe", "b/.hidden", "~/x", "b/-rf", "b/" + "x" * 102, "b/" + "x/" * 9 + "x", "",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_that_lead_elsewhere_or_mean_something_else_elsewhere_are_refused(
    name: str, place: Path, tmp_path: Path
) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/manifest.json", b"{}"), (name, b"evil"))
    assert "is no name for a file in a bundle" in refusal(path)
    assert list(place.iterdir()) == []
    assert {p.name for p in tmp_path.iterdir()} == {"b.zip", "temporary"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_are_refused(kind: int, place: Path, tmp_path: Path) -> None:
    link = raw("b/link")
    link.create_system, link.external_attr = 3, (kind | 0o777) << 16
    path = make_zip(tmp_path / "b.zip", ("b/manifest.json", b"{}"), (link, b"/etc/passwd"))
    assert "b/link is a link or a device; a bundle has files only" in refusal(path)
    assert list(place.iterdir()) == []


def test_a_link_that_says_it_was_made_on_windows_is_refused_too(tmp_path: Path) -> None:
    link = raw("b/link")
    link.create_system, link.external_attr = 0, (stat.S_IFLNK | 0o777) << 16
    assert "is a link" in refusal(make_zip(tmp_path / "b.zip", (link, b"/etc/passwd")))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["b/x", "b/x"], "b/x is in it twice"),
        (["b/x", "b/X"], "two names in it differ in capitals only"),
        (["b/x", "b/x/y"], "stand for a file and for a folder"),
        (["b/x/y", "b/X/z", "b/x/z"], "two names in it differ in capitals only"),
        (["b/x", "c/x"], "a bundle is one folder, this has ['b', 'c']"),
        (["x"], "a bundle is one folder, this has ['x']"),
        (["b/"], "a bundle is one folder, this has ['b']"),
        ([], "a bundle is one folder, this has []"),
    ],
)  # fmt: skip
def test_an_archive_means_one_folder_on_every_system(names: list[str], words: str, tmp_path: Path) -> None:
    members = [(name, b"" if name.endswith("/") else name.encode()) for name in names]
    assert words in refusal(make_zip(tmp_path / "b.zip", *members))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", *((f"b/{n}", b"") for n in range(4)))
    assert "it claims more than 3 files or" in refusal(path, Bounds(files=3))


def test_a_large_file_is_refused_by_what_it_claims(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/model.tflite", bytes(1001)))
    assert "b/model.tflite claims 1001 bytes, allowed are 1000" in refusal(path, Bounds(file_bytes=1000))


def test_many_large_files_are_refused_by_what_they_claim_together(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/1", bytes(600)), ("b/2", bytes(600)))
    assert "files or 1000 bytes" in refusal(path, Bounds(total_bytes=1000))


def test_a_bomb_of_zeros_is_refused_before_it_is_unpacked(place: Path, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/zeros", bytes(2**24)), method=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000
    assert "b/zeros claims 16777216 bytes, allowed are 16777215" in refusal(path, Bounds(file_bytes=2**24 - 1))
    # The same with the real bounds: what it claims is enough, and it may claim 2 GB of a model.
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 2**24), struct.pack("<I", 2**31 - 1)))
    assert "b/zeros claims 2147483647 bytes, allowed are 536870912" in refusal(path)
    assert list(place.iterdir()) == []


def test_a_member_that_claims_less_than_it_unpacks_to_is_stopped(place: Path, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/zeros", bytes(10**6)), method=zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    # Both places where it says its size.
    path.write_bytes(content.replace(struct.pack("<I", 10**6), struct.pack("<I", 10)))
    words = refusal(path)
    assert "no whole ZIP archive" in words or "more than the 10 bytes" in words
    assert list(place.iterdir()) == []


def test_an_archive_beyond_all_bounds_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    with path.open("wb") as file:
        file.truncate(2 * 2**30)
    assert "it has 2147483648 bytes, allowed are 1073741824" in refusal(path)


def test_a_list_of_members_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/x", b"x"))
    content = bytearray(path.read_bytes())
    place = content.rfind(b"PK\x05\x06")
    content[place + 12 : place + 16] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert "its list of members has 4294967295 bytes, allowed are 4194304" in refusal(path)


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/x", b"x"))
    content = bytearray(path.read_bytes())
    place = content.find(b"PK\x01\x02")
    content[place + 8] |= 1
    path.write_bytes(content)
    assert "b/x is encrypted" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_of_compression_that_apps_do_not_know_are_refused(method: int, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/x", b"x" * 100), method=method)
    assert f"b/x is compressed by method {method}; known are 0 and 8" in refusal(path)


def test_an_archive_within_is_a_file_like_any_other(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("../../evil", b"evil")
    path = make_zip(tmp_path / "b.zip", ("b/inner.zip", inner.getvalue()), ("b/manifest.json", b"{}"))
    with unpacked(path) as found:
        assert (found / "inner.zip").read_bytes() == inner.getvalue()
        assert sorted(p.name for p in found.rglob("*")) == ["inner.zip", "manifest.json"]


def _good(folder: Path) -> bytes:
    path = make_zip(folder / "good.zip", ("b/x", b"x" * 500), ("b/y/z", b"y" * 500), method=zipfile.ZIP_DEFLATED)
    return path.read_bytes()


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_damaged_archives_are_refused_or_unpacked_but_never_crash(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    chance = random.Random(seed)  # noqa: S311 - for tests
    content = bytearray(_good(folder))
    for _ in range(chance.randint(1, 8)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path = folder / "damaged.zip"
    path.write_bytes(content[: chance.choice([len(content), chance.randrange(len(content))])])
    with suppress(BrokenFileError), unpacked(path) as found:
        assert sum(p.stat().st_size for p in found.rglob("*") if p.is_file()) <= 1000


def test_a_full_disk_is_said_and_nothing_is_left(place: Path, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/x", b"x" * 100_000))
    # The kernel's own refusal, of files beyond that size.
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*File too large; raise the limit"), unpacked(path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(place.iterdir()) == []


def test_an_interrupt_leaves_nothing(place: Path, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "b.zip", ("b/x", b"x" * 100))
    with pytest.raises(KeyboardInterrupt), unpacked(path):
        raise KeyboardInterrupt
    assert list(place.iterdir()) == []
