"""Records of baselines: what they conclude, and that they come back from disk as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_bench.baseline.attempt import EngineOutcome
from device_bench.baseline.record import load_baseline
from device_bench.baseline.summary import Knee
from device_bench.record_file import save_record
from models.errors import UsageError
from tests.device_bench.baseline import values


def outcome(**changes: object) -> EngineOutcome:
    given = {
        "engine": "onnxruntime-cpu", "precision": "float32", "taken": True, "reason": None, "failure_kind": None,
        "placement": values.placement(), "versions": {"onnxruntime": "1"}, "check": values.check(),
    }  # fmt: skip
    return EngineOutcome(**given | changes)  # type: ignore[arg-type]


def test_a_record_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    full = values.record(
        cases=[values.case()],
        engines=[outcome(), outcome(engine="onnxruntime-cuda", taken=False, reason="no", placement=None, check=None)],
        knees=[Knee(engine="onnxruntime-cpu", precision="float32", batch=4, images_per_s=10.0, reason="flat")],
        attempts=[values.attempt(), values.attempt(measured=None, failure="it died", failure_kind="crashed")],
    )
    save_record(tmp_path / "a.json", full)
    again = load_baseline(tmp_path / "a.json")
    assert again == full
    assert again.to_json() == full.to_json()


def test_a_summary_is_the_median_of_the_processes_and_says_where_it_was_measured() -> None:
    attempts = [values.attempt(round=turn, measured=values.measured(us)) for turn, us in enumerate((100.0, 140.0))]
    full = values.record(cases=[values.case(batch=4)], attempts=attempts)
    for index, attempt in enumerate(attempts):
        full.attempts[index] = values.attempt(case="onnxruntime-cpu-float32-b4", measured=attempt.measured)
    (summary,) = full.summaries()
    assert summary.latency is not None
    assert summary.latency.median_us == 120.0
    assert summary.images_per_s == pytest.approx(4 / 120e-6)
    assert summary.label == "CPU AMD EPYC, onnxruntime-cpu, float32, batch 4"
    assert summary.phases["copy_in"] is None
    assert full.passed


def test_processes_on_different_devices_are_not_labelled_as_either() -> None:
    attempts = [values.attempt(), values.attempt(placement=values.on_gpu())]
    (summary,) = values.record(cases=[values.case()], attempts=attempts).summaries()
    assert summary.accelerator is None
    assert summary.label.startswith("unproven device")


def test_the_gpu_s_name_stands_in_the_label_only_where_the_gpu_computed() -> None:
    full = values.record(cases=[values.case()], attempts=[values.attempt(placement=values.on_gpu())] * 2)
    full.target = {**full.target, "gpu": {"name": "NVIDIA T4"}}
    assert full.summaries()[0].label.startswith("GPU NVIDIA T4, ")
    full.attempts = [values.attempt()] * 2
    assert full.summaries()[0].label.startswith("CPU AMD EPYC, ")


def test_without_compute_the_end_to_end_time_stands_for_the_case() -> None:
    attempts = [values.attempt(measured=values.measured(None, 150.0))] * 2
    (summary,) = values.record(cases=[values.case()], attempts=attempts).summaries()
    assert summary.headline == "end_to_end"
    assert summary.latency is not None
    assert summary.latency.median_us == 150.0


def test_too_few_processes_and_failed_ones_make_a_case_invalid() -> None:
    few = values.record(cases=[values.case()], attempts=[values.attempt()])
    assert few.case_failure(values.case().name) == "1 of 2 processes gave a result"
    assert not few.passed
    wrong = values.attempt(failure="wrong numbers: off", failure_kind="wrong")
    bad = values.record(cases=[values.case()], attempts=[values.attempt(), values.attempt(), wrong])
    assert bad.case_failure(values.case().name) == "wrong numbers: off"
    assert bad.wrong


def test_sweeps_do_not_count_as_results() -> None:
    full = values.record(cases=[values.case()], attempts=[values.attempt(kind="sweep")] * 5)
    assert full.summaries()[0].latency is None


def test_what_is_no_baseline_is_refused_with_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    value = values.record(cases=[values.case()], attempts=[values.attempt()]).to_json()
    for broken in (
        "[]", "{", json.dumps({**value, "schema": 99}), json.dumps({**value, "kind": "bench"}),
        json.dumps(value).replace("[99.0, 100.0, 101.0]", "[99.0, 0.0]"),
        json.dumps(value).replace("[99.0, 100.0, 101.0]", "[NaN]"),
        json.dumps(value).replace("[99.0, 100.0, 101.0]", "[]"),
    ):  # fmt: skip
        path.write_text(broken, "utf-8")
        with pytest.raises(UsageError, match=r"is no baseline of this program .*; measure again"):
            load_baseline(path)
