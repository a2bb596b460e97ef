"""Which measurement counts, what is compared with what, and what is told of failures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.measuring.attempt import Attempt
from device_bench.report.assemble import mark_fronts
from device_bench.report.tables import result_cells
from device_bench.report.values import Report, Result
from device_bench.stats import spread
from tests.device_bench.report.builds import (
    LATENCY_US,
    MODEL,
    TOP1,
    add_baseline,
    add_bench,
    add_export,
    attempts_of,
    cases_of,
    change_json,
    folder_of,
    full_build,
    int8_bench,
    make_artifact,
    make_bench,
    make_target,
    report_of,
)


def by_precision(report: Report) -> dict[str, Result]:
    return {row.precision: row for row in report.results}


def make_result(name: str, device: str, us: float, size: int) -> Result:
    return Result(
        id=name, device=device, model="m", weights="w", file="f", format="tflite", precision="int8", sha256=name,
        size_bytes=size, known_file=True, case=name, runner="classic", runner_version="1", delegate="cpu", ran_on="cpu",
        threads=1, affinity="none", started="", system="", record="", statistic="median", latency=spread([us] * 5),
        p95_us=us, first_us=us, init_us=us, peak_rss_bytes=1, temperature_c=None, temperature_of=None, top1_device=None,
        throttled=False, failure=None, missing={}, against_desktop=None, against_float32=None, processes=(),
        operators=None, front=False,
    )  # fmt: skip


def lost(attempts: list[Attempt]) -> list[Attempt]:
    return [
        replace(a, output=None, failure="connection lost", transient=True, exit_code=None)
        for a in attempts
        if a.job.kind == "latency"
    ]


def test_a_result_says_everything_that_was_measured_and_under_what_conditions(tmp_path: Path) -> None:
    report = report_of(full_build(tmp_path))
    result = by_precision(report)["int8"]
    assert result.latency is not None
    assert result.latency.median_us == LATENCY_US["int8"] * 1.01
    assert result.p95_us == pytest.approx(LATENCY_US["int8"] * 1.01 * 1.05)
    assert result.first_us == pytest.approx(LATENCY_US["int8"] * 1.01 * 2)
    assert result.init_us == 5000.0
    assert result.peak_rss_bytes == 50 * 2**20
    assert (result.temperature_of, result.temperature_c) == ("skin", (31.0, 35.5))
    assert (result.runner, result.runner_version, result.threads, result.system) == ("classic", "2.19", 1, "Android 15")
    assert (result.ran_on, result.failure) == ("xnnpack in part 60 of 66 nodes", None)
    assert set(result.missing) == {"top1_device"}
    artifact = report.artifact(result)
    assert artifact is not None
    assert artifact.top1 == TOP1["int8"]


def test_every_process_is_kept_with_its_moment_and_its_warmth(tmp_path: Path) -> None:
    result = by_precision(report_of(full_build(tmp_path)))["int8"]
    assert [p.elapsed_s for p in result.processes] == [0.0, 60.0, 120.0, 180.0, 240.0]
    assert [p.temperature_c for p in result.processes] == [31.5, 32.5, 33.5, 34.5, 35.5]
    first = result.processes[0]
    assert first.quartiles_us is not None
    assert first.quartiles_us[1] == pytest.approx(LATENCY_US["int8"])
    assert (first.kind, first.runs) == ("latency", 35)


def test_a_process_is_charted_by_the_runs_that_its_result_counts(tmp_path: Path) -> None:
    cases = cases_of(MODEL, ["int8"])
    base = LATENCY_US["int8"]
    runs = tuple([base * 3] * 10 + [base * (1 + 0.002 * (turn % 7 - 3)) for turn in range(50)])
    attempts = []
    for attempt in attempts_of(cases[0]):
        assert attempt.output is not None
        latency = replace(attempt.output.measured.latency, median_us=base * 1.5, p95_us=base * 3, max_us=base * 3)
        measured = replace(attempt.output.measured, samples_us=runs, latency=latency)
        attempts.append(replace(attempt, output=replace(attempt.output, measured=measured)))
    add_bench(tmp_path, make_bench(cases, attempts))
    (result,) = report_of(tmp_path).results
    assert result.latency is not None
    for process in result.processes:
        assert process.quartiles_us is not None
        assert process.value_us == process.quartiles_us[1] == result.latency.median_us == base
        assert (process.p95_us, process.runs) == (result.p95_us, 50)
        assert process.max_us == pytest.approx(base * 1.006)


def test_operators_outside_the_delegate_are_marked_as_fallen_back(tmp_path: Path) -> None:
    operators = by_precision(report_of(full_build(tmp_path)))["int8"].operators
    assert operators is not None
    assert {op.name: op.fallback for op in operators} == {"Convolution (NHWC, QS8) IGEMM": False, "SOFTMAX": True}


def test_without_percentiles_p95_is_unknown_with_the_runner_s_reason(tmp_path: Path) -> None:
    cases = cases_of(MODEL, ["int8"])
    add_bench(tmp_path, make_bench(cases, attempts_of(cases[0], p95=False, samples=False)))
    (result,) = report_of(tmp_path).results
    assert result.p95_us is None
    assert result.missing["p95_us"] == "this build prints no percentiles"
    assert result.processes[0].quartiles_us is None


def test_the_speed_up_against_float32_is_paired_by_rounds(tmp_path: Path) -> None:
    results = by_precision(report_of(full_build(tmp_path)))
    assert results["float32"].against_float32 is None
    speedup = results["int8"].against_float32
    assert speedup is not None
    assert speedup.low is not None
    assert speedup.high is not None
    assert speedup.ratio == pytest.approx(40 / 15)
    assert speedup.low <= speedup.ratio <= speedup.high
    assert (speedup.verdict, speedup.note) == ("faster", "paired by rounds")


def test_float32_of_another_benchmark_makes_no_pairs(tmp_path: Path) -> None:
    for name, precision in (("a", "float32"), ("b", "int8")):
        cases = cases_of(MODEL, [precision])
        add_bench(tmp_path, make_bench(cases, attempts_of(cases[0])), name=name)
    speedup = by_precision(report_of(tmp_path))["int8"].against_float32
    assert speedup is not None
    assert speedup.note == "measured at different times"
    assert speedup.low is not None
    assert speedup.low < 40 / 15 < (speedup.high or 0)


def test_other_threads_runners_or_delegates_are_not_compared_with(tmp_path: Path) -> None:
    cases = [*cases_of(MODEL, ["float32"], threads=4), *cases_of(MODEL, ["int8"])]
    add_bench(tmp_path, make_bench(cases, [a for case in cases for a in attempts_of(case)]))
    row = by_precision(report_of(tmp_path))["int8"]
    assert row.against_float32 is None
    assert row.missing["against_float32"] == "float32 was measured under other conditions: threads: 4 against 1"


def test_the_speed_up_against_the_desktop_names_the_engine_and_its_precision(tmp_path: Path) -> None:
    speedup = by_precision(report_of(full_build(tmp_path)))["int8"].against_desktop
    assert speedup is not None
    assert speedup.against == "GPU NVIDIA T4, onnxruntime-cuda, float32, compute only"
    assert speedup.ratio == pytest.approx(2002 / 15150, rel=0.02)
    assert speedup.low is not None
    assert speedup.verdict == "slower"


def test_a_desktop_without_gpu_is_labelled_cpu_beside_every_ratio(tmp_path: Path) -> None:
    add_export(tmp_path)
    add_bench(tmp_path)
    add_baseline(tmp_path, gpu=False)
    speedup = by_precision(report_of(tmp_path))["int8"].against_desktop
    assert speedup is not None
    assert speedup.against.startswith("CPU AMD EPYC, onnxruntime-cpu")


def test_a_gpu_is_preferred_to_a_newer_cpu_baseline(tmp_path: Path) -> None:
    full_build(tmp_path)
    add_baseline(tmp_path, gpu=False, name="two")
    report = report_of(tmp_path)
    assert [(row.accelerator, row.reference) for row in report.baselines] == [("gpu", True), ("cpu", False)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"finished": None}, "killed, or still running: 5 processes ended; make baseline measures again"),
        ({"finished": None, "repeats": 9}, "killed, or still running: 5 processes ended; make baseline measures again"),
        ({"failure": "out of memory"}, "out of memory"),
    ],
)
def test_a_baseline_that_was_cut_off_or_failed_displaces_no_older_one(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    full_build(tmp_path)
    add_baseline(tmp_path, name="two", started="2026-11-22T12:00:00Z", **changes)
    report = report_of(tmp_path)
    assert [(row.started, row.reference) for row in report.baselines if row.failure is None] == [
        ("2026-11-21T12:00:00Z", True)
    ]
    assert by_precision(report)["int8"].against_desktop is not None
    assert told in [problem.why for problem in report.problems]


def test_a_baseline_that_was_cut_off_hides_no_failure_of_the_one_in_force(tmp_path: Path) -> None:
    add_baseline(tmp_path)
    change_json(folder_of(tmp_path) / "baseline" / "one.json", lambda v: v.update(failure="the disk was full"))
    add_baseline(tmp_path, name="two", started="2026-11-22T12:00:00Z", finished=None)
    first, second = (problem.why for problem in report_of(tmp_path).problems)
    assert first == "the disk was full"
    assert second.startswith("killed, or still running")


def test_a_baseline_that_was_cut_off_is_told_of_as_such(tmp_path: Path) -> None:
    add_baseline(tmp_path, finished=None)
    (problem,) = report_of(tmp_path).problems
    assert problem.what == "baseline ended early"


def test_too_few_processes_give_a_ratio_without_interval_and_say_so(tmp_path: Path) -> None:
    cases = cases_of(MODEL, ["float32", "int8"])
    attempts = [a for case in cases for a in attempts_of(case, rounds=1)]
    record = make_bench(cases, attempts)
    record.plan = replace(record.plan, repeats=1)
    add_bench(tmp_path, record)
    add_baseline(tmp_path)
    row = by_precision(report_of(tmp_path))["int8"]
    assert row.against_float32 is not None
    assert row.against_desktop is not None
    assert (row.against_float32.low, row.against_float32.verdict) == (None, None)
    assert "no interval" in row.against_float32.note
    assert "at least 4 each" in row.against_desktop.note


def test_the_newest_measurement_counts_and_the_older_is_history(tmp_path: Path) -> None:
    add_bench(tmp_path)
    cases = cases_of(MODEL, ["int8"])
    newer = make_bench(cases, attempts_of(cases[0], 0.5), started="2026-11-22T12:00:00Z")
    add_bench(tmp_path, newer, name="two")
    report = report_of(tmp_path)
    row = by_precision(report)["int8"]
    assert row.started == "2026-11-22T12:00:00Z"
    (old,) = report.history
    assert (old.id, old.started) == (row.id, "2026-11-21T12:00:00Z")


def test_a_newer_failure_replaces_an_older_success(tmp_path: Path) -> None:
    add_bench(tmp_path)
    cases = cases_of(MODEL, ["int8"])
    wrong = [replace(a, failure="crashed") for a in attempts_of(cases[0])]
    add_bench(tmp_path, make_bench(cases, wrong, started="2026-11-22T12:00:00Z"), name="two")
    assert by_precision(report_of(tmp_path))["int8"].failure == "crashed"


def test_a_newer_benchmark_whose_connection_failed_at_once_hides_nothing(tmp_path: Path) -> None:
    add_bench(tmp_path)
    cases = cases_of(MODEL, ["int8"])
    record = make_bench(cases, lost(attempts_of(cases[0])), started="2026-11-22T12:00:00Z", failure="unplugged")
    add_bench(tmp_path, record, name="two")
    report = report_of(tmp_path)
    assert by_precision(report)["int8"].failure is None
    assert [p.why for p in report.problems if p.what == "benchmark ended early"] == ["unplugged"]


def test_what_failed_and_was_measured_again_since_is_no_problem_any_more(tmp_path: Path) -> None:
    cases = cases_of(MODEL, ["int8"])
    wrong = [replace(a, failure="crashed") for a in attempts_of(cases[0])]
    add_bench(tmp_path, make_bench(cases, wrong), name="one")
    assert [p.why for p in report_of(tmp_path).problems] == ["crashed"]
    add_bench(tmp_path, make_bench(cases, attempts_of(cases[0]), started="2026-11-22T12:00:00Z"), name="two")
    report = report_of(tmp_path)
    assert report.problems == ()
    assert [old.failure for old in report.history] == ["crashed"]


def test_of_two_unfinished_benchmarks_the_newer_counts(tmp_path: Path) -> None:
    for day, rounds in ((21, 1), (22, 3)):
        begun = int8_bench(rounds=rounds, started=f"2026-11-{day}T12:00:00Z")
        add_bench(tmp_path, begun, name=str(day))
    assert report_of(tmp_path).results[0].failure == "3 of 5 processes gave a result"


def test_an_unfinished_benchmark_hides_no_older_result_but_shows_where_there_is_none(tmp_path: Path) -> None:
    begun = int8_bench(rounds=2, started="2026-11-22T12:00:00Z", finished=None)
    add_bench(tmp_path, begun, name="two")
    (row,) = report_of(tmp_path).results
    assert row.failure == "2 of 5 processes gave a result"
    add_bench(tmp_path)
    report = report_of(tmp_path)
    assert by_precision(report)["int8"].failure is None
    assert [(old.started, old.failure) for old in report.history] == [(begun.started, row.failure)]


def test_a_record_of_another_file_has_no_accuracy(tmp_path: Path) -> None:
    full_build(tmp_path)

    def another(value: dict[str, Any]) -> None:
        value["plan"]["cases"][2]["model"]["sha256"] = "9" * 64

    change_json(folder_of(tmp_path) / "bench" / "one.json", another)
    report = report_of(tmp_path)
    row = by_precision(report)["int8"]
    assert not row.known_file
    assert report.artifact(row) is None
    assert not row.front


def test_a_baseline_of_other_weights_is_not_compared_with_and_the_reason_is_told(tmp_path: Path) -> None:
    add_bench(tmp_path)
    origin = {"name": MODEL, "weights": "digits", "weights_sha256": "b" * 64}
    add_baseline(tmp_path, model=MODEL, name="two", origin=origin)
    row = by_precision(report_of(tmp_path))["int8"]
    assert row.against_desktop is None
    assert row.missing["against_desktop"] == (
        "the desktop baseline is of other weights (bbbbbbbb) than were measured here (aaaaaaaa)"
    )
    add_baseline(tmp_path, started="2026-11-20T12:00:00Z")
    report = report_of(tmp_path)
    assert by_precision(report)["int8"].against_desktop is not None


def test_only_a_baseline_of_the_weights_that_are_exported_is_what_phones_are_compared_with(tmp_path: Path) -> None:
    full_build(tmp_path)
    origin = {"name": MODEL, "weights": "digits", "weights_sha256": "b" * 64}
    add_baseline(tmp_path, name="two", origin=origin, started="2026-11-22T12:00:00Z")
    report = report_of(tmp_path)
    assert [(row.started[:10], row.reference) for row in report.baselines] == [
        ("2026-11-21", True), ("2026-11-22", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": make_target(os_release="16")}, "os: Android 16 unknown against Android 15 unknown"),
        (
            {"runners": ({"name": "classic", "versions": {"tensorflow": "2.18"}, "sha256": "e" * 64},)},
            "runner: classic (unknown, sha256 eeeeeeeeeeee, tensorflow 2.18) against classic (unknown, sha256 ffffffff",
        ),
        ({"target": make_target() | {"cpus": {"usable": [{}]}}}, "cpus: Cortex-X3, 1 CPUs against Cortex-X3, unknown"),
        (
            {"settings_changed": ({"setting": "fixed_performance", "outcome": "accepted"},)},
            "mode: fixed performance against usual",
        ),
    ],
)
def test_float32_of_other_conditions_gives_no_ratio_but_the_reason(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    plain, int8 = cases_of(MODEL, ["float32"]), cases_of(MODEL, ["int8"])
    add_bench(tmp_path, make_bench(plain, attempts_of(plain[0]), **changes), name="a")
    add_bench(tmp_path, make_bench(int8, attempts_of(int8[0])), name="b")
    row = by_precision(report_of(tmp_path))["int8"]
    assert row.against_float32 is None
    assert row.missing["against_float32"].startswith(f"float32 was measured under other conditions: {said}")


def test_an_export_with_other_weights_is_not_compared_with_an_old_baseline(tmp_path: Path) -> None:
    add_export(tmp_path, weights={"source": "digits", "sha256": "b" * 64})
    add_bench(tmp_path)
    add_baseline(tmp_path)
    assert by_precision(report_of(tmp_path))["int8"].against_desktop is None


def test_what_failed_is_told_with_its_reason(tmp_path: Path) -> None:
    failed = make_artifact(MODEL, "int8", "mobilenet-int8.tflite", passed=False)
    add_export(tmp_path, precisions=[], artifacts=(failed,), failures={"tflite int16x8": "the converter refused"})
    (folder_of(tmp_path) / "mobilenet-int8.tflite").write_bytes(b"mobilenet_v2_1.4 int8")
    cases = cases_of(MODEL, ["int8"])
    record = make_bench(cases, [replace(a, failure="crashed") for a in attempts_of(cases[0])])
    record.plan = replace(record.plan, skipped=(("int8-gpu", "this runner has no GPU"),))
    record.checks = {"classic cpu mobilenet-int8.tflite": "no images"}
    add_bench(tmp_path, record)
    told = {(p.what, p.why) for p in report_of(tmp_path).problems}
    assert told == {
        ("not converted", "the converter refused"),
        ("artifact failed", "top1_drop: 0.2 against 0.02"),
        ("not measured", "this runner has no GPU"),
        ("failed", "crashed"),
        ("outputs not compared", "no images"),
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["model"].pop("weights"),
        lambda v: v["target"]["facts"].update(memory_total_bytes="much"),
        lambda v: v["target"].update(identity=["list"]) or v["plan"]["cases"][0]["model"].update(size_bytes="big"),
        lambda v: v["plan"]["cases"][0]["model"].update(size_bytes=float("nan")),
        lambda v: v["attempts"][0]["output"]["measured"].update(first_us="soon"),
        lambda v: v["attempts"][0].update(started="yesterday"),
    ],
)  # fmt: skip
def test_a_record_whose_values_are_of_another_kind_is_listed_and_never_fatal(tmp_path: Path, change: Any) -> None:
    full_build(tmp_path)
    change_json(folder_of(tmp_path) / "bench" / "one.json", change)
    report = report_of(tmp_path)
    assert report.results == ()
    assert [(p.what, p.where) for p in report.problems] == [("unreadable file", f"{MODEL}-digits/bench/one.json")]
    assert len(report.baselines) == 1


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bench/one.json", lambda v: v["plan"].update(skipped=[["case", ["a list"]]])),
        ("bench/one.json", lambda v: v.update(failure=7)),
        ("baseline/one.json", lambda v: v.update(failure=7)),
        ("manifest.json", lambda v: v.update(failures={"tflite int8": 7})),
        ("manifest.json", lambda v: v.update(failures=7)),
    ],
)
def test_a_failure_that_is_no_text_is_told_as_such(tmp_path: Path, name: str, change: Any) -> None:
    full_build(tmp_path)
    change_json(folder_of(tmp_path) / name, change)
    (problem,) = report_of(tmp_path).problems
    assert problem.what == "unreadable file"
    assert re.search("not as this program writes it|is no manifest of this program", problem.why)


def test_emulated_devices_come_last_and_are_known_as_such(tmp_path: Path) -> None:
    for name, emulated in (("Aaa", True), ("Zzz", False)):
        target = make_target(name, identity=name * 5, is_emulator=emulated)
        add_bench(tmp_path, int8_bench(target=target), name=name)
    report = report_of(tmp_path)
    assert [(d.name, d.emulated) for d in report.devices] == [("Google Zzz", False), ("Google Aaa", True)]
    assert [report.device(r.device).name for r in report.results] == ["Google Zzz", "Google Aaa"]


def test_a_file_that_failed_its_checks_is_no_best_trade_off(tmp_path: Path) -> None:
    failed = make_artifact(MODEL, "int8", "mobilenet-int8.tflite", passed=False)
    others = [make_artifact(MODEL, name, f"mobilenet-{name}.tflite") for name in ("float32", "float16")]
    add_export(tmp_path, artifacts=(*others, failed))
    add_bench(tmp_path)
    report = report_of(tmp_path)
    assert {r.precision: r.front for r in report.results} == {"float32": False, "float16": True, "int8": False}
    told = {r.precision: result_cells(report, r)[-1].more for r in report.results}
    assert told == {"float32": "12:00", "float16": "12:00 · best trade-off", "int8": "12:00 · FAILED check"}


def test_the_front_holds_what_nothing_on_the_same_device_beats(tmp_path: Path) -> None:
    report = report_of(full_build(tmp_path))
    # float16 is as accurate as float32, smaller and faster; int8 is less accurate, smaller and faster still.
    assert {r.precision: r.front for r in report.results} == {"float32": False, "float16": True, "int8": True}


@given(
    points=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from((0.9, 0.95, 0.98)), st.integers(1, 5), st.integers(1, 4)),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_is_not_on_the_front_is_beaten_by_something_on_it(points: list[tuple[str, float, int, int]]) -> None:
    rows = tuple(make_result(str(n), device, float(us), size) for n, (device, _, us, size) in enumerate(points))
    accuracy = {str(n): top1 for n, (_, top1, _, _) in enumerate(points)}

    def at_least_as_good(one: Result, other: Result) -> bool:
        mine, theirs = points[int(one.id)], points[int(other.id)]
        return mine[0] == theirs[0] and mine[1] >= theirs[1] and mine[2] <= theirs[2] and mine[3] <= theirs[3]

    marked = mark_fronts(rows, accuracy)
    front = [row for row in marked if row.front]
    for row in marked:
        better = [f for f in front if at_least_as_good(f, row) and points[int(f.id)] != points[int(row.id)]]
        assert row.front != bool(better)


def test_equal_results_do_not_push_each_other_off_the_front(tmp_path: Path) -> None:
    row = by_precision(report_of(full_build(tmp_path)))["int8"]
    twins = (row, replace(row, id="twin"))
    assert [r.front for r in mark_fronts(twins, {row.sha256: 0.9})] == [True, True]


def test_the_model_asked_for_comes_first(tmp_path: Path) -> None:
    full_build(tmp_path)
    add_export(tmp_path, "a_model")
    assert [e.model for e in report_of(tmp_path).exports] == ["a_model", MODEL]
    assert [e.model for e in report_of(tmp_path, MODEL).exports] == [MODEL, "a_model"]
