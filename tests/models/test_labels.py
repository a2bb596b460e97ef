"""Class names from a file."""

from pathlib import Path

import pytest

from models.errors import UsageError
from models.labels import read_labels


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\ndog", ("cat", "dog")),
        (b"cat\r\ndog\r\n", ("cat", "dog")),
        ("\ufeffKätzchen\n犬 und 猫\n".encode(), ("Kätzchen", "犬 und 猫")),
        (b"tench, Tinca tinca\n", ("tench, Tinca tinca",)),
    ],
)
def test_a_line_is_a_name(tmp_path: Path, content: bytes, names: tuple[str, ...]) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    assert read_labels(path) == names


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "line 1 is empty ('')"),
        (b"cat\n\ndog\n", "line 2 is empty ('')"),
        (b"cat\ndog\ncat\n", "line 3 occurs before ('cat')"),
        (b"cat\n\x1b[31mdog\n", r"line 2 is not printable ('\x1b[31mdog')"),
        (b"cat\x00\n", r"line 1 is not printable ('cat\x00')"),
        (b"\xff\xfe", "are not UTF-8 (byte 0)"),
    ],
)
def test_what_is_no_list_of_names_is_refused_with_the_line(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        read_labels(path)
    assert fault in str(raised.value)
    assert str(raised.value).endswith("; write one class name per line, in UTF-8")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"labels .*none\.txt cannot be read: No such file or directory; write"):
        read_labels(tmp_path / "none.txt")
