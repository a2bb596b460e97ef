"""Markdown: the same numbers, and nothing in it that a name could turn into a link, a picture or HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.report.markdown import format_markdown, inert
from device_bench.report.page import format_page
from tests.device_bench.report.builds import add_bench, full_build, int8_bench, make_target, report_of
from tests.device_bench.report.hostile import HOSTILE


def test_a_row_says_device_system_delegate_threads_runner_version_and_date(tmp_path: Path) -> None:
    text = format_markdown(report_of(full_build(tmp_path)))
    row = next(line for line in text.splitlines() if line.startswith("| int8.tflite") and "Pixel" in line)
    for said in ("Google Pixel 8 (Android 15)", "cpu · 1 thread · classic 2.19", "2026-11-21", "15.2", "4.30", "97.0"):
        assert said in row, said
    assert "GPU NVIDIA T4, onnxruntime-cuda, float32, compute only" in row
    assert "×2.67" in row


@pytest.mark.parametrize(
    ("rounds", "heading", "said"),
    [(5, "p50 ms (94%)", "(15.0–15.3)"), (3, "p50 ms (75%)", "(15.0–15.3 (75 %))"), (1, "p50 ms", "(one process)")],
)
def test_an_interval_promises_no_more_than_its_processes_allow(
    tmp_path: Path, rounds: int, heading: str, said: str
) -> None:
    record = int8_bench(rounds=rounds)
    record.plan = replace(record.plan, repeats=rounds)
    add_bench(tmp_path, record)
    report = report_of(tmp_path)
    text = format_markdown(report)
    assert f"| {heading} |" in text
    assert said in text
    assert f'data-sort="p50">{heading}</button>' in format_page(report)


def test_every_table_has_as_many_cells_in_each_row_as_headings(tmp_path: Path) -> None:
    text = format_markdown(report_of(full_build(tmp_path)))
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_an_emulated_device_is_labelled_beside_its_numbers(tmp_path: Path) -> None:
    add_bench(tmp_path, int8_bench(target=make_target(is_emulator=True)))
    text = format_markdown(report_of(tmp_path))
    assert "**EMULATED devices are among these: their latencies mean nothing.**" in text
    row = next(line for line in text.splitlines() if line.startswith("| int8"))
    assert "EMULATED\\: latencies mean nothing" in row
    assert row.count("emulated") == 3


def test_an_empty_build_folder_gives_a_report_that_says_so(tmp_path: Path) -> None:
    text = format_markdown(report_of(tmp_path))
    assert "Results: 0, devices: 0" in text
    assert text.count("Nothing yet.") == 3


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_stays_on_one_line_and_is_escaped(name: str) -> None:
    text = inert(name)
    assert text.isprintable()
    assert len(text) < 1000
    assert not re.search(r"(?<!\\)[<>|`\[\]]", text)
    text.encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_device_name_breaks_no_table(tmp_path: Path, name: str) -> None:
    # A lone surrogate cannot be in a record, which is UTF-8; all else can.
    target = make_target(name.encode("utf-8", "replace").decode())
    add_bench(tmp_path, int8_bench(target=target))
    text = format_markdown(report_of(tmp_path))
    rows = [line for line in text.splitlines() if line.startswith("| int8")]
    assert len(rows) == 1
    assert len(re.split(r"(?<!\\)\|", rows[0])) == 15
