"""The web snippet as a developer puts it up: its files, the model, LiteRT.js from npm, and a server on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from models.data.cache import cache_folder

NPM_TIMEOUT_S = 120


class NpmError(Exception):
    """npm is not there, or could not install; the message says why."""


def install_packages(package: str) -> Path:
    """Folder `node_modules` with what a `package.json` asks for: from npm once, then from this machine's cache.

    Raises:
        NpmError: there is no npm, or it failed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise NpmError("no npm on PATH; `apt-get install npm` brings one")
    versions = "-".join(json.loads(package)["dependencies"].values())
    folder = cache_folder() / "npm" / f"litertjs-{versions}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            (folder / "package.json").write_text(package, "utf-8")
            run = subprocess.run(
                [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
                cwd=folder, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False,
            )  # fmt: skip
            if run.returncode:
                raise NpmError(f"npm install failed: {' '.join(run.stderr.split())[:300]}")
            (folder / "done").touch()
    return folder / "node_modules"


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder's address, on this machine only."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Silent, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@dataclass(slots=True)
class Visit:
    """A page with what happened on it."""

    page: Page
    exceptions: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    """Of its policy, in the browser's words."""

    def call(self, code: str, argument: Any = None) -> Any:
        """The value of a JavaScript function whose first argument is the module `classify.js`."""
        return self.page.evaluate(f"async (given) => ({code})(await import('./classify.js'), given)", argument)


@contextlib.contextmanager
def visited(browser: Browser, address: str, **settings: Any) -> Iterator[Visit]:
    """The page at that address."""
    context = browser.new_context(**settings)
    try:
        page = context.new_page()
        visit = Visit(page)
        page.on("pageerror", lambda error: visit.exceptions.append(str(error)))
        page.on("request", lambda request: visit.requests.append(request.url))
        page.on("console", lambda m: visit.violations.append(m.text) if "Content Security Policy" in m.text else None)
        page.goto(address)
        yield visit
    finally:
        context.close()


def put_up(site: Path, snippet: dict[str, str], packages: Path, **files: bytes) -> None:
    """Writes the snippet's files, those given, and the way to LiteRT.js into a new folder."""
    site.mkdir(parents=True)
    for file, text in snippet.items():
        (site / file).write_text(text, "utf-8")
    for file, content in files.items():
        (site / file).write_bytes(content)
    (site / "node_modules").symlink_to(packages)
