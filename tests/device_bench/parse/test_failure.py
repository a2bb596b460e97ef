"""Runs that failed, or that did something else than asked for: recordings, each refused with its reason."""

import re
from pathlib import Path

import pytest

from device_bench.parse import parse_output
from device_bench.recording import load_recording, parse_recording
from models.errors import DeviceError, RunnerOutputError, ToolchainError

GOLDEN = Path(__file__).parents[2] / "golden"
PLAIN = (GOLDEN / "native_2.14_arm64" / "float32_plain" / "stdout").read_text("utf-8")

REASONS = {
    "native_2.14_arm64/bad_flag_value": "the command failed (exit code 1): \"ERROR: Failed to parse flag 'num_runs' "
    "against argv '--num_runs=abc'\"",
    "native_2.14_arm64/missing_graph": 'the command failed (exit code 1): "ERROR: Could not open '
    "'/data/local/tmp/nope.tflite'.\"",
    "native_2.14_arm64/garbage_graph": "the command failed (exit code 1): 'ERROR: The model is not a valid Flatbuffer "
    "buffer'",
    "native_2.14_arm64/require_full_delegation": "the command failed (exit code 1): 'ERROR: Disallowed CPU fallback "
    "detected.'",
    "native_2.14_arm64/missing_value_file": "the command was ended by SIGABRT (exit code 134): 'FATAL: Failed to "
    "read the input_layer_value_file:/data/local/tmp/nofile.bin'",
    "native_2.14_arm64/external_delegate_missing": "the command was ended by SIGSEGV (exit code 139): 'ERROR: Failed to "  # noqa: E501
    "apply EXTERNAL delegate.'",
    "native_2.14_arm64/not_found": "the command was not found (exit code 127): '/bin/sh: 1: "
    "/data/local/tmp/benchmark_model_missing: not found'",
    "adb_29_faults/push_full_disk": "the command failed (exit code 1): \"adb: error: failed to copy 'r20' to "
    "'/data/small/r20': remote write failed: No space left on device\"",
    "adb_29_faults/sigill": (
        "the command was ended by SIGILL (exit code 132): 'FATAL ERROR: This binary was compiled with lse enabled, but "
        "this feature is not available on this processor (go/sigill-fail-fast).'"
    ),
    "adb_29_faults/litert_full": "the command failed (exit code 1): '2026-11-21 07:45:11 ERROR "
    "benchmark_litert_model: Model is not fully accelerated but --require_full_delegation was set.'",
    "adb_36_faults/kill_adbd_mid_shell": "the command failed (exit code 255): 'INFO: Running benchmark for at least 100 "  # noqa: E501
    "iterations and at least 5 seconds but terminate if exceeding 150 seconds.'",
}


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_a_failed_command_is_refused_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(RunnerOutputError) as error:
        parse_recording(load_recording(GOLDEN / name, GOLDEN))
    assert str(error.value) == reason
    assert not error.value.transient


def test_a_run_cut_by_a_lost_device_is_refused_though_adb_says_0() -> None:
    with pytest.raises(RunnerOutputError, match=r"^no statistics of the measured runs .looked for ") as error:
        parse_recording(load_recording(GOLDEN / "adb_29_faults" / "kill_adbd_mid_shell", GOLDEN))
    assert error.value.transient


@pytest.mark.parametrize(("name", "flag"), [("unknown_flag", "--no_such_flag=1"), ("use_gpu", "--use_gpu=true")])
def test_a_flag_that_the_runner_ignored_is_an_error_though_it_exits_with_0(name: str, flag: str) -> None:
    with pytest.raises(RunnerOutputError) as error:
        parse_recording(load_recording(GOLDEN / "native_2.14_arm64" / name, GOLDEN))
    assert str(error.value) == (
        f"the runner ignored {flag} and ran with other settings than asked for; leave the flag out or use a runner "
        "that has it (its --help lists them)"
    )


@pytest.mark.parametrize("code", [0, None])
@pytest.mark.parametrize(
    "line", ["ERROR: Benchmarking failed.", "ERROR: Disallowed CPU fallback detected.", "FATAL: x"]
)
def test_a_complete_summary_does_not_hide_a_failure(line: str, code: int | None) -> None:
    with pytest.raises(RunnerOutputError, match=r"^the runner failed \(exit code (0|unknown)\): "):
        parse_output(PLAIN, f"{line}\n", exit_code=code)


def test_a_complete_summary_does_not_hide_an_exit_code() -> None:
    with pytest.raises(RunnerOutputError, match=r"^the command failed \(exit code 1\): 'INFO: Memory footprint delta"):
        parse_output(PLAIN, exit_code=1)


def test_a_killed_silent_command_is_told_so() -> None:
    words = "the command was ended by SIGKILL (exit code -9; the device may have run out of memory): it printed nothing"
    with pytest.raises(RunnerOutputError, match=f"^{re.escape(words)}$"):
        parse_output("", exit_code=-9)


def test_a_runner_output_error_is_one_of_the_device_and_stable_unless_told() -> None:
    assert issubclass(RunnerOutputError, DeviceError)
    assert issubclass(DeviceError, ToolchainError)
    assert (RunnerOutputError("x").transient, DeviceError("x", transient=True).transient) == (False, True)
