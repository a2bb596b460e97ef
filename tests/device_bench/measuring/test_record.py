"""Records: what counts as a result, what is believed, and what is found again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.measuring.attempt import Attempt
from device_bench.measuring.correctness import OutputCheck
from device_bench.measuring.plan import Job
from device_bench.measuring.record import BenchRecord, check_name, load_record
from device_bench.record_file import save_record
from device_bench.result import RunnerOutput
from models.errors import UsageError
from tests.device_bench.cases import make_case, make_output, make_plan

CASE = make_case().name


def make_attempt(turn: int = 0, median_us: float = 2000.0, **changes: object) -> Attempt:
    value = {
        "job": Job(case=CASE, kind="latency", round=turn), "number": 1, "started": "2026-11-21T12:00:00Z",
        "argv": ("benchmark_model", "--graph=m"), "environment": {}, "allowed_cpus": None, "exit_code": 0,
        "wall_s": 2.0, "harness_s": 0.1, "raw": "x/latency-0", "output": make_output(median_us), "failure": None,
        "transient": False, "elsewhere": False, "throttled": (), "gate": "cool", "telemetry": {},
    }  # fmt: skip
    return Attempt(**{**value, **changes})  # type: ignore[arg-type]


def make_record(*attempts: Attempt, **changes: object) -> BenchRecord:
    value = {
        "started": "2026-11-21T12:00:00Z", "model": {"name": "m"}, "target": {"identity": "1f0c9a2b" * 2}, "tool": {},
        "runners": (), "plan": make_plan(), "attempts": list(attempts),
    }  # fmt: skip
    return BenchRecord(**{**value, **changes})  # type: ignore[arg-type]


def make_check(failure: str | None = None) -> OutputCheck:
    return OutputCheck(
        images=8, kernels="xnnpack", max_abs_error=0.0, equal=1.0, top1_agreement=1.0, limit=0.01, reason="because",
        failure=failure,
    )  # fmt: skip


FIVE = tuple(make_attempt(turn, 2000.0 + 10 * turn) for turn in range(5))


def test_five_processes_make_a_result() -> None:
    record = make_record(*FIVE)
    (summary,) = record.summaries()
    assert record.passed
    assert summary.failure is None
    assert summary.latency is not None
    assert (summary.latency.processes, summary.latency.median_us, summary.statistic) == (5, 2020.0, "median")
    assert (summary.init_us, summary.p95_us) == (5000.0, 2028.0)


def test_four_processes_are_no_result_and_say_so() -> None:
    record = make_record(*FIVE[:4])
    assert not record.passed
    assert record.case_failure(CASE) == "4 of 5 processes gave a result"


def test_a_lost_connection_is_tried_again_and_the_failure_is_kept() -> None:
    lost = make_attempt(4, output=None, failure="connection lost", transient=True, exit_code=None)
    record = make_record(*FIVE[:4], lost)
    assert not record.is_done(lost.job)
    assert record.case_failure(CASE) == "4 of 5 processes gave a result: connection lost"
    record.attempts.append(make_attempt(4, number=2))
    assert record.is_done(lost.job)
    assert record.passed
    assert len(record.attempts) == 6


def test_a_program_that_fails_is_not_tried_again_and_spoils_its_case() -> None:
    died = make_attempt(4, output=None, failure="the command was ended by SIGILL (exit code 132)", exit_code=132)
    record = make_record(*FIVE[:4], died)
    assert record.is_done(died.job)
    assert record.case_failure(CASE) == "the command was ended by SIGILL (exit code 132)"


def test_numbers_that_ran_elsewhere_than_asked_for_are_not_used() -> None:
    fallen = [replace(attempt, failure="asked for gpu, ran on the CPU") for attempt in FIVE]
    (summary,) = make_record(*fallen).summaries()
    assert summary.latency is None
    assert summary.failure == "asked for gpu, ran on the CPU"


def test_wrong_outputs_condemn_good_latencies() -> None:
    name = check_name("classic", make_case().model.file, "cpu")
    record = make_record(*FIVE, checks={name: make_check("a probability differs by 0.4")})
    assert record.case_failure(CASE) == "wrong numbers: a probability differs by 0.4"
    assert record.disagrees
    assert not record.passed


def test_a_runner_that_prints_no_median_is_summarised_by_its_mean_and_says_so() -> None:
    attempts = [make_attempt(turn, output=make_output(1000.0 + turn, median=False)) for turn in range(5)]
    (summary,) = make_record(*attempts).summaries()
    assert summary.latency is not None
    assert (summary.statistic, summary.latency.median_us) == ("mean", 1002.0)


def with_samples(*samples_us: float) -> RunnerOutput:
    output = make_output(2000.0)
    return replace(output, measured=replace(output.measured, samples_us=samples_us, missing={}))


def test_timed_runs_that_are_still_warm_up_are_left_out_and_counted() -> None:
    samples = (*[3000.0] * 20, *[2000.0 + at % 5 for at in range(80)])
    warming = make_attempt(2, output=with_samples(*samples))
    record = make_record(*FIVE[:2], warming, *FIVE[3:])
    # The runner's own median is 2000; of the 80 steady runs it is 2002.
    assert record.latencies(CASE) == ("median", {0: 2000.0, 1: 2010.0, 2: 2002.0, 3: 2030.0, 4: 2040.0})
    assert record.summaries()[0].warming == 1
    assert make_record(*FIVE).summaries()[0].warming == 0


def test_outlying_runs_are_counted_where_runs_are_known() -> None:
    spiked = tuple(make_attempt(turn, output=with_samples(*[2000.0] * 49, 9000.0)) for turn in range(5))
    assert make_record(*spiked).summaries()[0].outlying == pytest.approx(0.02)
    assert make_record(*FIVE).summaries()[0].outlying is None
    assert make_record(*FIVE).samples(CASE) is None
    assert [len(runs) for runs in make_record(*spiked).samples(CASE) or ()] == [50] * 5


def test_twins_are_compared_round_by_round_and_are_no_part_of_the_result() -> None:
    twins = [make_attempt(turn, 1.02 * (2000.0 + 10 * turn), job=Job(case=CASE, kind="twin", round=turn))
             for turn in reversed(range(5))]  # fmt: skip
    record = make_record(*FIVE, *twins, plan=make_plan(aa=True))
    found = record.twins()
    assert found is not None
    assert (found.ratio, found.low, found.high) == pytest.approx((1.02, 1.02, 1.02))
    assert record.summaries() == make_record(*FIVE).summaries()
    assert make_record(*FIVE, *twins[1:], plan=make_plan(aa=True)).twins() is None
    assert make_record(*FIVE).twins() is None


def test_peak_memory_comes_from_the_memory_pass_only() -> None:
    memory = make_attempt(0, job=Job(case=CASE, kind="memory", round=0))
    assert make_record(*FIVE).summaries()[0].peak_rss_bytes is None
    assert make_record(*FIVE, memory).summaries()[0].peak_rss_bytes == 9_000_000


def test_one_throttled_process_marks_the_case() -> None:
    warm = make_attempt(2, throttled=("thermal status rose from 0 to 2",))
    assert make_record(*FIVE[:2], warm, *FIVE[3:]).summaries()[0].throttled


def test_a_sustained_run_tells_start_from_steady_state() -> None:
    slow = [
        make_attempt(
            turn, 2000.0 if turn < 3 else 3000.0, job=Job(case=CASE, kind="sustained", round=turn),
            telemetry={"elapsed_s": 10.0 * turn},
        )
        for turn in range(12)
    ]  # fmt: skip
    found = make_record(*FIVE, *slow).summaries()[0].sustained
    assert found is not None
    assert (found.start_us, found.steady_us) == (2000.0, 3000.0)


def test_a_record_survives_json(tmp_path: Path) -> None:
    lost = make_attempt(9, output=None, failure="lost", transient=True, exit_code=None)
    name = check_name("classic", make_case().model.file, "cpu")
    record = make_record(*FIVE, lost, checks={name: make_check(), "litert gpu x": "takes no inputs"})
    path = tmp_path / "a.json"
    save_record(path, record)
    assert load_record(path) == record
    assert json.loads(path.read_text("utf-8"))["summaries"][0]["latency"]["median_us"] == 2020.0


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"schema": 2}', '{"schema": 1}', "\x00", '{"schema": 1, "a": NaN}']
)
def test_what_is_no_record_is_bad_input(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match="is no benchmark record of this program"):
        load_record(path)
