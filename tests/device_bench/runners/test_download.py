"""Downloads from servers that are good, broken, slow and hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_bench.runners.download import Limits, download
from models.errors import DownloadError, OutputError, UsageError
from models.worker import Progress
from tests.device_bench.file_server import Handler, Site, cut, status, whole

BODY = bytes(range(256)) * 4096  # 1 MiB
LIMITS = Limits(largest_bytes=2 * 2**20, silence_s=5.0, total_s=30.0)


def fetch(site: Site, path: Path, limits: Limits = LIMITS) -> list[Progress]:
    seen: list[Progress] = []
    download(f"{site.url}/dir/b", path, limits, seen.append)
    return seen


def test_a_file_comes_whole_with_progress(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = whole(BODY)
    seen = fetch(site, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == BODY
    assert (seen[-1].stage, seen[-1].done, seen[-1].total, seen[-1].detail) == ("fetch b", 1024, 1024, "KiB")
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_broken_download_goes_on_where_it_broke_off(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = cut(BODY, 300_000)
    with pytest.raises(
        DownloadError, match=r"it broke off after 300000 of 1048576 bytes; try again, or fetch it elsewhere"
    ) as caught:
        fetch(site, tmp_path / "b")
    assert caught.value.transient
    site.pages["/dir/b"] = whole(BODY)
    fetch(site, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == BODY
    assert (site.requests[1][1]["Range"], site.requests[1][1]["If-Range"]) == ("bytes=300000-", '"one"')


def test_the_rest_of_another_file_is_not_added(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = cut(BODY, 300_000)
    with pytest.raises(DownloadError):
        fetch(site, tmp_path / "b")
    other = BODY[::-1]
    site.pages["/dir/b"] = whole(other, '"two"')
    fetch(site, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == other


@pytest.mark.parametrize("etag", ["", 'W/"one"'])
def test_without_a_strong_name_of_the_file_it_comes_anew(site: Site, tmp_path: Path, etag: str) -> None:
    site.pages["/dir/b"] = cut(BODY, 300_000, etag)
    with pytest.raises(DownloadError):
        fetch(site, tmp_path / "b")
    site.pages["/dir/b"] = whole(BODY)
    fetch(site, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == BODY
    assert "Range" not in site.requests[1][1]


def test_a_whole_file_left_by_a_killed_process_comes_anew(site: Site, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(BODY)
    (tmp_path / "b.tag").write_text('{"etag": "\\"one\\""}', "utf-8")
    site.pages["/dir/b"] = whole(BODY)
    fetch(site, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == BODY
    assert len(site.requests) == 2


def test_a_server_that_resumes_at_another_place_is_refused(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = cut(BODY, 300_000)
    with pytest.raises(DownloadError):
        fetch(site, tmp_path / "b")
    site.pages["/dir/b"] = lambda handler: handler.answer(
        206, {"Content-Length": "3", "Content-Range": "bytes 0-2/1048576"}, BODY[:3]
    )
    with pytest.raises(DownloadError, match=r"it answered with 'bytes 0-2/1048576'"):
        fetch(site, tmp_path / "b")


@pytest.mark.parametrize(
    ("code", "transient"), [(404, False), (403, False), (410, False), (429, True), (500, True), (503, True)]
)
def test_a_refusal_names_the_address_and_the_other_way(site: Site, tmp_path: Path, code: int, transient: bool) -> None:
    site.pages["/dir/b"] = status(code)
    with pytest.raises(DownloadError) as caught:
        fetch(site, tmp_path / "b")
    text = str(caught.value)
    assert text.startswith(f"cannot fetch {site.url}/dir/b: status {code} ")
    assert text.endswith("fetch it elsewhere and give the file with --runner-path")
    assert caught.value.transient is transient
    assert not list(tmp_path.iterdir())


def test_without_a_network_the_address_and_the_other_way_are_named(site: Site, tmp_path: Path) -> None:
    del site
    with pytest.raises(
        DownloadError, match=r"^cannot fetch http://127\.0\.0\.1:9/x: ConnectionRefusedError: .*--runner-path$"
    ):
        download("http://127.0.0.1:9/x", tmp_path / "b", LIMITS, lambda _: None)
    with pytest.raises(DownloadError, match=r"^cannot fetch https://nowhere\.invalid/x: gaierror: .*--runner-path$"):
        download("https://nowhere.invalid/x", tmp_path / "b", LIMITS, lambda _: None)


def test_a_server_that_falls_silent_is_left(site: Site, tmp_path: Path) -> None:
    def stall(handler: Handler) -> None:
        handler.answer(200, {"Content-Length": str(len(BODY))}, BODY[:1000])
        handler.wfile.flush()
        site.closing.wait(20)

    site.pages["/dir/b"] = stall
    # A client that waits longer would see the connection end.
    with pytest.raises(DownloadError, match=r"TimeoutError: .*; try again") as caught:
        fetch(site, tmp_path / "b", Limits(silence_s=0.2))
    assert caught.value.transient


def test_a_server_that_trickles_is_left(site: Site, tmp_path: Path) -> None:
    def trickle(handler: Handler) -> None:
        handler.answer(200, {"Content-Length": str(len(BODY))})
        for _ in range(200):
            handler.wfile.write(b"x")
            if site.closing.wait(0.02):
                return

    site.pages["/dir/b"] = trickle
    with pytest.raises(DownloadError, match=r"it took more than 0\.2 s; try again"):
        fetch(site, tmp_path / "b", Limits(total_s=0.2))


def test_a_file_that_says_it_is_huge_is_refused_before_it_comes(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = lambda handler: handler.answer(200, {"Content-Length": str(2**40)}, b"x")
    with pytest.raises(DownloadError, match=r"it has 1099511627776 bytes, allowed are 2097152; fetch it elsewhere"):
        fetch(site, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def chunked(blocks: int, *, end: bool) -> object:
    def behave(handler: Handler) -> None:
        handler.answer(200, {"Transfer-Encoding": "chunked"})
        try:
            for _ in range(blocks):
                handler.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            if end:
                handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            return

    return behave


def test_a_file_without_a_length_is_bounded(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = chunked(16, end=True)  # type: ignore[assignment]
    fetch(site, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == bytes(2**20)
    site.pages["/dir/b"] = chunked(1000, end=True)  # type: ignore[assignment]
    with pytest.raises(DownloadError, match=r"it has more than 2097152 bytes; fetch it elsewhere"):
        fetch(site, tmp_path / "b")


def test_a_cut_file_without_a_length_is_not_whole(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = chunked(3, end=False)  # type: ignore[assignment]
    with pytest.raises(DownloadError, match=r"IncompleteRead"):
        fetch(site, tmp_path / "b")
    site.pages["/dir/b"] = lambda handler: handler.answer(200, {}, BODY)
    with pytest.raises(DownloadError, match=r"the server does not tell its length, so a cut file would pass for whole"):
        fetch(site, tmp_path / "b")


def test_an_encoded_file_is_refused(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = lambda handler: handler.answer(
        200, {"Content-Length": "1", "Content-Encoding": "gzip"}, b"x"
    )
    with pytest.raises(DownloadError, match=r"it came encoded as 'gzip'"):
        fetch(site, tmp_path / "b")


def test_a_redirect_on_this_machine_is_followed(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = status(302, Location="/other")
    site.pages["/other"] = whole(BODY)
    fetch(site, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == BODY


@pytest.mark.parametrize("target", ["http://example.invalid/b", "ftp://example.invalid/b", "file:///etc/passwd"])
def test_a_redirect_away_from_https_is_refused(site: Site, tmp_path: Path, target: str) -> None:
    site.pages["/dir/b"] = status(302, Location=target)
    with pytest.raises(DownloadError, match=r"redirects to '.*', which is no https address|status 302"):
        fetch(site, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_redirects_in_a_circle_end(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = status(302, Location="/dir/b")
    with pytest.raises(DownloadError, match=r"status 302"):
        fetch(site, tmp_path / "b")
    assert len(site.requests) < 20


@pytest.mark.parametrize(
    "url",
    [
        "http://example.invalid/b", "ftp://127.0.0.1/b", "file:///etc/passwd", "storage/b", "", "https://", "http://[::1",
        "https://x.invalid/a\nb", "http://127.0.0.1.example.invalid/b", "http://user@example.invalid/b",
    ],
)  # fmt: skip
def test_other_addresses_are_bad_input(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"is no https address \(http only from this machine itself\); correct"):
        download(url, tmp_path / "b", LIMITS, lambda _: None)


def test_a_place_that_cannot_be_written_is_not_the_servers_fault(site: Site, tmp_path: Path) -> None:
    site.pages["/dir/b"] = whole(BODY, "")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        fetch(site, tmp_path / "file" / "b")
