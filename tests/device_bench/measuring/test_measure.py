"""Running a plan: every process is recorded, faults are told apart, and an interrupted benchmark goes on."""

# ruff: noqa: ARG001, ARG002 - fakes take what the real ones take

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from device_bench.case import Case, Pass, RunSettings
from device_bench.measuring.artifacts import Exported, Pictures
from device_bench.measuring.check import DesktopOutputs
from device_bench.measuring.correctness import OutputCheck
from device_bench.measuring.measure import TRIES, Measurement
from device_bench.measuring.plan import Plan
from device_bench.measuring.record import BenchRecord, load_record
from device_bench.recording import find_recordings
from device_bench.result import RunnerOutput
from device_bench.runners.runner import RunnerInfo
from device_bench.state.thermal import Cooling, Limits, wait_until_cool
from device_bench.target import Command, Finished, Target
from export.artifact import Artifact, Manifest
from export.contents import TensorInfo
from models.errors import DeviceError, LinkError, RunnerOutputError
from models.zoo import lookup
from tests.device_bench.cases import make_case, make_output, make_plan

SPEC = lookup("mobilenet_v1_0.25_128")
INPUT = TensorInfo(name="image", dtype="uint8", shape=(1, 128, 128, 3), scale=1 / 127.5, zero_point=128)
OUTPUT = TensorInfo(name="probabilities", dtype="uint8", shape=(1, 10), scale=1 / 256, zero_point=0)
ANSWERS = np.eye(10, dtype=np.uint8)[np.arange(8)] * 200 + 5


INFO = RunnerInfo(
    name="classic", flavour="classic", path="/x/benchmark_model", sha256="0" * 64, versions={}, flags=("use_xnnpack",),
    source="given",
)  # fmt: skip


@dataclass
class FakeTarget:
    """A phone whose programs end as the test says; shell scripts see this machine."""

    behave: Callable[[int], Finished] = lambda _: Finished(stdout=b"ok\n", stderr=b"", exit_code=0, wall_s=0.5)
    name: str = "phone"
    identity: str = "1f0c9a2b1f0c9a2b"
    calls: int = 0
    recoveries: int = 0
    pushed: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)

    def shell(self, script: str, *, timeout_s: float = 15.0) -> Finished:
        self.scripts.append(script)
        if script.startswith(("mkdir", "rm ")):
            return Finished(stdout=b"", stderr=b"", exit_code=0, wall_s=0.0)
        run = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
        return Finished(stdout=run.stdout, stderr=run.stderr, exit_code=run.returncode, wall_s=0.0)

    def execute(self, command: Command, folder: str, *, timeout_s: float) -> Finished:
        self.calls += 1
        return self.behave(self.calls)

    def shielded(self) -> AbstractContextManager[object]:
        return nullcontext()

    def recover(self) -> None:
        self.recoveries += 1

    def push(self, local: Path, remote: str, *, executable: bool = False) -> None:
        self.pushed.append(remote)

    def pull(self, remote: str, local: Path, *, largest_bytes: int = 0) -> None:
        local.write_bytes(b"result")

    @contextmanager
    def session(self) -> Iterator[str]:
        yield "/run"


@dataclass
class FakeRunner:
    """Reads exit code 0 as 2 ms, any other as a failure."""

    outputs: NDArray[Any] | None = field(default_factory=lambda: ANSWERS)
    delegate: str = "xnnpack"
    verdict: str = "full"
    info: RunnerInfo = field(default_factory=lambda: INFO)

    def refuses(self, case: Case, kind: Pass) -> str | None:
        return None

    def command(self, case: Case, kind: Pass, settings: RunSettings, model: str, folder: str) -> Command:
        return Command(argv=("benchmark_model", f"--graph={model}", f"--num_threads={case.threads}"))

    def result_files(self, kind: Pass) -> tuple[str, ...]:
        return ("result.pb",) if kind == "latency" else ()

    def read(self, case: Case, kind: Pass, finished: Finished, files: Path, command: Command) -> RunnerOutput:
        if finished.exit_code:
            raise RunnerOutputError(f"the command failed (exit code {finished.exit_code})")
        return make_output(2000.0, delegate=self.delegate, verdict=self.verdict)

    def compute(
        self, target: Target, case: Case, model: str, inputs: NDArray[Any], folder: str, *, timeout_s: float
    ) -> NDArray[np.generic] | None:
        return None if self.outputs is None else self.outputs[: len(inputs)]


@pytest.fixture(scope="module")
def look() -> Cooling:
    """What this machine tells of its heat."""
    return wait_until_cool(FakeTarget(), Limits(), patience_s=0.0, report=lambda _: None)


@pytest.fixture(autouse=True)
def looks(look: Cooling, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One real look for all tests: it takes a tenth of a second. Collects how patient each call was."""
    calls: list[float] = []

    def wait(*_: object, patience_s: float, **__: object) -> Cooling:
        calls.append(patience_s)
        return look

    monkeypatch.setattr("device_bench.measuring.measure.wait_until_cool", wait)
    return calls


def make_exported(folder: Path, plan: Plan) -> Exported:
    models = {case.model.file: case.model for case in plan.cases}.values()
    artifacts = tuple(
        Artifact(
            file=model.file, format=model.format, precision=model.precision, size_bytes=1, sha256=model.sha256,
            source_sha256="", input=INPUT, output=OUTPUT, operators={}, weights={}, verification=None, failure="none",
        )
        for model in models
    )  # fmt: skip
    manifest = Manifest(
        model={"name": SPEC.name}, weights={"source": "digits"}, preprocessing={}, labels={}, calibration={}, tools={},
        artifacts=artifacts, failures={},
    )  # fmt: skip
    return Exported(folder=folder, manifest=manifest, artifacts=artifacts)


def make_measurement(
    folder: Path, plan: Plan, target: FakeTarget, runner: FakeRunner, record: BenchRecord | None = None
) -> Measurement:
    exported = make_exported(folder, plan)
    pictures = Pictures(pixels=np.zeros((8, 128, 128, 3), np.uint8), classes=np.arange(8, dtype=np.int64))
    desktop = DesktopOutputs(
        exported=exported, preprocessing=SPEC.preprocessing, pictures=pictures, report=lambda _: None
    )
    for case in plan.cases:
        for kernels in ("xnnpack", "gpu"):
            desktop._known[case.model.file, kernels] = ANSWERS  # noqa: SLF001 - no TensorFlow here
    started = "2026-11-21T12:00:00Z"
    return Measurement(
        target=target, folder="/run", exported=exported, pictures=pictures, runners={"classic": runner},
        desktop=desktop, path=folder / "a.json", limits=Limits(), patience_s=9.0, fixed_performance=False,
        report=lambda _: None,
        record=record or BenchRecord(
            started=started, model={}, target={"identity": target.identity}, tool={}, runners=(), plan=plan
        ),
    )  # fmt: skip


def measure(folder: Path, plan: Plan, target: FakeTarget, runner: FakeRunner | None = None) -> BenchRecord:
    make_measurement(folder, plan, target, runner or FakeRunner()).run()
    return load_record(folder / "a.json")


def failing(exit_code: int) -> Finished:
    return Finished(stdout=b"", stderr=b"Illegal instruction\n", exit_code=exit_code, wall_s=0.1)


GOOD = Finished(stdout=b"ok\n", stderr=b"", exit_code=0, wall_s=0.5)


def test_everything_in_the_plan_is_measured_checked_and_kept(tmp_path: Path) -> None:
    plan = make_plan(make_case("int8"), make_case("float32"))
    target = FakeTarget()
    record = measure(tmp_path, plan, target)
    assert record.passed
    assert record.finished is not None
    assert len(record.attempts) == target.calls == 2 * (5 + 1 + 1)
    assert [summary.latency and summary.latency.processes for summary in record.summaries()] == [5, 5]
    assert all(isinstance(check, OutputCheck) and check.passed for check in record.checks.values())
    assert len(record.checks) == 2
    assert sorted(target.pushed) == ["/run/float32.tflite", "/run/int8.tflite"]


def test_raw_outputs_are_kept_as_recordings_that_parse_reads(tmp_path: Path) -> None:
    measure(tmp_path, make_plan(), FakeTarget())
    found = find_recordings(tmp_path / "a")
    assert len(found) == 7
    first = tmp_path / "a" / make_case().name / "latency-0"
    assert (first / "cmd").read_text("utf-8") == "benchmark_model --graph=/run/int8.tflite --num_threads=1\n"
    assert (first / "stdout").read_bytes() == b"ok\n"
    assert (first / "exit_code").read_text("ascii") == "0\n"
    assert (first / "result.pb").read_bytes() == b"result"


def test_folders_on_the_target_are_private_to_a_process_and_removed(tmp_path: Path) -> None:
    target = FakeTarget()
    measure(tmp_path, make_plan(), target)
    made = [script for script in target.scripts if script.startswith("mkdir")]
    removed = [script for script in target.scripts if script.startswith("rm -rf")]
    assert len(made) == len(set(made)) == len(removed) == 7


def test_a_program_that_dies_spoils_its_case_and_no_other(tmp_path: Path) -> None:
    plan = make_plan(make_case("int8"), make_case("float32"), memory=False, profile=False)
    first = plan.jobs()[0].case
    target = FakeTarget(behave=lambda call: failing(132) if call == 1 else GOOD)
    record = measure(tmp_path, plan, target)
    assert record.case_failure(first) == "the command failed (exit code 132)"
    assert sum(record.case_failure(case.name) is None for case in plan.cases) == 1
    assert target.calls == 1 + 5
    assert not record.passed
    assert not record.disagrees


def test_an_output_that_cannot_be_read_is_not_asked_for_again_as_it_came_whole(tmp_path: Path) -> None:
    class Unreadable(FakeRunner):
        def read(self, case: Case, kind: Pass, finished: Finished, files: Path, command: Command) -> RunnerOutput:
            if case.model.precision == "int8":
                raise RunnerOutputError("the run was cut short or the format is new", transient=True)
            return super().read(case, kind, finished, files, command)

    target = FakeTarget()
    record = measure(tmp_path, make_plan(make_case("int8"), make_case("float32")), target, Unreadable())
    assert target.recoveries == 0
    assert record.finished
    assert [row.failure for row in record.summaries()] == ["the run was cut short or the format is new", None]
    assert [a.transient for a in record.attempts if a.failure] == [False]


def test_a_lost_connection_is_recovered_and_the_process_run_again_whole(tmp_path: Path) -> None:
    def lose(call: int) -> Finished:
        if call == 3:
            raise LinkError("the connection broke", transient=True)
        return GOOD

    target = FakeTarget(behave=lose)
    record = measure(tmp_path, make_plan(), target)
    assert record.passed
    assert target.recoveries == 1
    lost = [attempt for attempt in record.attempts if attempt.transient]
    assert [(attempt.failure, attempt.exit_code, attempt.number) for attempt in lost] == [
        ("the connection broke", None, 1)
    ]
    again = [attempt for attempt in record.attempts if attempt.job == lost[0].job and attempt.valid]
    assert [attempt.number for attempt in again] == [2]
    assert again[0].raw.endswith("-try2")


def test_a_target_that_is_lost_for_good_is_given_up_and_keeps_what_it_gave(tmp_path: Path) -> None:
    def vanish(call: int) -> Finished:
        if call > 3:
            raise LinkError("device 'phone' not found", transient=True)
        return GOOD

    target = FakeTarget(behave=vanish)
    with pytest.raises(DeviceError, match="device 'the device' not found"):
        measure(tmp_path, make_plan(), target)
    record = load_record(tmp_path / "a.json")
    assert record.finished is None
    assert sum(attempt.valid for attempt in record.attempts) == 3
    assert sum(attempt.transient for attempt in record.attempts) == TRIES
    assert not record.passed


def test_an_unfinished_record_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def vanish(call: int) -> Finished:
        if call > 3:
            raise LinkError("gone", transient=True)
        return GOOD

    plan = make_plan()
    with pytest.raises(DeviceError):
        measure(tmp_path, plan, FakeTarget(behave=vanish))
    record = load_record(tmp_path / "a.json")
    record.forget_failures()
    target = FakeTarget()
    make_measurement(tmp_path, plan, target, FakeRunner(), record).run()
    complete = load_record(tmp_path / "a.json")
    assert complete.passed
    assert target.calls == 7 - 3
    assert len(complete.attempts) == 7


def test_a_record_on_disk_is_whole_after_every_process(tmp_path: Path) -> None:
    seen = []

    def look(call: int) -> Finished:
        path = tmp_path / "a.json"
        seen.append(len(json.loads(path.read_text("utf-8"))["attempts"]) if path.exists() else 0)
        return GOOD

    measure(tmp_path, make_plan(), FakeTarget(behave=look))
    assert seen == list(range(7))


def test_wrong_outputs_are_found_before_anything_is_timed_and_nothing_is(tmp_path: Path) -> None:
    target = FakeTarget()
    record = measure(tmp_path, make_plan(), target, FakeRunner(outputs=ANSWERS[::-1]))
    assert target.calls == 0
    assert record.disagrees
    assert (record.case_failure(make_case().name) or "").startswith("wrong numbers: a probability differs by 0.781")
    assert record.summaries()[0].latency is None


def test_a_runner_that_takes_no_inputs_is_measured_and_says_it_is_unchecked(tmp_path: Path) -> None:
    record = measure(tmp_path, make_plan(), FakeTarget(), FakeRunner(outputs=None))
    assert record.passed
    assert list(record.checks.values()) == [
        "classic takes no recorded inputs; the numbers of this runner are not checked"
    ]


@pytest.mark.parametrize(("delegate", "verdict"), [("gpu", "none"), ("gpu", "unknown"), ("xnnpack", "full")])
def test_what_ran_on_the_cpu_is_never_a_gpu_result(tmp_path: Path, delegate: str, verdict: str) -> None:
    plan = make_plan(make_case(delegate="gpu"))
    record = measure(tmp_path, plan, FakeTarget(), FakeRunner(delegate=delegate, verdict=verdict))
    assert not record.passed
    assert record.disagrees
    (summary,) = record.summaries()
    assert summary.latency is None
    assert (summary.failure or "").startswith("asked for gpu, ran on the CPU")


@pytest.mark.parametrize("verdict", ["full", "partial"])
def test_what_ran_on_the_gpu_is_a_gpu_result(tmp_path: Path, verdict: str) -> None:
    plan = make_plan(make_case(delegate="gpu"))
    assert measure(tmp_path, plan, FakeTarget(), FakeRunner(delegate="gpu", verdict=verdict)).passed


def test_a_program_that_got_other_cpus_is_no_result(tmp_path: Path) -> None:
    plan = make_plan(make_case(affinity="big", cpu_mask=0xF0))
    wrong = replace(GOOD, allowed_cpus="0-7")
    record = measure(tmp_path, plan, FakeTarget(behave=lambda _: wrong))
    assert (record.case_failure(plan.cases[0].name) or "").startswith("asked for CPUs 4-7, the kernel allowed CPUs 0-7")
    assert not record.disagrees
    right = replace(GOOD, allowed_cpus="4-7")
    assert measure(tmp_path, plan, FakeTarget(behave=lambda _: right)).passed


def test_accuracy_is_counted_on_the_device(tmp_path: Path) -> None:
    record = measure(tmp_path, make_plan(accuracy_images=8), FakeTarget())
    (accuracy,) = record.accuracy.values()
    assert not isinstance(accuracy, str)
    assert (accuracy.top1, accuracy.images) == (1.0, 8)


def test_a_sustained_run_lasts_and_shows_its_drift(tmp_path: Path) -> None:
    plan = make_plan(sustained_min=0.02, memory=False, profile=False)
    target = FakeTarget(behave=lambda _: GOOD)
    record = measure(tmp_path, plan, target)
    moments = [attempt.telemetry["elapsed_s"] for attempt in record.attempts_of(plan.cases[0].name, "sustained")]
    assert moments == sorted(moments)
    assert 0.0 <= moments[-1] <= 1.2
    found = record.summaries()[0].sustained
    assert found is not None
    assert found.ratio == 1.0


def test_the_look_after_a_process_serves_the_next_one(tmp_path: Path, looks: list[float]) -> None:
    measure(tmp_path, make_plan(), FakeTarget())
    assert looks == [9.0] + [0.0] * 7


def test_a_device_that_stays_warm_is_waited_for_before_each_process_and_marked(
    tmp_path: Path, look: Cooling, looks: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    warm = replace(look, outcome="gave_up", reasons=("battery 41.0 °C, allowed 37.0",))

    def wait(*_: object, patience_s: float, **__: object) -> Cooling:
        looks.append(patience_s)
        return warm

    monkeypatch.setattr("device_bench.measuring.measure.wait_until_cool", wait)
    record = measure(tmp_path, make_plan(), FakeTarget())
    assert looks == [9.0, 0.0] * 7
    assert {attempt.gate for attempt in record.attempts} == {"gave_up"}
