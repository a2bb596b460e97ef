"""The lock file of fetched runners."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_bench.runners.lock import Locked, load_lock, record
from models.errors import OutputError, UsageError

ONE = Locked(sha256="a" * 64, size_bytes=10, recorded="2026-01-31")
TWO = Locked(sha256="b" * 64, size_bytes=20, recorded="2026-02-28")


def test_records_come_back_and_are_kept(tmp_path: Path) -> None:
    lock = tmp_path / "new folder" / "lock.json"
    assert load_lock(lock) == {}
    record(lock, "z/1", ONE)
    record(lock, "a/2", TWO)
    assert load_lock(lock) == {"a/2": TWO, "z/1": ONE}
    value = json.loads(lock.read_text("utf-8"))
    assert (value["schema"], list(value["files"])) == (1, ["a/2", "z/1"])


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"schema": 2, "files": {}}', '{"schema": 1}', '{"schema": 1, "files": []}', "[" * 100_000,
        '{"schema": 1, "files": {"x": {}}}', '{"schema": 1, "files": {"x": null}}', "\xff",
        '{"schema": 1, "files": {"x": {"sha256": "aa", "size_bytes": 1, "recorded": ""}}}',
        '{"schema": 1, "files": {"x": {"sha256": 5, "size_bytes": 1, "recorded": ""}}}',
        " " * (2**20 + 1),
    ],
)  # fmt: skip
def test_what_is_no_lock_is_refused_not_overwritten(tmp_path: Path, content: str) -> None:
    lock = tmp_path / "lock.json"
    lock.write_bytes(content.encode("latin-1"))
    with pytest.raises(
        UsageError, match=r"^'.*lock\.json' is no lock of runners \(.*\); restore it from where it is kept"
    ):
        record(lock, "x", ONE)
    assert lock.read_bytes() == content.encode("latin-1")


def test_a_lock_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((OutputError, UsageError), match="file"):
        record(tmp_path / "file" / "lock.json", "x", ONE)
