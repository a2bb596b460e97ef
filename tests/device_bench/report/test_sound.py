"""Values of the wrong kind are refused by their name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_bench.report.sound import check_types
from tests.device_bench.report.builds import full_build, report_of


def test_what_this_program_writes_is_sound(tmp_path: Path) -> None:
    report = report_of(full_build(tmp_path))
    for row in (*report.results, *report.exports, *report.baselines, *report.devices):
        check_types(row)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p95_us": "1"}, "Result.p95_us is '1'"),
        ({"p95_us": float("nan")}, "Result.p95_us is nan"),
        ({"threads": True}, "Result.threads is True"),
        ({"threads": 1.5}, "Result.threads is 1.5"),
        ({"threads": None}, "Result.threads is None"),
        ({"model": 3}, "Result.model is 3"),
        ({"throttled": 1}, "Result.throttled is 1"),
        ({"missing": {"a": 1}}, "Result.missing is 1"),
        ({"missing": []}, r"Result.missing is \[\]"),
        ({"temperature_c": (1.0, "hot")}, "Result.temperature_c is 'hot'"),
        ({"temperature_c": [1.0]}, "Result.temperature_c is no tuple but list"),
    ],
)
def test_a_value_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    row = report_of(full_build(tmp_path)).results[0]
    with pytest.raises(ValueError, match=message):
        check_types(replace(row, **changes))
