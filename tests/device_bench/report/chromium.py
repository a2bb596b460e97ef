"""A real Chromium for the tests of the page: Debian's package, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WHY_NOT = "no Chromium on PATH; `apt-get install chromium` brings one"

_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@dataclass(slots=True)
class Watched:
    """A page with everything that went wrong on it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """Console errors and warnings, and exceptions."""
    requests: list[str] = field(default_factory=list)
    """Of anything but the page itself."""

    def points(self, chart: str) -> int:
        """Marks of data that a chart shows."""
        return self.page.locator(f"#{chart} .point path, #{chart} path.point, #{chart} path.box").count()

    def assert_sound(self) -> None:
        """Nothing was refused, requested or complained of."""
        assert self.errors == []
        assert self.requests == []
        assert self.page.evaluate("window.violations") == []


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, without a window. Its sandbox stays on, unless this is root, for whom it has none."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=PROGRAM, chromium_sandbox=os.geteuid() != 0, args=["--disable-dev-shm-usage"]
        )
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(browser: Browser, path: Path, *, width: int = 1280, **settings: Any) -> Iterator[Watched]:
    """A page from disk, offline."""
    given: dict[str, Any] = {"viewport": {"width": width, "height": 900}, "color_scheme": "light", "offline": True}
    context = browser.new_context(**given | settings)
    try:
        page = context.new_page()
        page.add_init_script(_WATCH)
        watched = Watched(page)
        page.on("console", lambda m: watched.errors.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        page.on("request", lambda r: watched.requests.append(r.url) if r.url != path.as_uri() else None)
        page.goto(path.as_uri())
        yield watched
    finally:
        context.close()
