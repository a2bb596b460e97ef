"""`report` and `pick` as commands."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from device_bench.__main__ import main
from device_bench.commands.pick import latency_us, share
from device_bench.comparing.records import find_stored
from models.errors import OutputError, UnknownNameError, UsageError
from tests.device_bench.report.builds import (
    MODEL,
    add_bench,
    add_export,
    folder_of,
    full_build,
    int8_bench,
    make_target,
)

Call = Callable[..., int]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    def run(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["device_bench", *map(str, words)])
        return main()

    return run


def test_the_report_of_a_model_goes_into_its_folder(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    full_build(tmp_path)
    assert call("report", "--model", MODEL, "--build-dir", tmp_path) == 0
    folder = folder_of(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "results: 3, devices: 1, artifacts: 3, desktop baselines: 1, failed: 0, problems told: 0"
    assert lines[1:] == [str(folder / name) for name in ("report.html", "report.md", "report.json")]
    value = json.loads((folder / "report.json").read_text())
    assert (value["schema"], value["focus"], len(value["results"])) == (1, MODEL, 3)
    assert value["results"][2]["latency"]["median_us"] == 15150.0
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_the_report_of_everything_goes_into_the_build_folder_or_where_it_was_asked_for(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    full_build(tmp_path / "build")
    assert call("report", "--all", "--build-dir", tmp_path / "build") == 0
    assert (tmp_path / "build" / "report.html").is_file()
    capsys.readouterr()
    assert call("report", "--output", tmp_path / "a" / "b", "--build-dir", tmp_path / "build", "--json") == 0
    paths = json.loads(capsys.readouterr().out)
    assert Path(paths["markdown"]).read_text().startswith("# Deployment report\n")
    assert Path(paths["html"]).parent == tmp_path / "a" / "b"


def test_writing_a_report_twice_leaves_nothing_but_the_three_files(tmp_path: Path, call: Call) -> None:
    full_build(tmp_path / "build")
    for _ in range(2):
        assert call("report", "--output", tmp_path / "out", "--build-dir", tmp_path / "build") == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["report.html", "report.json", "report.md"]


def test_a_report_that_cannot_be_written_says_where(tmp_path: Path, call: Call) -> None:
    full_build(tmp_path / "build")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"a file stands where a folder should be; choose another place with --output$"
    ):
        call("report", "--output", tmp_path / "file", "--build-dir", tmp_path / "build")
    (tmp_path / "build" / "report.html").mkdir()
    with pytest.raises(OutputError, match=r"check the path of --build-dir$"):
        call("report", "--build-dir", tmp_path / "build")


def test_the_history_of_a_build_folder_does_not_complain_of_its_report(tmp_path: Path, call: Call) -> None:
    full_build(tmp_path)
    assert call("report", "--all", "--build-dir", tmp_path) == 0
    assert find_stored(tmp_path)[1] == ()


def test_a_model_of_which_nothing_is_there_is_refused(tmp_path: Path, call: Call) -> None:
    add_export(tmp_path)
    with pytest.raises(UnknownNameError, match=r"did you mean mobilenet_v2_1\.4"):
        call("report", "--model", "mobilenet_v2_1.3", "--build-dir", tmp_path)
    assert not list(tmp_path.glob("**/report.*"))


def test_a_missing_build_folder_is_refused(tmp_path: Path, call: Call) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        call("report", "--build-dir", tmp_path / "none")


def test_a_model_is_asked_for_where_nothing_is(tmp_path: Path, call: Call) -> None:
    with pytest.raises(UsageError, match=r"^unknown model 'm'; under .* nothing was exported or measured$"):
        call("report", "--model", "m", "--build-dir", tmp_path)


def pick(call: Call, build: Path, accuracy: object, p95: object, *more: object) -> int:
    words = ("--device", "Google Pixel 8", "--min-accuracy", accuracy, "--max-p95", p95, "--build-dir", build)
    return call("pick", *words, *more)


def test_pick_names_the_file_with_its_conditions(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pick(call, full_build(tmp_path), "0.9", "100ms") == 0
    out = capsys.readouterr().out
    assert "ship mobilenet-int8.tflite (mobilenet_v2_1.4, digits): 4.30 MB, top-1 97.0 % (95.7–97.9)" in out
    assert (
        "p95 15.9 ms; Android 15, xnnpack in part 60 of 66 nodes, 1 thread, classic 2.19, 2026-11-21 12:00 UTC" in out
    )
    assert "others that fit: 2, none of them smaller" in out


def test_pick_fails_with_the_nearest_misses(tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert pick(call, full_build(tmp_path), "99%", "1ms") == 1
    out = capsys.readouterr().out
    assert "none fits" in out
    assert out.count("nearest ") == 3
    assert "misses accuracy and p95" in out


def test_pick_as_json_has_the_numbers_unrounded(tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert pick(call, full_build(tmp_path), "90%", "0.1s", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["chosen"]["result"]["precision"] == "int8"
    assert (value["max_p95_us"], value["min_accuracy"], value["fitting"]) == (100_000.0, 0.9, 3)
    assert "processes" not in value["chosen"]["result"]


def test_pick_says_what_it_could_not_judge_and_that_a_device_is_emulated(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    target = make_target(is_emulator=True)
    add_bench(tmp_path, int8_bench(p95=False, target=target))
    add_export(tmp_path)
    assert pick(call, tmp_path, "0.5", "9") == 1
    out = capsys.readouterr().out
    assert out.startswith(
        "Google Pixel 8 (EMULATED: latencies mean nothing): top-1 at least 50.0 %, p95 at most 9.00 ms"
    )
    assert "not judged 1: its p95 is not known: this build prints no percentiles" in out


def test_names_from_records_cannot_steer_the_terminal(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    target = make_target("Google Pixel 8", os_release="[red]\x1b[31m\u202e15[/]")
    add_bench(tmp_path, int8_bench(target=target))
    add_export(tmp_path)
    assert pick(call, tmp_path, "0.5", "90") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[red] [31m 15[/]" in out


@pytest.mark.parametrize(("text", "value"), [("0.97", 0.97), ("97%", 0.97), ("97.5 %", 0.975), (".9", 0.9), ("1", 1.0)])
def test_shares_are_given_as_such_or_in_percent(text: str, value: float) -> None:
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["97", "101%", "-1", "nan", "", "0,9", "1e-1"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is neither a share from 0 to 1"):
        share(text)


@pytest.mark.parametrize(("text", "value"), [("12", 12e3), ("12ms", 12e3), ("800us", 800.0), ("0.5 s", 5e5)])
def test_latencies_are_in_ms_unless_they_say_otherwise(text: str, value: float) -> None:
    assert latency_us(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["0", "0.0", "-1", "nan", "inf", "12m", "12 sec", ""])
def test_what_is_no_latency_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no latency above 0"):
        latency_us(text)
