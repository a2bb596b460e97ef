"""LiteRT's benchmark_model: exact commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_bench.case import RunSettings
from device_bench.runners.litert import Litert
from device_bench.runners.native import INSTALLED
from device_bench.runners.runner import Runner
from models.errors import RunnerOutputError
from tests.device_bench.runners.fakes import LITERT, SETTINGS, FakeTarget, finished, make_info, tiny_case, words

RUNNER: Runner = Litert(info=make_info("litert", LITERT, "/s/runner-given/benchmark_model"))
BASE = [
    "--graph=/m/n.tflite", "--num_threads=1", "--num_runs=50", "--min_secs=1", "--max_secs=150", "--warmup_runs=1",
    "--warmup_min_secs=0.5",
]  # fmt: skip


@pytest.mark.parametrize(
    ("delegate", "strict", "switches"),
    [
        ("cpu", False, ["--use_cpu=true", "--use_gpu=false"]),
        ("cpu", True, ["--use_cpu=true", "--use_gpu=false"]),
        ("gpu", False, ["--use_cpu=true", "--use_gpu=true"]),
        ("gpu", True, ["--use_cpu=false", "--use_gpu=true"]),
    ],
)
def test_a_latency_run_states_every_setting(delegate: str, strict: bool, switches: list[str]) -> None:
    settings = RunSettings(strict=strict)
    command = RUNNER.command(tiny_case(delegate=delegate, cpu_mask=3), "latency", settings, "/m/n.tflite", "/f")
    full = "true" if strict and delegate == "gpu" else "false"
    assert words(command) == [
        *BASE, *switches, "--use_npu=false", f"--require_full_delegation={full}",
        "--report_peak_memory_footprint=false", "--result_file_path=/f/result.pb",
    ]  # fmt: skip
    assert command.cpu_mask == 3


def test_a_copied_program_finds_its_libraries_beside_it() -> None:
    command = RUNNER.command(tiny_case(), "latency", SETTINGS, "m", "/f")
    assert dict(command.environment) == {"LD_LIBRARY_PATH": "/s/runner-given"}
    installed = Litert(info=make_info("litert", LITERT, "/usr/bin/benchmark_model", source=INSTALLED))
    assert not installed.command(tiny_case(), "latency", SETTINGS, "m", "/f").environment


def test_the_memory_pass_alone_watches_the_memory() -> None:
    assert "--report_peak_memory_footprint=true" in words(RUNNER.command(tiny_case(), "memory", SETTINGS, "m", "/f"))


def test_what_it_lacks_is_refused_with_its_reason() -> None:
    assert RUNNER.refuses(tiny_case(), "latency") is None
    assert RUNNER.refuses(tiny_case(delegate="gpu"), "memory") is None
    assert "has no operator profile; the classic one has" in str(RUNNER.refuses(tiny_case(), "profile"))
    assert "runs TFLite files, not onnx" in str(RUNNER.refuses(tiny_case(format="onnx"), "latency"))
    poor = Litert(info=make_info("litert", LITERT[:8]))
    assert "has no --use_gpu;" in str(poor.refuses(tiny_case(delegate="gpu"), "latency"))


def test_it_computes_nothing_on_given_inputs() -> None:
    target = FakeTarget(lambda _: finished())
    inputs = np.zeros((1, 4, 4, 3), np.float32)
    assert RUNNER.compute(target, tiny_case(), "m", inputs, "/f", timeout_s=1) is None
    assert not target.commands


def test_a_run_without_results_is_an_error(tmp_path: Path) -> None:
    command = RUNNER.command(tiny_case(), "latency", SETTINGS, "m", "/f")
    with pytest.raises(RunnerOutputError, match=r"^no statistics"):
        RUNNER.read(tiny_case(), "latency", finished("INFO: STARTING!\n"), tmp_path, command)
    assert RUNNER.result_files("latency") == ("result.pb",)
