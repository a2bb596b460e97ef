"""Finding records: the newest of each, and what is none."""

import json
import os
from pathlib import Path

import pytest

from device_bench.comparing.records import find_stored, load_stored, newest
from models.errors import UsageError
from tests.device_bench.comparing.stored import make_record, rewrite, store, with_facts


def test_all_records_under_a_folder_are_found_oldest_first(tmp_path: Path) -> None:
    for name, started in (("m-a/bench/2", "2026-11-22"), ("m-b/bench/1", "2026-11-21"), ("m-a/bench/3", "2026-11-20")):
        store(tmp_path / f"{name}.json", make_record(None, started=started))
    (tmp_path / "m-a" / "manifest.json").write_text("{}")
    (tmp_path / "m-a" / "baseline").mkdir()
    (tmp_path / "m-a" / "baseline" / "x.json").write_text("{}")
    found, refused = find_stored(tmp_path)
    assert [row.record.started for row in found] == ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert refused == ()
    assert len(find_stored(tmp_path / "m-a")[0]) == 2
    assert len(find_stored(tmp_path / "m-a" / "bench")[0]) == 2


def test_the_newest_of_each_unit_and_model_is_taken(tmp_path: Path) -> None:
    for number, (unit, model) in enumerate([("a", "m"), ("b", "m"), ("a", "m"), ("a", "n")]):
        target = {**with_facts(), "identity": unit}
        store(tmp_path / f"{number}.json", make_record(None, started=str(number), target=target, model={"name": model}))
    found, _ = newest(tmp_path)
    assert {key: stored.path.stem for key, stored in found.items()} == {
        ("a", "m"): "2", ("b", "m"): "1", ("a", "n"): "3",
    }  # fmt: skip
    assert list(newest(tmp_path / "0.json")[0]) == [("a", "m")]


def test_what_is_no_record_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    store(tmp_path / "good.json", make_record())
    (tmp_path / "cut.json").write_text('{"schema": 1')
    found, refused = newest(tmp_path)
    assert len(found) == 1
    assert len(refused) == 1
    assert refused[0].startswith(f"{tmp_path}/cut.json is no benchmark record of this program")


@pytest.mark.parametrize("changes", [{"target": []}, {"model": "m"}, {"tool": None}, {"started": 5}, {"schema": 9}])
def test_forged_records_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    path = rewrite(store(tmp_path / "r.json", make_record()), **changes)
    with pytest.raises(UsageError, match=r"measure again$"):
        load_stored(path)


@pytest.mark.parametrize("facts", [{}, [], {"model": ["x"], "soc_model": {"a": 1}, "os_name": 5}, "text"], ids=str)
def test_a_record_that_tells_little_still_has_a_title(tmp_path: Path, facts: object) -> None:
    path = store(tmp_path / "r.json", make_record())
    value = json.loads(path.read_text())
    rewrite(path, target={**value["target"], "facts": facts}, tool={})
    assert "2026-11-20T12:00:00Z, unknown" in load_stored(path).title


def test_latencies_of_an_emulator_are_called_what_they_are(tmp_path: Path) -> None:
    path = store(tmp_path / "r.json", make_record(None, target=with_facts(is_emulator=True)))
    assert load_stored(path).title.endswith(", EMULATED: latencies mean nothing")


def test_a_version_with_changes_bears_a_plus() -> None:
    from device_bench.comparing.records import Stored

    tool = {"version": "0.1.0", "commit": "a" * 40, "dirty": True}
    assert Stored(path=Path("r"), record=make_record(None, tool=tool)).version == "0.1.0 aaaaaaaaa+"


def test_no_folder_and_no_records_are_errors_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^there is no folder .*/none; name a record, a folder of records, or build/$"
    ):
        newest(tmp_path / "none")
    with pytest.raises(UsageError, match=r"^no benchmark record in .*; `make bench MODEL=\.\.\.` makes one$"):
        newest(tmp_path)
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(UsageError, match=r"^no benchmark record in .*: .*x\.json is no benchmark record"):
        newest(tmp_path)


@pytest.mark.parametrize("mark", [{"kind": "report"}, {}])
def test_a_report_beside_the_records_is_no_damaged_record(tmp_path: Path, mark: dict[str, str]) -> None:
    store(tmp_path / "good.json", make_record())
    parts = dict.fromkeys(("made", "focus", "devices", "exports", "results", "baselines", "problems", "history"))
    (tmp_path / "report.json").write_text(json.dumps({"schema": 1, **parts, **mark}))
    (tmp_path / "odd.json").write_text('{"schema": 1, "kind": "baseline"}')
    found, refused = find_stored(tmp_path)
    assert len(found) == 1
    assert [text.split(" ", 1)[0] for text in refused] == [f"{tmp_path}/odd.json"]


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    store(tmp_path / "good.json", make_record())
    path = tmp_path / "odd.json"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    found, refused = find_stored(tmp_path)
    assert len(found) == 1
    assert refused == (f"{path} is no regular file; move it elsewhere",)
    with pytest.raises(UsageError, match=r"odd\.json is no regular file; move it elsewhere$"):
        newest(path)
