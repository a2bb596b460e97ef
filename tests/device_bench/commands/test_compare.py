"""`compare` and `history` as a person or a build server meets them: output and exit codes."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.__main__ import main
from models.cli import run
from tests.device_bench.comparing.stored import CASE, make_record, slower, store, with_facts, with_twins


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["device_bench", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        run(main)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return store(tmp_path / "old.json", make_record())


@pytest.mark.parametrize(
    ("factor", "limit", "code", "said"),
    [
        (1.0, "5%", 0, "passed none of 1 cases shown to be slower by more than 5.0%"),
        (1.1, "5%", 1, "failed 1 of 1 cases shown to be slower, by more than 5.0%"),
        (1.1, "15 %", 0, "passed none of 1 cases shown to be slower by more than 15.0%"),
        (1.03, "0%", 1, "failed 1 of 1 cases shown to be slower, by more than 0.0%"),
        (0.8, "0%", 0, "passed"),
    ],
)
def test_the_gate_fails_on_what_is_shown_and_exceeds_the_limit(
    tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    factor: float, limit: str, code: int, said: str,
) -> None:  # fmt: skip
    new = store(tmp_path / "new.json", make_record(slower(factor)))
    assert call(monkeypatch, "compare", old, new, "--max-regression", limit) == code
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith(said)
    assert "noise floor not measured" in printed
    assert f"{factor:.1f}" in printed


def test_unlike_conditions_are_bad_input_on_one_line(
    tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = store(tmp_path / "new.json", make_record(slower(1.5), target=with_facts(os_release="15")))
    assert call(monkeypatch, "compare", old, new) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: unlike conditions: os: Android 14 UQ1A against Android 15 UQ1A; ")
    assert printed.err.count("\n") == 1
    assert call(monkeypatch, "compare", old, new, "--across", "os") == 1
    assert "unlike os: Android 14" in capsys.readouterr().out


def test_a_case_without_valid_numbers_is_a_device_failure_but_a_proven_regression_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    float32 = CASE.replace("int8", "float32")
    old = store(tmp_path / "old.json", make_record({**slower(1.0), **slower(1.0, float32)}))
    for factor, code in ((1.0, 3), (1.5, 1)):
        record = make_record({**slower(factor), **slower(1.0, float32)})
        record.attempts[-1] = replace(record.attempts[-1], output=None, failure="died of SIGILL")
        new = store(tmp_path / "new.json", record)
        assert call(monkeypatch, "compare", old, new) == code
        printed = capsys.readouterr().out
        assert "NO VALID NUMBERS" in printed
        assert f"no numbers {float32}: new: died of SIGILL" in printed


def test_a_gate_that_is_blind_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = {CASE: [2000.0, 3000.0, 1500.0, 2600.0, 1900.0, 2900.0, 1700.0]}
    paths = [store(tmp_path / f"{name}.json", make_record(wild)) for name in ("old", "new")]
    assert call(monkeypatch, "compare", *paths) == 0
    assert "a slowdown of 5.0% would often be missed" in capsys.readouterr().out


def test_json_has_all_numbers_and_the_code(
    tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = store(tmp_path / "new.json", with_twins(make_record(slower(1.1)), 1.01))
    assert call(monkeypatch, "compare", old, new, "--json") == 1
    value = json.loads(capsys.readouterr().out)
    assert (value["schema"], value["max_regression"], value["exit_code"]) == (1, 0.05, 1)
    (comparison,) = value["comparisons"]
    assert comparison["noise_floor"] == pytest.approx(0.01)
    assert comparison["rows"][0]["verdict"] == "slower"


def test_folders_stand_for_their_newest_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store(tmp_path / "old" / "m" / "bench" / "1.json", make_record(slower(1.0), started="2026-11-01"))
    store(tmp_path / "new" / "m" / "bench" / "1.json", make_record(slower(2.0), started="2026-11-02"))
    store(tmp_path / "new" / "m" / "bench" / "2.json", make_record(slower(1.0), started="2026-11-03"))
    (tmp_path / "new" / "m" / "bench" / "3.json").write_text("{")
    assert call(monkeypatch, "compare", tmp_path / "old", tmp_path / "new") == 0
    printed = capsys.readouterr()
    assert "2026-11-03" in printed.out
    assert printed.err.startswith("not read: ")


@pytest.mark.parametrize("limit", ["5", "0.05", "-1%", "x%", "nan%", "inf%", "1e9%", "5000%", ""])
def test_a_limit_that_is_no_percentage_is_refused(
    old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limit: str
) -> None:
    assert call(monkeypatch, "compare", old, old, f"--max-regression={limit}") == 2
    assert "is no percentage from 0% to 1000%, such as 5%" in capsys.readouterr().err


def test_names_from_records_cannot_steer_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b[2J[red]x[/red]\n<img onerror=x>"
    target = with_facts(model=evil, manufacturer=evil, soc_model=evil)
    for name, started in (("old", "2026\x1b[2J"), ("new", "2027\n")):
        record = make_record(None, target=target, model={"name": evil, "weights": evil}, started=started)
        store(tmp_path / "bench" / f"{name}.json", record)
    assert call(monkeypatch, "compare", tmp_path / "bench" / "old.json", tmp_path / "bench" / "new.json") == 0
    compared = capsys.readouterr()
    assert call(monkeypatch, "history", "--build-dir", tmp_path) == 0
    for printed in (compared, capsys.readouterr()):
        assert "\x1b" not in printed.out + printed.err
        assert "[red]x[/red] <img onerror=x>" in printed.out


def test_history_shows_courses_and_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for day, factor in enumerate((1.0, 1.0, 1.1, 1.1), 1):
        store(
            tmp_path / "m" / "bench" / f"{day}.json", make_record(slower(factor), started=f"2026-11-0{day}T00:00:00Z")
        )
    assert call(monkeypatch, "history", "mobilenet_v1_0.25_128", "--build-dir", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "mobilenet_v1_0.25_128 on Google Pixel 8 [1f0c9a2b]" in printed
    assert "▁▁██" in printed
    assert "2026-11-04 0.1.0 40e80a4f1" in printed
    assert f"slower {CASE}, 2026-11-03T00:00:00Z, 0.1.0 40e80a4f1: 1.10" in printed
    assert call(monkeypatch, "history", "--build-dir", tmp_path, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert [point["change"] for point in value["courses"][0]["points"]][2] == "slower"


def test_history_of_nothing_and_of_an_unknown_model_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "history", "--build-dir", tmp_path) == 2
    assert "no benchmark record in" in capsys.readouterr().err
    store(tmp_path / "m" / "bench" / "1.json", make_record())
    assert call(monkeypatch, "history", "mobilenet_v1_0.25_129", "--build-dir", tmp_path) == 2
    assert "did you mean mobilenet_v1_0.25_128?" in capsys.readouterr().err
