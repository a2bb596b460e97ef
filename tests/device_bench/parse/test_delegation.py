"""Verdicts on where a network ran; the log lines are quoted from the runners' sources and from real logs."""

from pathlib import Path

import pytest

from device_bench.parse import parse_output
from device_bench.parse.delegation import parse_delegations, requested_delegates
from device_bench.parse.lines import read_log
from device_bench.recording import load_recording, parse_recording
from device_bench.result import Delegation, RunnerOutput
from models.errors import RunnerOutputError

NATIVE = Path(__file__).parents[2] / "golden" / "native_2.14_arm64"
COMPLETE = "INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.\n"
PARTIAL = (
    "INFO: Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate w/ 2 delegate "  # noqa: E501
    "kernels.\n"
)
NOTHING = "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate.\n"
XNNPACK = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
UNAVAILABLE = (
    "WARN: The GPU delegate compile options are only supported on Android or iOS platforms or when the tool was built with "  # noqa: E501
    "-DCL_DELEGATE_NO_GL.\nWARN: GPU acceleration is unsupported on this platform.\n" + XNNPACK
)
LEFT_OVER = """\
ERROR: Following operations are not supported by GPU delegate:
HARD_SWISH: <reason>
110 operations will run on the GPU, and the remaining 3 operations will run on the CPU.
"""
BOTH = (
    """\
INFO: NNAPI accelerators available: [nnapi-reference]
INFO: Created TensorFlow Lite delegate for GPU.
INFO: GPU delegate created.
INFO: Going to apply 2 delegates one after another.
INFO: Loaded OpenCL library with dlopen.
VERBOSE: Replacing 49 out of 49 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 partitions for subgraph 0.
INFO: Initialized OpenCL-based API.
INFO: Created 1 GPU delegate kernels.
"""
    + COMPLETE
    + "INFO: Though NNAPI delegate is explicitly applied, the model graph will not be executed by the delegate.\n"
)


def rows(text: str, **asked: bool) -> list[Delegation]:
    return list(parse_delegations(read_log(text), asked))


def verdicts(text: str, **asked: bool) -> list[tuple[str, str]]:
    return [(row.delegate, row.verdict) for row in rows(text, **asked)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (COMPLETE, "full"),
        (PARTIAL, "partial"),
        (NOTHING, "none"),
        (UNAVAILABLE, "none"),
        (LEFT_OVER, "partial"),
        ("No operations will run on the GPU, and all 113 operations will run on the CPU.\n", "none"),
        ("INFO: GPU delegate created.\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_gpu_asked_for_has_a_verdict_of_its_own(text: str, expected: str) -> None:
    assert verdicts(text, gpu=True)[0] == ("gpu", expected)


def test_a_gpu_that_runs_nothing_leaves_the_run_to_xnnpack() -> None:
    assert verdicts(UNAVAILABLE, gpu=True) == [("gpu", "none"), ("xnnpack", "implicit_xnnpack")]


def test_the_lines_speak_even_where_nobody_knows_what_was_asked_for() -> None:
    assert verdicts(UNAVAILABLE)[0] == ("gpu", "none")


def test_two_delegates_have_a_verdict_each() -> None:
    gpu, nnapi = rows(BOTH, gpu=True, nnapi=True)
    assert (gpu.verdict, gpu.nodes, gpu.nodes_total, gpu.kernels, gpu.backend) == ("full", 49, 49, 1, "OpenCL")
    assert (nnapi.verdict, nnapi.nodes, nnapi.backend) == ("none", None, "nnapi-reference")
    assert nnapi.missing["nodes"] == "no line of the log states it"


def test_a_partial_run_tells_the_nodes_the_gpu_took() -> None:
    text = (
        LEFT_OVER
        + "VERBOSE: Replacing 110 out of 113 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 3 partitions for "  # noqa: E501
        "subgraph 0 (main).\nINFO: Initialized OpenCL-based API.\nINFO: Created 2 GPU delegate kernels.\n"
    )
    row = rows(text + PARTIAL, gpu=True)[0]
    assert (row.verdict, row.nodes, row.nodes_total, row.kernels) == ("partial", 110, 113, 2)
    assert row.evidence[0] == PARTIAL.removeprefix("INFO: ").rstrip()


@pytest.mark.parametrize("end", ["for the whole graph", "for subgraph 0", "for subgraph 0 (main)"])
def test_implicit_xnnpack_is_told_in_every_wording(end: str) -> None:
    line = f"VERBOSE: Replacing 49 out of 50 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions {end}.\n"  # noqa: E501
    row = rows(XNNPACK + line)[0]
    assert (row.delegate, row.verdict, row.nodes, row.nodes_total) == ("xnnpack", "implicit_xnnpack", 49, 50)


def test_a_full_verdict_with_nodes_left_over_counts_as_partial() -> None:
    line = "Replacing 5 out of 9 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 partitions for subgraph 1 (f).\n"  # noqa: E501
    assert verdicts(line + COMPLETE, gpu=True) == [("gpu", "partial")]


def test_a_fall_back_to_opengl_is_told() -> None:
    text = (
        "ERROR: Can not open OpenCL library on this device - dlopen failed: library not found\n"
        "ERROR: Falling back to OpenGL\nINFO: Initialized OpenGL-based API.\n"
    )
    assert rows(text + COMPLETE, gpu=True)[0].backend == "OpenGL"


def test_builtin_kernels_are_believed_only_where_asked_for_or_proven() -> None:
    assert verdicts("", xnnpack=False) == [("cpu", "builtin")]
    assert verdicts("") == [("cpu", "unknown")]
    assert (
        rows("")[0].missing["nodes"].startswith("the log names no delegate: builtin kernels, or a build that applies")
    )


def test_an_operator_profile_proves_builtin_kernels() -> None:
    output = parse_recording(load_recording(NATIVE / "float32_profile_stdout", NATIVE))
    assert isinstance(output, RunnerOutput)
    assert [(row.delegate, row.verdict) for row in output.delegations] == [("cpu", "builtin")]
    assert output.delegations[0].evidence == ("33 profiled nodes, all of builtin operators",)


def test_two_verdicts_on_one_delegate_are_refused() -> None:
    with pytest.raises(RunnerOutputError, match=r"^the log says two things of the gpu delegate: "):
        rows(COMPLETE + NOTHING, gpu=True)


def test_what_was_asked_for_comes_from_settings_and_command() -> None:
    assert requested_delegates((("Use gpu", "1"), ("Use xnnpack", "0"), ("Use caching", "1")), None) == {
        "gpu": True,
        "xnnpack": False,
    }
    assert requested_delegates((("External delegate path", "/x.so"),), None) == {"external": True}
    assert requested_delegates((), "benchmark_model --use_gpu=true --use_nnapi=false") == {"gpu": True, "nnapi": False}


def test_error_lines_of_a_partial_run_are_warnings_of_a_success() -> None:
    plain = (NATIVE / "float32_plain" / "stdout").read_text("utf-8")
    output = parse_output(plain, LEFT_OVER + PARTIAL, exit_code=0, command="benchmark_model --use_gpu=true")
    assert isinstance(output, RunnerOutput)
    assert [(row.delegate, row.verdict) for row in output.delegations] == [("gpu", "partial")]
    assert output.warnings == ("ERROR: Following operations are not supported by GPU delegate:",)
    assert not output.fell_back


def test_a_gpu_run_on_the_cpu_with_exit_code_0_is_a_fallback() -> None:
    plain = (NATIVE / "float32_plain" / "stdout").read_text("utf-8")
    output = parse_output(plain, UNAVAILABLE, exit_code=0, command="benchmark_model --use_gpu=true")
    assert isinstance(output, RunnerOutput)
    assert output.fell_back
