"""Going on with a benchmark: with which one, and only where nothing has changed and nothing was made up."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.measuring.plan import Job
from device_bench.measuring.record import BenchRecord
from device_bench.measuring.resume import check_attempts, check_conditions, find_resumable
from device_bench.record_file import record_stem, save_record
from device_bench.recording import load_recording, parse_recording
from device_bench.result import RunnerOutput
from models.errors import UsageError
from tests.device_bench.cases import make_plan
from tests.device_bench.measuring.test_record import CASE, make_attempt, make_record

IDENTITY = "1f0c9a2b" * 2
RAW = Path(__file__).parents[2] / "golden" / "native_2.14_arm64" / "float32_plain"


def measured(folder: Path, **changes: object) -> tuple[Path, BenchRecord]:
    """A record of one process, with its raw output beside it."""
    path = folder / f"{record_stem('2026-11-21T11:00:00Z', 'Pixel 8', IDENTITY)}.json"
    raw = f"{path.stem}/latency-0"
    shutil.copytree(RAW, folder / raw)
    output = parse_recording(load_recording(folder / raw, folder))
    assert isinstance(output, RunnerOutput)
    return path, make_record(make_attempt(0, output=output, raw=raw), **changes)


def test_the_newest_record_of_the_same_target_and_plan_is_resumed(tmp_path: Path) -> None:
    def keep(stamp: str, **changes: object) -> Path:
        path = tmp_path / f"{record_stem(stamp, 'Pixel 8', IDENTITY)}.json"
        save_record(path, make_record(**changes))
        return path

    (tmp_path / f"20261121T090000Z-pixel_8-{IDENTITY[:8]}.json").write_text("{", "utf-8")
    keep("2026-11-21T10:00:00Z", finished="2026-11-21T10:10:00Z")
    wanted = keep("2026-11-21T11:00:00Z")
    keep("2026-11-21T12:00:00Z", plan=make_plan(repeats=7))
    keep("2026-11-21T12:30:00Z", plan=replace(make_plan(), stay_awake=True))
    keep("2026-11-21T13:00:00Z", target={"identity": "1f0c9a2b00000000"})
    found = find_resumable(tmp_path, IDENTITY, make_plan())
    assert found is not None
    assert found[0] == wanted
    assert find_resumable(tmp_path, "0" * 16, make_plan()) is None


def test_a_damaged_record_is_not_passed_over_for_an_older_one(tmp_path: Path) -> None:
    save_record(tmp_path / f"{record_stem('2026-11-21T10:00:00Z', 'Pixel 8', IDENTITY)}.json", make_record())
    (tmp_path / f"20261121T140000Z-pixel_8-{IDENTITY[:8]}.json").write_text("{", "utf-8")
    with pytest.raises(UsageError, match=r"20261121T140000Z.*move that file away, or leave --resume out"):
        find_resumable(tmp_path, IDENTITY, make_plan())


def test_what_the_raw_outputs_say_is_believed(tmp_path: Path) -> None:
    path, record = measured(tmp_path)
    check_attempts(record, path)


def test_an_edited_number_is_not(tmp_path: Path) -> None:
    path, record = measured(tmp_path)
    save_record(path, record)
    text = json.loads(path.read_text("utf-8"))
    latency = text["attempts"][0]["output"]["measured"]["latency"]
    latency["mean_us"] = latency["min_us"] = 1.0
    path.write_text(json.dumps(text), "utf-8")
    with pytest.raises(UsageError, match=r"holds numbers that are not in the raw output .*edited or damaged"):
        find_resumable(tmp_path, IDENTITY, make_plan())


@pytest.mark.parametrize("raw", ["../elsewhere", "/etc", "gone"])
def test_a_raw_output_that_is_elsewhere_or_gone_vouches_for_nothing(tmp_path: Path, raw: str) -> None:
    (tmp_path / "bench").mkdir()
    path, record = measured(tmp_path / "bench")
    shutil.copytree(RAW, tmp_path / "elsewhere")
    record.attempts = [replace(record.attempts[0], raw=raw)]
    with pytest.raises(UsageError, match="holds numbers that are not in the raw output"):
        check_attempts(record, path)


def test_a_process_that_was_not_planned_or_is_there_twice_is_refused(tmp_path: Path) -> None:
    path, record = measured(tmp_path)
    (attempt,) = record.attempts
    record.attempts = [attempt, attempt]
    with pytest.raises(UsageError, match="holds one process twice"):
        check_attempts(record, path)
    record.attempts = [replace(attempt, job=Job(case="\x1b[31mevil", kind="latency", round=0))]
    with pytest.raises(UsageError, match="holds a case that was not planned"):
        check_attempts(record, path)


def test_a_failure_needs_no_raw_output(tmp_path: Path) -> None:
    lost = make_attempt(0, output=None, failure="connection lost", transient=True, raw="gone")
    check_attempts(make_record(lost), tmp_path / "r.json")
    assert lost.job.case == CASE


def test_another_runner_or_an_updated_device_is_refused(tmp_path: Path) -> None:
    facts = {"os_name": "Android", "build_id": "A1", "kernel": "6.1", "memory_available_bytes": 1}
    record = make_record(target={"identity": IDENTITY, "facts": facts}, runners=({"name": "classic"},))
    check_conditions(record, tmp_path, [{"name": "classic"}], {**facts, "memory_available_bytes": 2})
    with pytest.raises(UsageError, match="was measured with another runner than is there now; leave --resume out"):
        check_conditions(record, tmp_path, [{"name": "litert"}], facts)
    with pytest.raises(UsageError, match="the device has another build_id than"):
        check_conditions(record, tmp_path, [{"name": "classic"}], {**facts, "build_id": "A2"})
