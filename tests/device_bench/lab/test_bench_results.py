"""`bench` on devices of the lab: what it measures, and that wrong numbers are caught."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from device_bench.measuring.correctness import OutputCheck
from tests.device_bench.lab.benches import FLOAT32, INT8, ROOT, Bench, assert_nothing_valid, rows, shows_times

# Half a minute each: whole benchmarks.
pytestmark = [pytest.mark.lab, pytest.mark.slow]

FLOAT16 = FLOAT32.replace("float32", "float16")


def check(record_check: OutputCheck | str) -> OutputCheck:
    assert isinstance(record_check, OutputCheck), record_check
    return record_check


def test_native_and_python_runner_measure_every_precision_and_compute_what_the_desktop_does(
    bench: Bench, native_runner: str
) -> None:
    phone = bench.phone("good")
    done = bench.run(phone, "--runner=classic,interpreter")
    assert done.returncode == 0, done.stderr
    record = bench.record_of(phone)
    assert record.passed
    assert record.finished
    assert [row["name"] for row in record.runners] == ["classic", "interpreter"]
    assert record.runners[0]["path"] == native_runner
    assert len(record.summaries()) == 6 == len(rows(done))
    assert all(row.latency and row.first_us and row.init_us for row in record.summaries())
    assert all(attempt.valid for attempt in record.attempts)
    for name, compared in record.checks.items():
        runner, _, file = name.split()
        assert check(compared).passed
        assert check(compared).kernels == ("builtin" if runner == "classic" else "xnnpack")
        assert check(compared).equal == 1.0 or runner == "classic" or file != INT8
    assert {name.split()[2] for name in record.checks} == {FLOAT32, FLOAT16, INT8}


def test_litert_benchmark_measures_every_precision(bench: Bench) -> None:
    phone = bench.phone("amd64")
    done = bench.run(phone, "--runner=litert_python")
    assert done.returncode == 0, done.stderr
    record = bench.record_of(phone)
    assert record.passed
    assert len(rows(done)) == 3
    assert all(check(compared).equal == 1.0 for name, compared in record.checks.items() if name.endswith(INT8))


def test_memory_and_operators_are_measured_in_processes_of_their_own_and_parse_reads_all_of_it_again(
    bench: Bench, native_runner: str
) -> None:
    del native_runner
    phone = bench.phone("amd64")
    command = bench.command(phone, "--runner=classic,interpreter", "--precision=int8", "--check=0", "--repeats=2")
    words = [word for word in command if word not in ("--no-memory", "--no-profile")]
    done = subprocess.run(
        words, cwd=bench.folder, env=bench.environment(), capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    record, (path,) = bench.record_of(phone), bench.record_files()
    kinds = [attempt.job.kind for attempt in record.attempts]
    assert {kind: kinds.count(kind) for kind in kinds} == {"latency": 4, "memory": 2, "profile": 1}
    assert all(row.peak_rss_bytes and row.peak_rss_bytes > 2**20 for row in record.summaries())
    assert all(bool(a.output and a.output.profiles) == (a.job.kind == "profile") for a in record.attempts)
    # No process is spent on what the runner cannot do.
    (lacking,) = record.plan.lacking
    assert lacking[:2] == ("int8.tflite-interpreter-cpu-1t-none", "profile")
    parsed = subprocess.run(
        [sys.executable, "-m", "device_bench", "parse", str(path.with_suffix("")), "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert parsed.returncode == 0, parsed.stdout
    again = json.loads(parsed.stdout)["outputs"]
    recorded = {a.raw.partition("/")[2]: a.output.to_json() for a in record.attempts if a.output}
    assert again == json.loads(json.dumps(recorded))


def test_onnx_runtime_measures_the_onnx_file(bench: Bench) -> None:
    phone = bench.phone("amd64")
    done = bench.run(phone, "--runner=onnxruntime", "--format=onnx", "--precision=float32", "--accuracy=20")
    assert done.returncode == 0, done.stderr
    record = bench.record_of(phone)
    ((name, compared),) = record.checks.items()
    assert name == f"onnxruntime cpu {MODEL_ONNX}"
    assert check(compared).passed
    assert check(compared).kernels == "onnxruntime"
    (accuracy,) = record.accuracy.values()
    assert not isinstance(accuracy, str)
    assert accuracy.images == 20
    assert accuracy.top1 == accuracy.desktop_top1


MODEL_ONNX = FLOAT32.replace(".tflite", ".onnx")


def test_a_cpu_that_computes_int8_wrongly_is_caught_while_its_floats_stay_valid(bench: Bench) -> None:
    phone = bench.phone("liar")
    done = bench.run(phone, "--runner=interpreter", "--precision=int8,float32")
    assert done.returncode == 1, done.stdout
    record = bench.record_of(phone)
    assert record.disagrees
    assert not record.passed
    failures = {row.case.split(".")[0]: row.failure for row in record.summaries()}
    assert failures["float32"] is None
    assert str(failures["int8"]).startswith("wrong numbers: a probability differs by ")
    # Nobody spends time on numbers that are worth nothing, and none is shown.
    assert {attempt.job.case.split(".")[0] for attempt in record.attempts} == {"float32"}
    right, wrong = rows(done)
    assert right.startswith("float32")
    assert "WRONG" in wrong
    assert "FAILED" in wrong
    assert not shows_times(wrong)
    assert shows_times(right)


def test_an_instruction_that_the_cpu_lacks_is_reported_as_such(bench: Bench) -> None:
    phone = bench.phone("old")
    done = bench.run(phone, "--runner=litert_python", "--precision=int8")
    assert done.returncode == 3, done.stdout
    assert "SIGILL (exit code 132)" in done.stdout
    assert_nothing_valid(done, bench.record_of(phone))


def test_a_board_without_androids_commands_is_measured_and_says_what_it_does_not_know(bench: Bench) -> None:
    phone = bench.phone("board")
    done = bench.run(phone, "--runner=interpreter", "--precision=int8", "--stay-awake")
    assert done.returncode == 0, done.stderr
    record = bench.record_of(phone)
    facts = record.target["facts"]
    for name in ("sdk", "android_release", "soc_model"):
        if name in facts:
            assert facts[name] is None
            assert facts["missing"][name]
    assert facts["os_name"] == "Debian GNU/Linux"
    assert check(record.checks[f"interpreter cpu {INT8}"]).equal == 1.0


def test_a_slow_connection_changes_nothing(bench: Bench) -> None:
    phone = bench.phone("amd64")
    phone.control("rate", "500000")
    done = bench.run(phone, "--runner=interpreter", "--precision=int8")
    assert done.returncode == 0, done.stderr
    assert bench.record_of(phone).passed
