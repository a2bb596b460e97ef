"""Records on disk: their names, and what is refused whatever it is a record of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from device_bench.baseline.record import load_baseline
from device_bench.measuring.record import load_record
from device_bench.record_file import Record, describe_tool, record_stem, save_record
from models.errors import OutputError, UsageError
from tests.device_bench.baseline import values
from tests.device_bench.comparing.stored import make_record

LOADERS = pytest.mark.parametrize(
    ("load", "what"), [(load_record, "benchmark record"), (load_baseline, "baseline")], ids=["bench", "baseline"]
)


@LOADERS
def test_nesting_without_end_is_no_record(tmp_path: Path, load: Callable[[Path], Record], what: str) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match=rf"deep\.json is no {what} of this program \(.*\); measure again$"):
        load(path)


@LOADERS
def test_a_file_that_is_not_there_is_said_with_the_folder_to_look_in(
    tmp_path: Path, load: Callable[[Path], Record], what: str
) -> None:
    folder = "baseline" if what == "baseline" else "bench"
    with pytest.raises(UsageError, match=rf"^cannot read .*: No such file or directory; name a file of {folder}/$"):
        load(tmp_path / "a.json")


def test_a_baseline_whose_numbers_cannot_be_summarised_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    full = values.record(cases=[values.case()], attempts=[values.attempt()] * 2)
    value = full.to_json()
    value["attempts"][0]["measured"]["init_us"] = "5000"
    path.write_text(json.dumps(value))
    with pytest.raises(UsageError, match=r"is no baseline of this program \(.*Error.*\); measure again$"):
        load_baseline(path)


def test_a_latency_beyond_all_numbers_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    value = make_record().to_json()
    for attempt in value["attempts"]:
        attempt["output"]["measured"]["latency"]["median_us"] = 10**400
    path.write_text(json.dumps(value))
    with pytest.raises(UsageError, match=r"is no benchmark record of this program \(OverflowError\("):
        load_record(path)


def test_a_record_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^cannot write .*absent"):
        save_record(tmp_path / "absent" / "a.json", values.record())


def test_the_tool_tells_its_version_and_commit() -> None:
    tool = describe_tool()
    assert tool["version"].count(".") == 2
    assert tool["commit"] is None or len(tool["commit"]) == 40
    assert (tool["commit"] is None) == (tool["dirty"] is None)


def test_names_of_records_are_plain_whatever_the_phone_is_called() -> None:
    assert record_stem("2026-11-21T12:00:00Z", "Pixel 8", "1f0c9a2b77") == "20261121T120000Z-pixel_8-1f0c9a2b"
    assert record_stem("2026-11-21T12:00:00Z", "../$(x)\n'\"", "1f0c9a2b77") == "20261121T120000Z-x-1f0c9a2b"
    assert record_stem("2026-11-21T12:00:00Z", "\u624b\u673a", "1f0c9a2b77") == "20261121T120000Z-device-1f0c9a2b"
