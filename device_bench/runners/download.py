"""One file over https into one file on disk: whole, bounded in size and time, resumed where it broke off."""

from __future__ import annotations

import http.client
import ipaddress
import json
import posixpath
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO

from models.errors import DownloadError, UsageError
from models.files import output_errors, write_file
from models.worker import Progress, Report

_BLOCK_BYTES = 256 * 1024
_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes that another try may change (RFC 9110)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of anything a download may take."""

    largest_bytes: int = 256 * 2**20
    """The largest of Google's runners has a fifth of that."""
    silence_s: float = 30.0
    """Longest wait for the server's next word."""
    total_s: float = 900.0


def download(url: str, path: Path, limits: Limits, report: Report) -> None:
    """Fetches `url` to `path`, which is whole afterwards; after a failure it keeps what can be resumed.

    Raises:
        DownloadError: no connection, refused, cut, stalled, too large, or redirected to an address without https.
        UsageError: the address is neither https nor http on this machine.
        OutputError: `path` cannot be written.
    """
    if not _is_allowed(url):
        raise UsageError(f"{url!r} is no https address (http only from this machine itself); correct the base address")
    tag = path.with_name(f"{path.name}.tag")
    deadline = time.monotonic() + limits.total_s
    headers = _resume_headers(path, tag)
    try:
        try:
            response = _open(url, headers, limits)
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or "Range" not in headers:
                raise
            # What was kept is no beginning of the file, or all of it: that cannot be told, so it comes anew.
            error.close()
            with output_errors(path):
                path.unlink(missing_ok=True)
            response = _open(url, _resume_headers(path, tag), limits)
        with response:
            _copy(response, path, _start(response, path, tag, url, limits), url, limits, deadline, report)
    except urllib.error.HTTPError as error:
        with error:
            raise _failure(url, f"status {error.code} {error.reason}", transient=error.code in _RETRY) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _failure(url, f"{type(reason).__name__}: {reason}", transient=True) from error
    tag.unlink(missing_ok=True)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never away from https."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        """The next request.

        Raises:
            DownloadError: it would not be protected.
        """
        if not _is_allowed(newurl):
            raise DownloadError(
                f"{req.full_url} redirects to {newurl!r}, which is no https address; give the runner with --runner-path"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _open(url: str, headers: dict[str, str], limits: Limits) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - its scheme is checked
    response: http.client.HTTPResponse = urllib.request.build_opener(_Redirects).open(request, timeout=limits.silence_s)
    return response


def _is_allowed(url: str) -> bool:
    """https, or http on the loopback interface, where nobody can listen in."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        if not url.isprintable() or parts.scheme not in ("http", "https") or not host:
            return False
        return parts.scheme == "https" or host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _resume_headers(path: Path, tag: Path) -> dict[str, str]:
    """Asks for the rest, if the server named its file when it sent the beginning: names differ between versions."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "mobile-deploy-toolchain"}
    with suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(tag.read_bytes())
        if path.stat().st_size and isinstance(known["etag"], str) and known["etag"].isprintable():
            headers |= {"Range": f"bytes={path.stat().st_size}-", "If-Range": known["etag"]}
    return headers


def _start(response: http.client.HTTPResponse, path: Path, tag: Path, url: str, limits: Limits) -> int:
    """At which byte the answer begins; notes the server's name of the file for a later resumption."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _failure(url, f"it came encoded as {response.headers['Content-Encoding']!r}", transient=False)
    offset = 0
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        offset = path.stat().st_size
        wanted = f"bytes {offset}-"
        if not response.headers.get("Content-Range", "").startswith(wanted):
            raise _failure(url, f"it answered with {response.headers.get('Content-Range')!r}", transient=True)
    size = response.length
    if size is None and not response.chunked:
        raise _failure(url, "the server does not tell its length, so a cut file would pass for whole", transient=False)
    if size is not None and offset + size > limits.largest_bytes:
        raise _failure(url, f"it has {offset + size} bytes, allowed are {limits.largest_bytes}", transient=False)
    etag = response.headers.get("ETag", "")
    # Weak names (W/) stand for files that are alike, not equal.
    if etag.startswith('"') and size is not None:
        write_file(tag, json.dumps({"etag": etag}).encode())
    elif not offset:
        with output_errors(tag):
            tag.unlink(missing_ok=True)
    return offset


def _copy(
    response: http.client.HTTPResponse,
    path: Path,
    offset: int,
    url: str,
    limits: Limits,
    deadline: float,
    report: Report,
) -> None:
    left = response.length
    done, total = offset, None if left is None else offset + left
    stage, most = f"fetch {posixpath.basename(url)}", limits.largest_bytes
    # The server's failures are OSErrors too: they must not pass for the disk's.
    with output_errors(path):
        file = path.open("r+b" if offset else "wb")
    with file:
        file.seek(offset)
        # Returns what is there, so that progress and time are seen on slow lines too.
        while block := response.read1(_BLOCK_BYTES):
            done += len(block)
            if done > most:
                raise _failure(url, f"it has more than {most} bytes", transient=False)
            with output_errors(path):
                file.write(block)
                file.flush()
            report(Progress(stage=stage, done=done // 1024, total=(total or most) // 1024, detail="KiB"))
            if time.monotonic() > deadline:
                raise _failure(url, f"it took more than {limits.total_s:g} s", transient=True)
        file.truncate(done)
    if total is not None and done != total:
        raise _failure(url, f"it broke off after {done} of {total} bytes", transient=True)


def _failure(url: str, why: str, *, transient: bool) -> DownloadError:
    again = "try again, or fetch it" if transient else "fetch it"
    return DownloadError(
        f"cannot fetch {url}: {why}; {again} elsewhere and give the file with --runner-path", transient=transient
    )
