"""Text from outside on pages."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from models.pages import page_templates, safe


@pytest.mark.parametrize("text", ["a\nb", "a\x1bb", "a\u202eb", "a\ud800b", "a\u2066b"])
def test_text_from_outside_loses_control_and_direction_marks(text: str) -> None:
    assert safe(text) == "a b"


def test_long_text_is_cut_with_a_mark() -> None:
    assert safe("x" * 10_000, 10) == "xxxxxxxxx…"


def test_templates_escape_what_they_are_given_and_miss_nothing_in_silence(tmp_path: Path) -> None:
    (tmp_path / "page.jinja").write_text("<p>{{ name }}</p>")
    page = page_templates(tmp_path).get_template("page.jinja")
    assert page.render(name="<b>") == "<p>&lt;b&gt;</p>"
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        page.render()
