"""litert-benchmark: exact commands, recorded results."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from device_bench.case import RunSettings
from device_bench.runners.litert_python import LitertPython
from device_bench.runners.runner import Runner
from models.errors import RunnerOutputError
from tests.device_bench.runners.fakes import GOLDEN, SETTINGS, FakeTarget, finished, make_info, tiny_case

FLAGS = (
    "model",
    "no_cpu",
    "num_runs",
    "num_threads",
    "require_full_delegation",
    "result_json",
    "use_gpu",
    "warmup_runs",
)
RUNNER: Runner = LitertPython(info=make_info("litert_python", FLAGS, "/usr/bin/litert-benchmark"), loop=None)
RECORDED = GOLDEN / "litert_python_2.3_arm64" / "int8_plain"


def test_a_latency_run_states_every_setting() -> None:
    command = RUNNER.command(tiny_case(threads=2, cpu_mask=1), "latency", SETTINGS, "-m'.tflite", "/f")
    assert command.argv == (
        "/usr/bin/litert-benchmark", "--model=-m'.tflite", "--num_runs=50", "--warmup_runs=1", "--num_threads=2",
        "--result_json=/f/result.json",
    )  # fmt: skip
    assert command.cpu_mask == 1


def test_the_gpu_runs_without_the_cpu_so_that_the_output_proves_it() -> None:
    gpu = tiny_case(delegate="gpu")
    assert RUNNER.command(gpu, "latency", SETTINGS, "m", "/f").argv[-2:] == ("--use_gpu", "--no_cpu")
    strict = RUNNER.command(gpu, "latency", RunSettings(strict=True), "m", "/f")
    assert strict.argv[-3:] == ("--use_gpu", "--no_cpu", "--require_full_delegation")


def test_what_it_lacks_is_refused_with_its_reason() -> None:
    assert RUNNER.refuses(tiny_case(), "latency") is None
    assert RUNNER.refuses(tiny_case(delegate="gpu"), "sustained") is None
    assert "does not measure memory" in str(RUNNER.refuses(tiny_case(), "memory"))
    assert "has no operator profile" in str(RUNNER.refuses(tiny_case(), "profile"))
    assert "runs TFLite files, not onnx" in str(RUNNER.refuses(tiny_case(format="onnx"), "latency"))
    old = LitertPython(info=make_info("litert_python", FLAGS[:5]), loop=None)
    assert "has no --warmup_runs, --result_json; install a newer ai-edge-litert" in str(
        old.refuses(tiny_case(), "latency")
    )


def test_a_recorded_run_is_read_with_its_file(tmp_path: Path) -> None:
    shutil.copy(next(RECORDED.glob("*.json")), tmp_path / "result.json")
    back = finished((RECORDED / "stdout").read_text("utf-8"), (RECORDED / "stderr").read_text("utf-8"))
    command = RUNNER.command(tiny_case(), "latency", SETTINGS, "m", "/f")
    output = RUNNER.read(tiny_case(), "latency", back, tmp_path, command)
    assert (output.flavour, output.measured.latency.median_us) == ("litert_python", 19970)


def test_a_run_that_could_not_write_its_file_is_an_error(tmp_path: Path) -> None:
    back = finished((RECORDED / "stdout").read_text("utf-8"), (RECORDED / "stderr").read_text("utf-8"))
    command = RUNNER.command(tiny_case(), "latency", SETTINGS, "m", "/f")
    with pytest.raises(RunnerOutputError, match=r"^the run succeeded but left no result\.json"):
        RUNNER.read(tiny_case(), "latency", back, tmp_path, command)


def test_a_latency_below_its_resolution_is_an_error(tmp_path: Path) -> None:
    text = (RECORDED / "stdout").read_text("utf-8")
    lines = [
        f"{line.split(':')[0]}: 0.00 ms{' (20 runs)' if 'avg' in line else ''}"
        if line.startswith("Inference")
        else line
        for line in text.split("\n")
    ]
    back = finished("\n".join(lines), (RECORDED / "stderr").read_text("utf-8"))
    command = RUNNER.command(tiny_case(), "latency", SETTINGS, "m", "/f")
    with pytest.raises(RunnerOutputError, match=r"^the average is 0\.00 ms: litert-benchmark prints hundredths"):
        RUNNER.read(tiny_case(), "latency", back, tmp_path, command)


def test_without_its_python_it_computes_nothing() -> None:
    target = FakeTarget(lambda _: finished())
    inputs = np.zeros((1, 4, 4, 3), np.float32)
    assert RUNNER.compute(target, tiny_case(), "m", inputs, "/f", timeout_s=1) is None
