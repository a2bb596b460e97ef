"""Whatever stands in a file: the report is written all the same, and the file is in it or listed."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_bench.report.choose import choose_artifact
from device_bench.report.write import load_report, write_report
from tests.device_bench.report.builds import MODEL, change_json, folder_of, full_build

HUGE = 10**400
SURROGATE = "lone \ud800"
JUNK = st.sampled_from([
    None, True, 0, -1, 7, 1e300, 1e-320, -2.5, "", "x", SURROGATE, [], [1], {}, {"a": 1}, ["x"], float("nan"),
    float("inf"), HUGE,
])  # fmt: skip
NAMES = ("manifest.json", "bench/one.json", "baseline/one.json")


def spots(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in a JSON value, of each list to its first only."""
    if way:
        yield way
    steps = value if isinstance(value, dict) else range(min(1, len(value))) if isinstance(value, list) else ()
    for step in steps:
        yield from spots(value[step], (*way, step))


def put(place: Any, way: tuple[Any, ...], junk: object) -> None:
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = junk


def use(build: Path) -> list[tuple[str, str]]:
    """Everything that `report` and `pick` do; what could not be read."""
    report = load_report(build)
    for path in write_report(report, build):
        path.read_text("utf-8")
    for device in report.devices:
        json.dumps(choose_artifact(report, device, 0.5, 1e6, None).to_json(), allow_nan=False)
    return [(row.what, row.where) for row in report.problems if row.what == "unreadable file"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    build = full_build(tmp_path_factory.mktemp("build"))
    return build, {name: json.loads((folder_of(build) / name).read_text()) for name in NAMES}


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_build_folder_with_junk_in_a_file_gives_a_report(good: tuple[Path, dict[str, Any]], data: Any) -> None:
    build, values = good
    name = data.draw(st.sampled_from(NAMES))
    ways = st.sampled_from(list(spots(values[name])))
    changed = copy.deepcopy(values[name])
    for way, junk in data.draw(st.lists(st.tuples(ways, JUNK), min_size=1, max_size=2)):
        # The first change may have taken the place of the second.
        with suppress(KeyError, IndexError, TypeError):
            put(changed, way, junk)
    path = folder_of(build) / name
    path.write_text(json.dumps(changed))
    try:
        use(build)
    finally:
        path.write_text(json.dumps(values[name]))


@pytest.mark.parametrize(
    ("name", "way", "value"),
    [
        ("manifest.json", ("model", "resolution_px"), HUGE),
        ("manifest.json", ("model", "parameters"), HUGE),
        ("manifest.json", ("model", "mult_adds"), HUGE),
        ("manifest.json", ("artifacts", 0, "operators", "ADD"), HUGE),
        ("manifest.json", ("artifacts", 0, "size_bytes"), float("inf")),
        ("manifest.json", ("artifacts", 0, "verification", "images"), HUGE),
        ("manifest.json", ("artifacts", 0, "verification", "images"), 1e-320),
        ("manifest.json", ("artifacts", 0, "verification", "top1"), HUGE),
        ("manifest.json", ("artifacts", 0, "verification", "top1_drop_ci95"), []),
        ("bench/one.json", ("plan", "cases", 0, "model", "size_bytes"), HUGE),
        ("bench/one.json", ("plan", "cases", 0, "model", "size_bytes"), float("inf")),
        ("bench/one.json", ("plan", "cases", 0, "threads"), HUGE),
        ("bench/one.json", ("attempts", 0, "round"), HUGE),
        ("bench/one.json", ("attempts", 0, "output", "measured", "latency", "median_us"), 1e-320),
        ("bench/one.json", ("target", "facts", "memory_total_bytes"), HUGE),
        ("bench/one.json", ("started",), None),
        ("baseline/one.json", ("started",), 7),
        ("baseline/one.json", ("model",), []),
        ("baseline/one.json", ("model",), None),
        ("baseline/one.json", ("model",), 7),
    ],
    ids=lambda part: str(part)[:60],
)  # fmt: skip
def test_a_value_that_no_program_wrote_is_listed(tmp_path: Path, name: str, way: tuple[Any, ...], value: Any) -> None:
    full_build(tmp_path)
    change_json(folder_of(tmp_path) / name, lambda whole: put(whole, way, value))
    assert use(tmp_path) == [("unreadable file", f"{MODEL}-digits/{name}")]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("manifest.json", ("artifacts", 2, "file")),
        ("bench/one.json", ("plan", "cases", 2, "model", "file")),
    ],
)
def test_a_file_of_another_name_is_another_file(tmp_path: Path, name: str, way: tuple[Any, ...]) -> None:
    full_build(tmp_path)
    change_json(folder_of(tmp_path) / name, lambda whole: put(whole, way, "renamed.tflite"))
    assert use(tmp_path) == []
    assert [row.known_file for row in load_report(tmp_path).results] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("manifest.json", ("model", "name")),
        ("manifest.json", ("artifacts", 0, "precision")),
        ("bench/one.json", ("target", "facts", "model")),
        ("bench/one.json", ("target", "identity")),
        ("bench/one.json", ("plan", "cases", 0, "delegate")),
        ("bench/one.json", ("model", "name")),
        ("baseline/one.json", ("model", "name")),
    ],
)
def test_half_a_character_in_a_name_is_written_as_text(tmp_path: Path, name: str, way: tuple[Any, ...]) -> None:
    full_build(tmp_path)
    change_json(folder_of(tmp_path) / name, lambda whole: put(whole, way, SURROGATE))
    use(tmp_path)


@pytest.mark.parametrize("name", ["manifest.json", "bench/two.json", "baseline/two.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, name: str, kind: str) -> None:
    full_build(tmp_path)
    path = folder_of(tmp_path) / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    assert use(tmp_path) == [("unreadable file", f"{MODEL}-digits/{name}")]
