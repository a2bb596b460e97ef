"""Usage text -> which runner it is and which flags it would not ignore."""

from pathlib import Path

import pytest

from device_bench.parse import parse_output
from device_bench.recording import load_recording, parse_recording
from device_bench.result import RunnerHelp
from models.errors import RunnerOutputError

GOLDEN = Path(__file__).parents[2] / "golden"
NATIVE = GOLDEN / "native_2.14_arm64"
USAGE = (NATIVE / "help" / "stderr").read_text("utf-8")

# `litert-benchmark --help` of ai-edge-litert 2.3.0.
PYTHON = """\
usage: litert-benchmark [-h] --model MODEL [--signature SIGNATURE] [--use_cpu]
                        [--no_cpu] [--use_gpu] [--use_npu]
                        [--require_full_delegation]
                        [--dispatch_library_path DISPATCH_LIBRARY_PATH]
                        [--compiler_plugin_path COMPILER_PLUGIN_PATH]
                        [--runtime_path RUNTIME_PATH] [--num_runs NUM_RUNS]
                        [--warmup_runs WARMUP_RUNS]
                        [--num_threads NUM_THREADS]
                        [--result_json RESULT_JSON] [--verbose]

Benchmark a LiteRT model on CPU, GPU, or NPU.
"""


def usage(text: str) -> RunnerHelp:
    output = parse_output("", text, exit_code=1)
    assert isinstance(output, RunnerHelp)
    return output


def test_the_recorded_usage_is_that_of_the_classic_runner() -> None:
    # It ends with exit code 1 by design.
    read = parse_recording(load_recording(NATIVE / "help", NATIVE))
    assert isinstance(read, RunnerHelp)
    assert read.flavour == "classic"
    assert {"graph", "num_runs", "enable_op_profiling", "profiling_output_csv_file"} <= set(read.flags)
    # Of that build: neither XNNPACK nor GPU nor the result file.
    assert not {"use_xnnpack", "use_gpu", "result_file_path"} & set(read.flags)
    assert (read.defaults["num_runs"], read.defaults["warmup_min_secs"], read.defaults["graph"]) == ("50", "0.5", "")


def test_a_usage_with_npu_flags_is_that_of_litert() -> None:
    added = "\t--use_npu=false                      \tbool\toptional\tWhether to use NPU accelerator.\n\t--verbose="
    assert usage(USAGE.replace("\t--verbose=", added, 1)).flavour == "litert"


def test_flags_may_have_a_hyphen() -> None:
    added = "\t--gpu-precision=auto                 \tstring\toptional\tauto, fp16 or fp32.\n\t--verbose="
    assert "gpu-precision" in usage(USAGE.replace("\t--verbose=", added, 1)).flags


def test_the_usage_of_the_python_runner_gives_its_flags() -> None:
    read = usage(PYTHON)
    assert (read.flavour, len(read.flags)) == ("litert_python", 15)
    assert {"result_json", "no_cpu", "verbose"} <= set(read.flags)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_cut_usage_is_refused(share: float) -> None:
    for text in (USAGE, PYTHON):
        body = text.partition("\n\n")[0]
        with pytest.raises(RunnerOutputError, match=r"^no end of the usage, an empty line, "):
            usage(body[: int(len(body) * share) + 60])


def test_a_usage_of_another_program_is_refused() -> None:
    text = "usage: other <flags>\nFlags:\n\t--x=1\tint32\toptional\ty\n\n"
    with pytest.raises(RunnerOutputError) as error:
        usage(text)
    assert str(error.value) == "the usage is of no known runner: it has 1 flags, among them ['x']"


def test_a_flag_of_an_unknown_layout_is_refused() -> None:
    with pytest.raises(RunnerOutputError, match=r"^1 lines of the usage are no flags; the format is new$"):
        usage(USAGE.replace("\t--verbose=false", "\t-v", 1))


@pytest.mark.parametrize("name", ["native_2.14_arm64/bad_flag_value", "litert_python_2.3_arm64/unknown_flag"])
def test_a_usage_printed_with_a_refusal_is_a_failure(name: str) -> None:
    with pytest.raises(RunnerOutputError, match=r"Failed to parse flag 'num_runs'|unrecognized arguments: --nope"):
        parse_recording(load_recording(GOLDEN / name, GOLDEN))
