"""What lies under a build folder: read as far as it can be, listed where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_bench.comparing import records as module
from device_bench.report.collect import collect
from models.errors import UsageError
from tests.device_bench.report.builds import MODEL, add_baseline, add_bench, add_export, folder_of, full_build


def test_everything_is_found_with_paths_relative_to_the_build_folder(tmp_path: Path) -> None:
    found = collect(full_build(tmp_path))
    assert [row.folder for row in found.manifests] == [f"{MODEL}-digits"]
    assert [row.path for row in found.benches] == [f"{MODEL}-digits/bench/one.json"]
    assert [row.path for row in found.baselines] == [f"{MODEL}-digits/baseline/one.json"]
    assert found.unread == ()
    assert found.manifests[0].changed == frozenset()


def test_records_come_from_old_to_new_whatever_their_names(tmp_path: Path) -> None:
    record = add_bench(tmp_path, name="z")
    record.started = "2026-11-22T12:00:00Z"
    add_bench(tmp_path, record, name="a")
    assert [row.path[-6:] for row in collect(tmp_path).benches] == ["z.json", "a.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 99}', "[" * 200_000, '{"schema": 1}'])
@pytest.mark.parametrize("name", ["manifest.json", "bench/bad.json", "baseline/bad.json"])
def test_what_cannot_be_read_is_listed_and_the_rest_is_read(tmp_path: Path, name: str, text: str) -> None:
    add_baseline(tmp_path, model="other")
    (folder_of(tmp_path) / name).write_text(text)
    found = collect(tmp_path)
    assert len(found.baselines) == 1
    (problem,) = found.unread
    assert (problem.what, problem.where) == ("unreadable file", f"{MODEL}-digits/{name}")
    assert problem.why


def test_a_file_that_is_too_large_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_bench(tmp_path)
    monkeypatch.setattr(module, "LARGEST_BYTES", 100)
    found = collect(tmp_path)
    assert found.benches == ()
    assert "at most 100 are read" in found.unread[0].why


def test_a_dangling_link_is_listed(tmp_path: Path) -> None:
    (folder_of(tmp_path) / "bench" / "gone.json").symlink_to("nowhere")
    assert collect(tmp_path).unread[0].where.endswith("gone.json")


def test_files_that_changed_since_the_export_are_named(tmp_path: Path) -> None:
    add_export(tmp_path)
    folder = folder_of(tmp_path)
    (folder / "mobilenet-int8.tflite").write_bytes(b"another")
    (folder / "mobilenet-float16.tflite").unlink()
    assert collect(tmp_path).manifests[0].changed == {"mobilenet-int8.tflite", "mobilenet-float16.tflite"}


def test_an_empty_build_folder_is_no_error_but_none_at_all_is(tmp_path: Path) -> None:
    assert collect(tmp_path).manifests == ()
    with pytest.raises(UsageError, match=r"there is no folder .*; `make export MODEL=\.\.\.` makes it"):
        collect(tmp_path / "none")
