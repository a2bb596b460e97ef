"""Classic benchmark_model: exact commands, and outputs through value files of a program that runs."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest

from device_bench.case import RunSettings
from device_bench.desktop import Desktop
from device_bench.runners import value_files
from device_bench.runners.runner import Runner
from models.errors import RunnerOutputError
from tests.device_bench.runners.fakes import (
    GOLDEN,
    MODERN,
    SETTINGS,
    finished,
    flags_2_14,
    install_stub,
    make_classic,
    tiny_case,
    words,
)

BASE = [
    "--graph=/m/n.tflite", "--num_threads=4", "--num_runs=50", "--min_secs=1", "--max_secs=150", "--warmup_runs=1",
    "--warmup_min_secs=0.5",
]  # fmt: skip
NATIVE = GOLDEN / "native_2.14_arm64"


def test_it_is_a_runner() -> None:
    runner: Runner = make_classic()
    assert runner.info.name == "classic"


def test_a_latency_run_states_every_setting() -> None:
    command = make_classic().command(tiny_case(threads=4, cpu_mask=0xF0), "latency", SETTINGS, "/m/n.tflite", "/f")
    assert words(command) == [
        *BASE, "--use_gpu=false", "--use_xnnpack=true", "--require_full_delegation=false",
        "--report_peak_memory_footprint=false", "--enable_op_profiling=false", "--result_file_path=/f/result.pb",
    ]  # fmt: skip
    assert (command.argv[0], dict(command.environment), command.cpu_mask) == ("/data/b", {}, 0xF0)


def test_the_2_14_runner_gets_only_the_flags_it_has() -> None:
    command = make_classic(flags_2_14()).command(tiny_case(threads=4), "latency", SETTINGS, "/m/n.tflite", "/f")
    assert words(command) == [
        *BASE, "--require_full_delegation=false", "--report_peak_memory_footprint=false", "--enable_op_profiling=false",
    ]  # fmt: skip


def test_the_memory_pass_alone_watches_the_memory() -> None:
    flags = words(make_classic().command(tiny_case(), "memory", SETTINGS, "m", "/f"))
    assert {"--report_peak_memory_footprint=true", "--enable_op_profiling=false"} <= set(flags)


def test_the_profile_pass_writes_a_file_in_the_words_of_the_build() -> None:
    new = words(make_classic().command(tiny_case(), "profile", SETTINGS, "m", "/f"))
    assert {"--op_profiling_output_mode=csv", "--op_profiling_output_file=/f/profile.csv"} <= set(new)
    assert not [flag for flag in new if flag.startswith("--profiling_output_csv_file")]
    old = words(make_classic(flags_2_14()).command(tiny_case(), "profile", SETTINGS, "m", "/f"))
    assert {"--enable_op_profiling=true", "--profiling_output_csv_file=/f/profile.csv"} <= set(old)


def test_the_gpu_is_asked_for_with_its_arithmetic_and_the_rest_goes_to_xnnpack() -> None:
    flags = words(make_classic().command(tiny_case(delegate="gpu"), "latency", SETTINGS, "m", "/f"))
    at = flags.index("--use_gpu=true")
    assert flags[at : at + 5] == [
        "--use_gpu=true", "--gpu_precision_loss_allowed=true", "--gpu_experimental_enable_quant=true",
        "--use_xnnpack=true", "--require_full_delegation=false",
    ]  # fmt: skip


def test_strict_refuses_a_fallback_and_asks_for_the_gpu_alone() -> None:
    strict = RunSettings(strict=True)
    gpu = words(make_classic().command(tiny_case(delegate="gpu"), "latency", strict, "m", "/f"))
    assert {"--use_xnnpack=false", "--require_full_delegation=true"} <= set(gpu)
    cpu = words(make_classic().command(tiny_case(), "latency", strict, "m", "/f"))
    assert {"--use_xnnpack=true", "--require_full_delegation=false"} <= set(cpu)


def test_result_files_are_those_that_the_build_writes() -> None:
    assert make_classic().result_files("latency") == ("result.pb",)
    assert make_classic().result_files("profile") == ("result.pb", "profile.csv")
    old = make_classic(flags_2_14())
    assert (old.result_files("latency"), old.result_files("profile")) == ((), ("profile.csv",))
    assert make_classic(("graph", "enable_op_profiling")).result_files("profile") == ()


@pytest.mark.parametrize(
    ("changes", "kind", "missing", "reason"),
    [
        ({"format": "onnx"}, "latency", "", "benchmark_model runs TFLite files, not onnx"),
        (
            {"delegate": "gpu"},
            "latency",
            "use_gpu",
            "this build of benchmark_model has no --use_gpu; give another with",
        ),
        ({}, "latency", "num_threads", "this build of benchmark_model has no --num_threads;"),
        ({}, "memory", "report_peak_memory_footprint", "has no --report_peak_memory_footprint;"),
        ({}, "profile", "enable_op_profiling", "has no --enable_op_profiling;"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(changes: dict, kind: str, missing: str, reason: str) -> None:  # type: ignore[type-arg]
    runner = make_classic(tuple(flag for flag in MODERN if flag != missing))
    assert reason in str(runner.refuses(tiny_case(**changes), kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["latency", "memory", "profile", "sustained"])
@pytest.mark.parametrize("delegate", ["cpu", "gpu"])
def test_a_modern_build_can_do_all(kind: str, delegate: str) -> None:
    assert make_classic().refuses(tiny_case(delegate=delegate), kind) is None  # type: ignore[arg-type]


def test_a_recorded_run_is_read(tmp_path: Path) -> None:
    recorded = NATIVE / "float32_profile_csv"
    runner = make_classic(flags_2_14())
    command = runner.command(tiny_case(), "profile", SETTINGS, "m", "/f")
    back = finished((recorded / "stdout").read_text("utf-8"), (recorded / "stderr").read_text("utf-8"))
    shutil.copy(next(recorded.glob("*.csv")), tmp_path / "profile.csv")
    output = runner.read(tiny_case(), "profile", back, tmp_path, command)
    assert output.profiles
    assert output.measured.samples_us is None
    assert output.measured.missing["samples_us"] == "the runner prints statistics, not the latency of each run"


def test_a_file_that_the_run_should_have_left_is_missed(tmp_path: Path) -> None:
    runner = make_classic()
    command = runner.command(tiny_case(), "latency", SETTINGS, "m", "/f")
    back = finished((NATIVE / "float32_plain" / "stdout").read_text("utf-8"))
    with pytest.raises(
        RunnerOutputError, match=r"^the run succeeded but left no result\.pb, which it was told to write$"
    ):
        runner.read(tiny_case(), "latency", back, tmp_path, command)


def test_a_usage_is_no_result(tmp_path: Path) -> None:
    runner = make_classic(flags_2_14())
    command = runner.command(tiny_case(), "latency", SETTINGS, "m", "/f")
    back = finished("", (NATIVE / "help" / "stderr").read_text("utf-8"))
    with pytest.raises(RunnerOutputError, match=r"^the runner printed its usage instead of a result"):
        runner.read(tiny_case(), "latency", back, tmp_path, command)


def test_a_model_named_like_a_flag_asks_for_nothing(tmp_path: Path) -> None:
    runner = make_classic(flags_2_14())
    command = runner.command(tiny_case(), "latency", SETTINGS, "/m/ --use_gpu=true.tflite", "/f")
    back = finished((NATIVE / "float32_plain" / "stdout").read_text("utf-8"))
    (row,) = runner.read(tiny_case(), "latency", back, tmp_path, command).delegations
    assert row.delegate == "cpu"


# Outputs


@pytest.fixture
def here(tmp_path: Path) -> tuple[Desktop, str]:
    """This machine and a private folder on it."""
    folder = tmp_path / "private folder"
    folder.mkdir()
    return Desktop(), str(folder)


INPUTS = np.arange(3 * 48, dtype=np.float32).reshape(3, 4, 4, 3)


@pytest.mark.parametrize(
    "name", ["image", "serving_default:0", "a b", 'it\'s $(id) ; `x` "q"', ":x:", "-n", "a\nb", "ö"]
)
def test_outputs_come_back_in_order_whatever_the_tensor_is_called(
    tmp_path: Path, here: tuple[Desktop, str], name: str
) -> None:
    runner = make_classic(flags_2_14(), str(install_stub(tmp_path)))
    outputs = runner.compute(here[0], tiny_case(input_name=name), "/m", INPUTS, here[1], timeout_s=20)
    sums = INPUTS.reshape(3, -1).sum(axis=1)
    np.testing.assert_array_equal(outputs, np.stack([sums * 0, sums, sums * 2], axis=1))
    assert outputs is not None
    assert outputs.dtype == np.float32


def test_a_process_runs_once_with_the_threads_and_files_of_the_case(
    tmp_path: Path, here: tuple[Desktop, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_LOG", str(tmp_path / "log"))
    runner = make_classic(flags_2_14(), str(install_stub(tmp_path)))
    runner.compute(here[0], tiny_case(threads=2, input_name="x:0"), "/m", INPUTS[:2], here[1], timeout_s=20)
    first, second = [ast.literal_eval(line) for line in (tmp_path / "log").read_text("utf-8").splitlines()]
    assert first == second == [
        "--graph=/m", "--num_threads=2", "--num_runs=1", "--min_secs=0", "--max_secs=20", "--warmup_runs=0",
        "--warmup_min_secs=0", "--require_full_delegation=false", "--input_layer=x:0", "--input_layer_shape=1,4,4,3",
        f"--input_layer_value_files=x::0:{here[1]}/input.bin", f"--output_filepath={here[1]}/output.bin",
    ]  # fmt: skip
    assert not list(Path(here[1]).iterdir())


def test_many_inputs_travel_in_batches(
    tmp_path: Path, here: tuple[Desktop, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_files, "BATCH_BYTES", 2 * INPUTS[:1].nbytes)
    assert [len(batch) for batch in value_files.batches(INPUTS)] == [2, 1]
    runner = make_classic(flags_2_14(), str(install_stub(tmp_path)))
    outputs = runner.compute(here[0], tiny_case(), "/m", INPUTS, here[1], timeout_s=20)
    assert outputs is not None
    np.testing.assert_array_equal(outputs[:, 1], INPUTS.reshape(3, -1).sum(axis=1))


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("STUB_SILENT", "1", r"^the files of a computation could not be handled \(exit code [12]\): .*output\.bin"),
        ("STUB_UNEVEN", "1", r"^outputs of \[3, 4\] numbers came from one network"),
        ("STUB_CLASSES", "0", r"^the output file has '0' bytes"),
        ("STUB_EXIT", "1", r"^the command failed \(exit code 1\)"),
        ("STUB_MORE", "WARN: Unconsumed cmdline flags: --x\n", r"^the runner ignored --x"),
        ("STUB_MORE", "ERROR: Benchmarking failed.\n", r"^the runner failed \(exit code 0\)"),
    ],
)
def test_a_process_that_failed_gives_no_outputs(
    tmp_path: Path, here: tuple[Desktop, str], monkeypatch: pytest.MonkeyPatch, setting: str, value: str, message: str
) -> None:
    monkeypatch.setenv(setting, value)
    runner = make_classic(flags_2_14(), str(install_stub(tmp_path)))
    with pytest.raises(RunnerOutputError, match=message):
        runner.compute(here[0], tiny_case(), "/m", INPUTS, here[1], timeout_s=20)


def test_outputs_of_the_cpu_do_not_pass_for_the_gpus(
    tmp_path: Path, here: tuple[Desktop, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_MORE", "WARN: GPU acceleration is unsupported on this platform.\n")
    runner = make_classic((*flags_2_14(), "use_gpu"), str(install_stub(tmp_path)))
    with pytest.raises(RunnerOutputError, match=r"^the outputs would be the CPU's: the gpu delegate ran nothing$"):
        runner.compute(here[0], tiny_case(delegate="gpu"), "/m", INPUTS, here[1], timeout_s=20)


def test_inputs_that_do_not_fit_are_refused_before_anything_runs(here: tuple[Desktop, str]) -> None:
    for wrong in (INPUTS.astype(np.uint8), INPUTS[:, :2], INPUTS[:0]):
        with pytest.raises(
            RunnerOutputError, match=r"do not fit '.*', which takes float32 \[1, 4, 4, 3\] one at a time$"
        ):
            make_classic().compute(here[0], tiny_case(), "/m", wrong, here[1], timeout_s=20)


@pytest.mark.parametrize(("flags", "name"), [(MODERN[:8], "x"), (MODERN, "a,b"), (MODERN, "")])
def test_without_a_way_to_give_inputs_nothing_is_computed(
    here: tuple[Desktop, str], flags: tuple[str, ...], name: str
) -> None:
    runner = make_classic(flags)
    assert runner.compute(here[0], tiny_case(input_name=name), "/m", INPUTS, here[1], timeout_s=20) is None
