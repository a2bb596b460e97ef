"""The page in a real browser."""

from pathlib import Path

import pytest

from export.diagnosis.page import format_page
from export.diagnosis.values import Diagnosis
from tests.device_bench.report import chromium
from tests.export.diagnosis.test_page import HOSTILE, sick

pytestmark = [
    pytest.mark.page,
    pytest.mark.skipif(chromium.PROGRAM is None, reason=chromium.WHY_NOT),
    # The first to ask for the export waits for its network's training.
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_requested_refused_or_too_wide(
    healthy_diagnosis: Diagnosis, tmp_path: Path, width: int, scheme: str
) -> None:
    path = tmp_path / "diagnosis.html"
    with chromium.browser() as browser:
        for found in (healthy_diagnosis, sick(healthy_diagnosis, HOSTILE)):
            path.write_text(format_page(found), "utf-8")
            with chromium.opened(browser, path, width=width, color_scheme=scheme) as watched:
                watched.assert_sound()
                assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
                assert watched.page.locator("#layers table").first.locator("tbody tr").count() == 30
                background = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert background == ("rgb(18, 22, 27)" if scheme == "dark" else "rgb(245, 247, 249)")
                shown = "els => els.map(e => e.complete && e.naturalWidth > 0)"
                if found is healthy_diagnosis:
                    assert all(watched.page.locator(".flips img").evaluate_all(shown))
