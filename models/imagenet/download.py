"""Weights from Keras' download cache, by Keras' own downloader if they are not there yet. Imports Keras when needed."""

from __future__ import annotations

import hashlib
import os
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from models.errors import OutputError, WeightsError
from models.files import output_error, replace_file, work_folder
from models.imagenet.released import TRAIN_HERE, Release
from models.worker import Progress, Report

STAGE = "download weights"
TIMEOUT_S = 30.0
"""Without a byte from the server."""
MAX_FILE_BYTES = 128 * 2**20
"""The largest file released has 26 MB."""

Fault = Callable[[Path], str | None]
"""What is wrong with a file, as a predicate (`is no HDF5 file`); None if nothing is."""


def models_folder() -> Path:
    """Where Keras keeps downloaded weights: `$KERAS_HOME/models`, by default `~/.keras/models`.

    Raises:
        OutputError: there is no home folder.
    """
    home = os.environ.get("KERAS_HOME")
    try:
        return (Path(home).expanduser() if home else Path.home() / ".keras") / "models"
    except RuntimeError as error:
        raise OutputError("there is no home folder to keep weights in; set KERAS_HOME to a folder") from error


def weights_file(
    release: Release, fault: Fault, report: Report, *, timeout_s: float = TIMEOUT_S, otherwise: str = TRAIN_HERE
) -> Path:
    """The file in Keras' cache, downloaded if need be; what arrives is looked at before it gets its name.

    Args:
        release: What to find.
        fault: Looks at a file.
        report: Receives the progress of a download.
        timeout_s: How long the server may be silent.
        otherwise: What to do without the file.

    Raises:
        WeightsError: it cannot be downloaded, or a file, there or downloaded, is not what it should be.
        OutputError: the cache cannot be written.
    """
    path = models_folder() / release.file_name
    if path.exists():
        reason = _wrong_hash(path, release) or fault(path)
        if reason:
            raise WeightsError(f"{path} {reason}; delete it, and the same command downloads it again")
        return path
    with _making_in(path.parent) as private:
        made = _download(release, private, report, timeout_s, otherwise)
        reason = _wrong_hash(made, release) or fault(made)
        if reason:
            raise WeightsError(f"what came from {release.url} {reason}; {_remedy(path.parent, otherwise)}")
        replace_file(made, path)
    return path


def _remedy(folder: Path, otherwise: str) -> str:
    return f"put the file into {folder} yourself, or {otherwise}"


def _wrong_hash(path: Path, release: Release) -> str | None:
    if release.md5 is None:
        return None
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if digest == release.md5 else f"is damaged or another file: its md5 is {digest}, not {release.md5}"


def _download(release: Release, private: Path, report: Report, timeout_s: float, otherwise: str) -> Path:
    """The file in a private folder: Keras' downloader writes to the final name from the first byte on."""
    import keras

    report(Progress(stage=STAGE, done=0, total=1, detail=release.url))
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_s)
    watch = _Watch(report)
    urllib.request.install_opener(urllib.request.build_opener(watch))
    try:
        path = keras.utils.get_file(
            release.file_name,
            origin=release.url,
            file_hash=release.md5,
            hash_algorithm="md5",
            cache_dir=str(private),
            cache_subdir=".",
        )
    except Exception as error:
        # The system's refusal to write is another matter than the network's.
        if isinstance(error, OSError) and output_error(error):
            raise
        # Keras puts the address in front, which is said here already.
        cause = " ".join(str(error).split()).rpartition(" -- ")[2][:200] or type(error).__name__
        remedy = _remedy(models_folder(), otherwise)
        raise WeightsError(f"cannot download {release.url}: {cause}; {remedy}") from error
    finally:
        watch.close()
        urllib.request.install_opener(None)  # the default again
        socket.setdefaulttimeout(before)
    return Path(path)


class _Watch(urllib.request.BaseHandler):
    """Reports how far a download is, which Keras itself would print, and refuses one without end."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.responses: list[HTTPResponse] = []

    def close(self) -> None:
        """Closes all connections, which Keras leaves open when the server refuses."""
        for response in self.responses:
            response.close()

    def http_response(self, _: urllib.request.Request, response: HTTPResponse) -> HTTPResponse:
        """The response, whose bytes are counted as they are read."""
        self.responses.append(response)
        read, total, done = response.read, _length(response), 0
        host = urllib.parse.urlsplit(response.url).hostname

        def counted(*args: Any) -> bytes:
            nonlocal done
            block = read(*args)
            before, done = done, done + len(block)
            if max(done, total) > MAX_FILE_BYTES:
                raise WeightsError(f"more than {MAX_FILE_BYTES} bytes, which no released file has")
            if done // 2**18 > before // 2**18 or (block and done == total):
                detail = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
                # In tenths of a megabyte: bytes would be wider than the display.
                tenths = -(-total // 100_000) or done // 100_000 + 1
                finished = tenths if done == total else min(done // 100_000, tenths - 1)
                self.report(Progress(stage=STAGE, done=finished, total=tenths, detail=f"{detail} from {host}"))
            return block

        if response.status == 200:
            response.read = counted  # type: ignore[assignment]
        return response

    https_response = http_response


def _length(response: HTTPResponse) -> int:
    """In bytes, as the server says; 0 if it does not say."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


@contextmanager
def swept() -> Iterator[None]:
    """Removes what a download left behind that was killed within the block, as Ctrl-C ends worker processes."""
    try:
        yield
    except BaseException:
        with suppress(OutputError):
            if models_folder().is_dir():
                with _making_in(models_folder()):
                    """Entering removes what dead processes left."""
        raise


@contextmanager
def _making_in(folder: Path) -> Iterator[Path]:
    try:
        with work_folder(folder) as made:
            yield made
    except OutputError as error:
        raise _for_keras_home(error) from error
    except OSError as error:
        refusal = output_error(error)
        if refusal is None:
            raise
        raise _for_keras_home(refusal) from error


def _for_keras_home(error: OutputError) -> OutputError:
    """The same refusal with the setting that helps here."""
    if "--build-dir" not in str(error):
        return error
    return OutputError(f"{str(error).rpartition(';')[0]}; set KERAS_HOME to a folder that can be written")
