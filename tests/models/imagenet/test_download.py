"""Weights into Keras' cache: from a server on the loopback interface that is good, stalls, lies or breaks off."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import OutputError, ToolchainError, WeightsError
from models.imagenet import Release
from models.imagenet.download import MAX_FILE_BYTES, STAGE, models_folder, weights_file
from models.worker import Progress
from tests.device_bench.file_server import Behaviour, Handler, serving, status, whole

CONTENT = bytes(range(256)) * 8192
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
NAME = "weights.h5"


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


def sound(_: Path) -> None:
    """Finds nothing wrong with a file."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keras' folder for weights, not there yet."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


def release(url: str, md5: str | None = MD5) -> Release:
    return Release(url=f"{url}/{NAME}", md5=md5)


def refusal(given: Release, *, timeout_s: float = 10.0, fault: Callable[[Path], str | None] = sound) -> str:
    """What is said of a download that must fail; nothing may be left of it."""
    with pytest.raises(WeightsError) as raised:
        weights_file(given, fault, ignore, timeout_s=timeout_s)
    assert not models_folder().exists()
    return str(raised.value)


def test_a_file_is_downloaded_once_and_alone_in_the_cache(cache: Path) -> None:
    reports: list[Progress] = []
    with serving() as site:
        site.pages[f"/{NAME}"] = whole(CONTENT)
        path = weights_file(release(site.url), sound, reports.append)
        assert weights_file(release(site.url), sound, reports.append) == path
        assert len(site.requests) == 1
    assert path == cache / NAME
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in cache.iterdir()] == [NAME]
    assert {report.stage for report in reports} == {STAGE}
    assert reports[0].detail == f"{site.url}/{NAME}"
    assert (reports[-1].done, reports[-1].total, reports[-1].detail) == (21, 21, "2.1 of 2.1 MB from 127.0.0.1")
    assert [report.done for report in reports[1:]] == sorted(report.done for report in reports[1:])
    assert len(reports) > 4


def test_a_length_that_is_not_told_is_no_obstacle(cache: Path) -> None:
    reports: list[Progress] = []
    with serving() as site:
        site.pages[f"/{NAME}"] = lambda handler: handler.answer(200, {}, CONTENT)
        weights_file(release(site.url), sound, reports.append)
    assert (cache / NAME).read_bytes() == CONTENT
    assert reports[-1].detail == "2.1 MB from 127.0.0.1"


def test_a_redirection_is_followed(cache: Path) -> None:
    with serving() as site:
        site.pages[f"/{NAME}"] = lambda handler: handler.answer(302, {"Location": "/there", "Content-Length": "0"})
        site.pages["/there"] = whole(CONTENT)
        weights_file(release(site.url), sound, ignore)
    assert (cache / NAME).read_bytes() == CONTENT


def test_a_file_that_was_put_there_needs_no_network(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT)
    assert weights_file(release("http://127.0.0.1:9"), sound, ignore) == cache / NAME


def test_without_a_network_the_message_has_address_folder_and_alternative(cache: Path) -> None:
    assert refusal(release("http://127.0.0.1:9")) == (
        f"cannot download http://127.0.0.1:9/{NAME}: [Errno 111] Connection refused; put the file into {cache} "
        "yourself, or use --weights auto, which trains here"
    )


def cut_off(handler: Handler) -> None:
    handler.answer(200, {"Content-Length": str(len(CONTENT))}, CONTENT[:-1000])


def stalling(handler: Handler) -> None:
    handler.answer(200, {"Content-Length": str(len(CONTENT))}, CONTENT[:1000])
    handler.wfile.flush()
    handler.site.closing.wait(10)


def silent(handler: Handler) -> None:
    handler.site.closing.wait(10)


def endless(handler: Handler) -> None:
    handler.answer(200, {"Content-Length": str(MAX_FILE_BYTES + 1)}, CONTENT)


FAILING: dict[str, tuple[Behaviour, str]] = {
    "not there": (status(404), r": Not Found; put the file into "),
    "broken": (status(503), r": Service Unavailable; put the file into "),
    "cut off": (cut_off, r"retrieval incomplete: got only 2096152 out of 2097152 bytes; put the"),
    "stalling": (stalling, r"timed out; put the file into "),
    "silent": (silent, r"timed out; put the file into "),
    "too large": (endless, rf"more than {MAX_FILE_BYTES} bytes, which no released file has; put the file into "),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_failing_server_leaves_nothing_and_is_named(what: str) -> None:
    behaviour, message = FAILING[what]
    with serving() as site:
        site.pages[f"/{NAME}"] = behaviour
        started = time.monotonic()
        said = refusal(release(site.url), timeout_s=0.5)
        # Half a second of silence, and Keras' moment around it; the server would be silent for ten.
        assert time.monotonic() - started < 8
    assert said.startswith(f"cannot download {site.url}/{NAME}: ")
    assert re.search(message, said), said


def test_a_file_of_another_hash_gets_no_place_in_the_cache() -> None:
    with serving() as site:
        site.pages[f"/{NAME}"] = whole(b"x" + CONTENT)
        said = refusal(release(site.url))
    assert "md5 file hash does not match" in said


def test_a_file_that_is_not_what_it_should_be_gets_no_place_in_the_cache() -> None:
    with serving() as site:
        site.pages[f"/{NAME}"] = whole(b"<html>sign in</html>")
        said = refusal(release(site.url, md5=None), fault=lambda path: f"begins with {path.read_bytes()[:6]!r}")
    assert said.startswith(f"what came from {site.url}/{NAME} begins with b'<html>'; put the file into ")


def test_a_damaged_file_in_the_cache_is_kept_and_named(cache: Path) -> None:
    cache.mkdir(parents=True)
    path = cache / NAME
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError) as raised:
        weights_file(release("http://127.0.0.1:9"), sound, ignore)
    digest = hashlib.md5(CONTENT[:-1], usedforsecurity=False).hexdigest()
    assert str(raised.value) == (
        f"{path} is damaged or another file: its md5 is {digest}, not {MD5}; delete it, and the "
        "same command downloads it again"
    )
    assert path.read_bytes() == CONTENT[:-1]


def test_a_folder_in_place_of_the_file_is_named(cache: Path) -> None:
    (cache / NAME).mkdir(parents=True)
    with pytest.raises(WeightsError, match=rf"^{cache / NAME} cannot be read \(Is a directory\); delete it"):
        weights_file(release("http://127.0.0.1:9"), sound, ignore)


def test_a_cache_that_cannot_be_made_is_refused_with_the_setting_that_helps(tmp_path: Path) -> None:
    (tmp_path / "keras").write_bytes(b"")
    with pytest.raises(OutputError, match=r"^cannot write .*; set KERAS_HOME to a folder that can be written$"):
        weights_file(release("http://127.0.0.1:9"), sound, ignore)


def test_the_cache_is_keras_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models_folder() == tmp_path / ".keras" / "models"


def test_what_a_killed_process_left_is_never_taken_for_the_file_and_goes(cache: Path) -> None:
    (cache / ".partial-killed").mkdir(parents=True)
    (cache / ".partial-killed" / NAME).write_bytes(CONTENT[:1000])
    with serving() as site:
        site.pages[f"/{NAME}"] = whole(CONTENT)
        weights_file(release(site.url, md5=None), sound, ignore)
    assert (cache / NAME).read_bytes() == CONTENT
    assert [entry.name for entry in cache.iterdir()] == [NAME]


PROGRAM = """
import sys
from pathlib import Path
from models.imagenet import Release
from models.imagenet.obtain import obtain_imagenet
from models.zoo import MODELS
def report(progress):
    if progress.stage == "download weights" and progress.done:
        print("bytes have arrived", flush=True)
if __name__ == "__main__":
    release = Release(url=sys.argv[1], md5=None)
    obtain_imagenet(MODELS["mobilenet_v1_0.25_128"], release, Path(sys.argv[2]), report)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_leaves_nothing_that_counts(cache: Path, tmp_path: Path, number: int) -> None:
    def slow(handler: Handler) -> None:
        handler.answer(200, {"Content-Length": str(len(CONTENT))}, CONTENT[: len(CONTENT) // 2])
        handler.wfile.flush()
        handler.site.closing.wait(30)

    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with serving() as site:
        site.pages[f"/{NAME}"] = slow
        program = [sys.executable, str(script), f"{site.url}/{NAME}", str(tmp_path / "build")]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"bytes have arrived\n"
                assert [path.parent.parent for path in cache.rglob(NAME)] == [cache], "it is in the making"
                process.send_signal(number)
                process.wait(20)
            finally:
                process.kill()
        assert process.returncode != 0
        assert not (cache / NAME).exists()
        if number == signal.SIGINT:
            assert list(cache.iterdir()) == []
            assert not (tmp_path / "build").exists()


def test_two_at_once_do_not_mix(cache: Path) -> None:
    def other(_: Path) -> None:
        with pytest.raises(OutputError, match="another process is working in"):
            weights_file(release("http://127.0.0.1:9"), sound, ignore)

    with serving() as site:
        site.pages[f"/{NAME}"] = whole(CONTENT)
        weights_file(release(site.url), other, ignore)
    assert (cache / NAME).read_bytes() == CONTENT


def test_all_refusals_end_with_exit_code_2() -> None:
    assert issubclass(WeightsError, ToolchainError)
    assert (WeightsError.exit_code, OutputError.exit_code) == (2, 2)
