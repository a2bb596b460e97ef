"""Google's runners from a server on this machine: recorded once, enforced afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from device_bench.runners.builds import BASE_URL, Build, find_build
from device_bench.runners.download import Limits
from device_bench.runners.fetch import Fetcher, fetcher_from
from device_bench.runners.lock import load_lock
from models.errors import DownloadError, OutputError, UsageError
from tests.device_bench.file_server import Site, cut, status, whole
from tests.device_bench.runners.test_elf import elf

PROGRAM = elf() + b"program" * 1000
LIBRARY = elf() + b"library" * 1000
CLASSIC = find_build("classic", android=True, architecture="arm64")
LITERT = find_build("litert", android=False, architecture="arm64")


@pytest.fixture
def site(site: Site) -> Site:
    """With the runners on it."""
    for build in (CLASSIC, LITERT):
        site.pages[f"/{build.program}"] = whole(PROGRAM)
        site.pages |= {f"/{name}": whole(LIBRARY) for name in build.libraries}
    return site


@pytest.fixture
def fetcher(site: Site, tmp_path: Path) -> Fetcher:
    folder = tmp_path / "cache"
    return Fetcher(base_url=site.url, folder=folder, lock=folder / "lock.json", limits=Limits(silence_s=5, total_s=20))


def fetch(fetcher: Fetcher, build: Build = CLASSIC) -> tuple[Path, ...]:
    return fetcher.fetch(build, lambda _: None)


def test_the_first_fetch_records_what_came(fetcher: Fetcher) -> None:
    (program,) = fetch(fetcher)
    digest = hashlib.sha256(PROGRAM).hexdigest()
    assert program == fetcher.folder / digest / "android_aarch64_benchmark_model"
    assert program.read_bytes() == PROGRAM
    assert os.access(program, os.X_OK)
    locked = load_lock(fetcher.lock)[CLASSIC.program]
    assert (locked.sha256, locked.size_bytes) == (digest, len(PROGRAM))


def test_what_is_there_is_not_fetched_again(fetcher: Fetcher, site: Site) -> None:
    before = fetch(fetcher)
    site.pages.clear()
    assert fetch(fetcher) == before
    assert len(site.requests) == 1


def test_a_program_comes_with_its_libraries(fetcher: Fetcher) -> None:
    files = fetch(fetcher, LITERT)
    assert [path.name for path in files] == ["benchmark_model", "libLiteRt.so"]
    assert set(load_lock(fetcher.lock)) == {LITERT.program, *LITERT.libraries}


def test_another_file_than_recorded_is_refused_with_both_hashes(fetcher: Fetcher, site: Site) -> None:
    (program,) = fetch(fetcher)
    program.unlink()
    other = elf() + b"evil" * 1000
    site.pages[f"/{CLASSIC.program}"] = whole(other, '"two"')
    with pytest.raises(DownloadError) as caught:
        fetch(fetcher)
    text = str(caught.value)
    assert hashlib.sha256(PROGRAM).hexdigest() in text
    assert hashlib.sha256(other).hexdigest() in text
    assert text.endswith(f"remove the entry {CLASSIC.program!r} there if you trust the new file")
    assert not caught.value.transient
    assert [path.name for path in fetcher.folder.iterdir() if path.is_file()] == ["lock.json"]


def test_a_new_file_is_taken_when_its_entry_is_removed(fetcher: Fetcher, site: Site) -> None:
    fetch(fetcher)
    value = json.loads(fetcher.lock.read_text("utf-8"))
    del value["files"][CLASSIC.program]
    fetcher.lock.write_text(json.dumps(value), "utf-8")
    other = elf() + b"next night" * 1000
    site.pages[f"/{CLASSIC.program}"] = whole(other, '"two"')
    (program,) = fetch(fetcher)
    assert program.read_bytes() == other


def test_a_kept_file_that_was_damaged_comes_again(fetcher: Fetcher, site: Site) -> None:
    (program,) = fetch(fetcher)
    program.write_bytes(b"damaged")
    assert fetch(fetcher) == (program,)
    assert program.read_bytes() == PROGRAM
    assert len(site.requests) == 2


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html>log in</html>" * 99, r"is no ELF file, it begins with b'<html>log in</ht', not a program for arm64"),
        (elf(62) + bytes(999), r"is x86-64, not a program for arm64"),
        (b"", r"is no ELF file"),
    ],
)
def test_a_page_in_place_of_the_program_is_not_recorded(fetcher: Fetcher, site: Site, body: bytes, what: str) -> None:
    site.pages[f"/{CLASSIC.program}"] = whole(body)
    with pytest.raises(DownloadError, match=what):
        fetch(fetcher)
    assert not list(fetcher.folder.iterdir())


def test_a_broken_fetch_records_nothing_and_goes_on(fetcher: Fetcher, site: Site) -> None:
    site.pages[f"/{CLASSIC.program}"] = cut(PROGRAM, 3000)
    with pytest.raises(DownloadError, match=r"it broke off after 3000 of"):
        fetch(fetcher)
    assert not fetcher.lock.exists()
    site.pages[f"/{CLASSIC.program}"] = whole(PROGRAM)
    (program,) = fetch(fetcher)
    assert program.read_bytes() == PROGRAM
    assert site.requests[1][1]["Range"] == "bytes=3000-"


def test_a_missing_file_names_the_address_and_the_other_way(fetcher: Fetcher, site: Site) -> None:
    site.pages[f"/{CLASSIC.program}"] = status(404)
    with pytest.raises(
        DownloadError, match=rf"^cannot fetch {site.url}/{CLASSIC.program}: status 404 .*--runner-path$"
    ):
        fetch(fetcher)


def test_processes_that_fetch_the_same_wait_for_one_another(fetcher: Fetcher, site: Site) -> None:
    found: list[tuple[Path, ...]] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(fetcher, LITERT))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 4
    assert len(site.requests) == 2


def test_the_environment_tells_where_from_and_where_to(tmp_path: Path) -> None:
    plain = fetcher_from({"HOME": "/home/me"})
    assert plain.url("x") == f"{BASE_URL}/x"
    assert str(plain.lock) == "/home/me/.cache/mobile-deploy-toolchain/runners/lock.json"
    other = fetcher_from(
        {
            "HOME": "/home/me",
            "XDG_CACHE_HOME": str(tmp_path),
            "DEVICE_BENCH_RUNNER_URL": "https://mirror.invalid/google/",
            "DEVICE_BENCH_RUNNER_LOCK": "/repository/runners.lock.json",
        }
    )
    assert other.folder == tmp_path / "mobile-deploy-toolchain" / "runners"
    assert (other.url("x"), str(other.lock)) == ("https://mirror.invalid/google/x", "/repository/runners.lock.json")
    with pytest.raises(OutputError, match=r"^no folder for fetched runners: neither XDG_CACHE_HOME nor HOME is set"):
        fetcher_from({"XDG_CACHE_HOME": "relative"})


def test_a_base_address_without_https_is_bad_input(tmp_path: Path) -> None:
    fetcher = Fetcher(base_url="http://mirror.invalid", folder=tmp_path, lock=tmp_path / "lock.json")
    with pytest.raises(UsageError, match=r"is no https address"):
        fetch(fetcher)


def test_a_cache_that_cannot_be_written_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fetcher = Fetcher(base_url=site.url, folder=tmp_path / "file" / "cache", lock=tmp_path / "lock.json")
    with pytest.raises(OutputError):
        fetch(fetcher)
