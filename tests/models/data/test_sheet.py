"""The contact sheet's names."""

import pytest
from PIL import ImageFont

from models.data.sheet import drawable


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ('3 it\'s a "box" & more', '3 it\'s a "box" & more'),
        ("1 Äpfel, Café", "1 Apfel, Cafe"),
        ("4 猫", "4 ?"),
    ],
)
def test_a_letter_that_the_font_lacks_loses_its_accent_or_is_seen_to_be_missing(name: str, drawn: str) -> None:
    assert drawable(name, ImageFont.load_default(14)) == drawn
