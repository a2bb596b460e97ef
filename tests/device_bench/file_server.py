"""A small web server on the loopback interface that misbehaves as told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler"], None]


@dataclass(slots=True)
class Site:
    """What a server serves, and what was asked of it."""

    url: str = ""
    pages: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    """Answers by the behaviour of the page asked for; 404 without one."""

    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        """One request per connection."""
        self.close_connection = True
        self.site.requests.append((self.path, dict(self.headers)))
        behaviour = self.site.pages.get(self.path, status(404))
        # The client leaves early when it refuses what comes.
        with suppress(OSError):
            behaviour(self)

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        """Status, headers and so much of the body as the client takes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on standard error."""


@contextmanager
def serving() -> Iterator[Site]:
    """A running server."""
    site = Site()
    handler = type("SiteHandler", (Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            site.closing.set()
            server.shutdown()
            thread.join()


def whole(body: bytes, etag: str = '"one"') -> Behaviour:
    """A file as a good server sends it, with ranges."""

    def behave(handler: Handler) -> None:
        asked = handler.headers.get("Range")
        if asked and handler.headers.get("If-Range") == etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                handler.answer(416, {"Content-Length": "0"})
                return
            rest = body[start:]
            place = f"bytes {start}-{len(body) - 1}/{len(body)}"
            handler.answer(206, {"Content-Length": str(len(rest)), "Content-Range": place, "ETag": etag}, rest)
        else:
            handler.answer(200, {"Content-Length": str(len(body)), "ETag": etag}, body)

    return behave


def cut(body: bytes, after: int, etag: str = '"one"') -> Behaviour:
    """A connection that breaks in the middle."""
    return lambda handler: handler.answer(200, {"Content-Length": str(len(body)), "ETag": etag}, body[:after])


def status(code: int, **headers: str) -> Behaviour:
    """Nothing but a status."""
    return lambda handler: handler.answer(code, {"Content-Length": "0", **headers})
