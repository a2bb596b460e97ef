"""Class names that every reader takes apart alike, or a reason why not."""

import pytest

from export.metadata.labels import MAX_LABEL_CHARACTERS, format_labels, parse_labels
from models.errors import DataError


def test_names_come_back_in_their_order() -> None:
    names = ("tench", 'a "quoted" name', "<b>html</b>", "Übergröße", "猫", "שלום", " padded")
    assert parse_labels(format_labels(names), len(names)) == names


def test_a_hundred_thousand_names_are_names() -> None:
    names = tuple(f"class {number}" for number in range(100_000))
    assert parse_labels(format_labels(names), len(names)) == names


@pytest.mark.parametrize(
    ("content", "classes", "message"),
    [
        (b"a\nb\n", 3, r"^there are 2 class names and 3 outputs; write one class name per line"),
        (b"background\na\nb\n", 2, r"^there are 3 class names and 2 outputs; one more is often a `background`"),
        (b"a\n\nb\n", 3, r"^class name 2 is empty \(''\)"),
        (b"a\n \nb\n", 3, r"^class name 2 is empty \(' '\)"),
        (b"a\nb\na\n", 3, r"^class name 3 occurs before \('a'\)"),
        (b"a\r\nb\r\n", 2, r"^class name 1 is not printable \('a\\r'\)"),
        ("a\u2028b\n".encode(), 1, r"^class name 1 is not printable \('a\\u2028b'\)"),
        ("cat\u202egod\n".encode(), 1, r"^class name 1 is not printable \('cat\\u202egod'\)"),
        (b"a\x1b[2J\n", 1, r"^class name 1 is not printable \('a\\x1b\[2J'\)"),
        (b"\xff\xfea\n", 1, r"^the class names are not UTF-8 \(byte 0\)"),
        (b"x" * 1_000_000 + b"\n", 1, rf"^class name 1 has 1000000 characters, allowed are {MAX_LABEL_CHARACTERS}"),
        (b"", 1, r"^class name 1 is empty"),
    ],
)
def test_hostile_and_mistaken_names_are_refused(content: bytes, classes: int, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        parse_labels(content, classes)
    assert len(str(raised.value)) < 300
    assert str(raised.value).isprintable()
