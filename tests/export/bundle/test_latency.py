"""Latencies come from the records that benchmarks really write, and only from those of the very files."""

import json
from pathlib import Path
from typing import Any

import pytest

from export.bundle.latency import read_latencies
from tests.device_bench.report import builds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The build folder of an export with a benchmark of it."""
    builds.add_export(tmp_path)
    builds.add_bench(tmp_path)
    return builds.folder_of(tmp_path)


INT8 = builds.sha256(builds.MODEL, "int8")


def test_a_record_of_a_benchmark_gives_a_row_per_case(folder: Path) -> None:
    rows, problems = read_latencies(folder, {INT8, builds.sha256(builds.MODEL, "float16")})
    assert problems == ()
    assert [row.precision for row in rows] == ["int8", "float16"]
    row = rows[0]
    assert (row.device, row.emulated, row.processes, row.statistic) == (
        "Google Pixel 8 (Android 15)",
        False,
        5,
        "median",
    )
    record = json.loads((folder / "bench/one.json").read_text())
    latency = next(s["latency"] for s in record["summaries"] if s["case"].startswith("int8"))
    assert (row.median_us, row.low_us, row.high_us) == (latency["median_us"], latency["low_us"], latency["high_us"])
    assert row.measured == "2026-11-21"
    assert row.how == "classic, cpu, 1 thread"


def test_results_of_other_files_are_not_theirs(folder: Path) -> None:
    assert read_latencies(folder, {"0" * 64}) == ((), ())


def test_the_newest_record_of_a_case_counts(folder: Path, tmp_path: Path) -> None:
    cases = builds.cases_of(builds.MODEL, ["int8"])
    builds.add_bench(tmp_path, builds.make_bench(cases, builds.attempts_of(cases[0], 2.0)), name="two")
    (row,), _ = read_latencies(folder, {INT8})
    assert row.median_us == pytest.approx(2 * builds.LATENCY_US["int8"], rel=0.02)


def test_results_that_are_not_valid_are_left_out(tmp_path: Path) -> None:
    builds.add_export(tmp_path)
    builds.add_bench(tmp_path, builds.int8_bench(rounds=2))
    assert read_latencies(builds.folder_of(tmp_path), {INT8}) == ((), ())


def test_an_emulated_phone_is_said_to_be_one(tmp_path: Path) -> None:
    builds.add_export(tmp_path)
    builds.add_bench(tmp_path, builds.int8_bench(target=builds.make_target(is_emulator=True)))
    (row,), _ = read_latencies(builds.folder_of(tmp_path), {INT8})
    assert row.emulated


def test_no_benchmark_is_no_problem(tmp_path: Path) -> None:
    assert read_latencies(tmp_path, {INT8}) == ((), ())


def set_latency(record: dict[str, Any], value: object) -> None:
    for summary in record["summaries"]:
        summary["latency"]["median_us"] = value


BROKEN: list[Any] = [
    (lambda record: record.update(schema=9), "schema 9, known is 1"),
    (lambda record: record.pop("plan"), "KeyError: 'plan'"),
    (lambda record: record.update(started="<b>yesterday"), "no time: '<b>yesterd'"),
    (lambda record: set_latency(record, -1), "a latency of -1.0 us"),
    (lambda record: set_latency(record, "fast"), "could not convert"),
]


@pytest.mark.parametrize(("damage", "words"), BROKEN, ids=[words for _, words in BROKEN])
def test_records_that_cannot_be_believed_are_named(damage: Any, words: str, folder: Path) -> None:
    path = folder / "bench/one.json"
    record = json.loads(path.read_text())
    damage(record)
    path.write_text(json.dumps(record))
    rows, (problem,) = read_latencies(folder, {INT8})
    assert rows == ()
    assert problem.startswith("one.json: no benchmark record (")
    assert words in problem


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"null", b"[]"])
def test_files_that_are_no_records_are_named(content: bytes, folder: Path) -> None:
    (folder / "bench/two.json").write_bytes(content)
    rows, problems = read_latencies(folder, {INT8})
    assert len(rows) == 1
    assert [problem.split(":")[0] for problem in problems] == ["two.json"]
