"""What tests of downloads share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.device_bench.file_server import Site, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture
def site(server: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty server on this machine, reached without a proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.pages.clear()
    server.requests.clear()
    return server
