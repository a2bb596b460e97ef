"""Results that are kept: found by content only, and whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export.budget.kept import FILE, MOST, KeptResults
from export.budget.rungs import FIRST, RungResult
from export.quantization.settings import DEFAULTS
from models.errors import OutputError

ORIGIN: dict[str, Any] = {"weights": {"sha256": "a"}, "tools": {"numpy": "2"}}
RESULT = RungResult(
    name="per-channel", size_bytes=3, top1=0.9, drop=0.0, drop_ci95=(-0.1, 0.1), agreement=0.9, mean_error=0.02,
    relative_latency=0.4,
)  # fmt: skip


def test_a_result_is_found_again_by_another_process(tmp_path: Path) -> None:
    KeptResults(tmp_path, ORIGIN).keep(FIRST, RESULT)
    assert KeptResults(tmp_path, ORIGIN).find(FIRST) == RESULT


def test_other_weights_programs_or_settings_know_nothing_of_it(tmp_path: Path) -> None:
    KeptResults(tmp_path, ORIGIN).keep(FIRST, RESULT)
    for other in ({**ORIGIN, "weights": {"sha256": "b"}}, {**ORIGIN, "tools": {"numpy": "3"}}):
        assert KeptResults(tmp_path, other).find(FIRST) is None
    assert KeptResults(tmp_path, ORIGIN).find(replace(FIRST, settings=DEFAULTS)) is None
    assert KeptResults(tmp_path, ORIGIN).find(replace(FIRST, precision="int8_mixed")) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"results": []}', '{"results": {"x": 1}}', "\x00" * 9, "[" * 200_000]
)
def test_a_damaged_file_is_as_good_as_none_and_is_written_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    kept = KeptResults(tmp_path, ORIGIN)
    assert kept.find(FIRST) is None
    kept.keep(FIRST, RESULT)
    assert KeptResults(tmp_path, ORIGIN).find(FIRST) == RESULT


def test_a_damaged_result_is_measured_again(tmp_path: Path) -> None:
    KeptResults(tmp_path, ORIGIN).keep(FIRST, RESULT)
    value = json.loads((tmp_path / FILE).read_text())
    (key,) = value["results"]
    wrong = ({"drop_ci95": [1]}, {"mean_error": "x"}, {"drop": float("nan")}, {"name": 1}, {"top1": True})
    for damage in ({}, 7, *({**RESULT.to_json(), **change} for change in wrong)):
        value["results"][key] = damage
        (tmp_path / FILE).write_text(json.dumps(value))
        assert KeptResults(tmp_path, ORIGIN).find(FIRST) is None


def test_the_oldest_results_go(tmp_path: Path) -> None:
    for number in range(3):
        KeptResults(tmp_path, {"run": number}).keep(FIRST, RESULT)
    value = json.loads((tmp_path / FILE).read_text())
    value["results"] = {f"old {n}": {} for n in range(MOST)} | value["results"]
    (tmp_path / FILE).write_text(json.dumps(value))
    KeptResults(tmp_path, {"run": 9}).keep(FIRST, RESULT)
    results = json.loads((tmp_path / FILE).read_text())["results"]
    assert len(results) == MOST
    assert "old 3" not in results
    assert "old 4" in results


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        KeptResults(tmp_path / "file", ORIGIN).keep(FIRST, RESULT)
