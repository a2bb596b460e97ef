"""litert-benchmark of the Python package: recordings of ai-edge-litert 2.3.0."""

import json
from pathlib import Path

import pytest

from device_bench.parse.litert_python import parse_result_json
from device_bench.recording import load_recording, parse_recording
from device_bench.result import RunnerOutput
from models.errors import RunnerOutputError

PYTHON = Path(__file__).parents[2] / "golden" / "litert_python_2.3_arm64"
RESULT = (PYTHON / "int8_plain" / "res_int8.json").read_text("utf-8")


def recorded(name: str) -> RunnerOutput:
    output = parse_recording(load_recording(PYTHON / name, PYTHON))
    assert isinstance(output, RunnerOutput)
    return output


def test_a_plain_run_gives_the_numbers_of_its_block() -> None:
    run = recorded("int8_plain")
    assert run.flavour == "litert_python"
    assert (run.measured.init_us, run.measured.first_us) == (52380, 25610)
    latency, warmup = run.measured.latency, run.measured.warmup
    assert (latency.runs, latency.mean_us, latency.min_us, latency.max_us) == (20, 20060, 19560, 21390)
    assert (latency.std_us, latency.p5_us, latency.median_us, latency.p95_us) == (410, 19650, 19970, 20530)
    assert warmup is not None
    assert (warmup.runs, warmup.mean_us, warmup.median_us) == (5, 21560, None)
    assert set(run.measured.memory.missing.values()) == {"litert-benchmark does not measure memory"}
    assert ("Num threads", "1") in run.parameters


@pytest.mark.parametrize("name", ["int8_plain", "float32_plain"])
def test_the_json_file_has_the_numbers_of_the_block(name: str) -> None:
    file = next((PYTHON / name).glob("*.json"))
    assert parse_result_json(file.read_text("utf-8")) == recorded(name).measured


def test_a_json_file_of_another_run_is_refused(tmp_path: Path) -> None:
    for name in ("stdout", "stderr"):
        (tmp_path / name).write_bytes((PYTHON / "int8_plain" / name).read_bytes())
    (tmp_path / "result.json").write_bytes((PYTHON / "float32_plain" / "res_float32.json").read_bytes())
    with pytest.raises(RunnerOutputError) as error:
        parse_recording(load_recording(tmp_path, tmp_path))
    assert str(error.value) == "init_us is 52380 in the printed text and 74090 in the JSON file: two runs are mixed"


def test_xnnpack_counts_as_the_cpu_and_not_as_the_npu_asked_for() -> None:
    run = recorded("npu")
    assert [(row.delegate, row.verdict) for row in run.delegations] == [("npu", "none"), ("xnnpack", "full")]
    assert "NPU accelerator could not be loaded" in run.delegations[0].evidence[0]
    assert run.fell_back


def test_the_cpu_alone_is_no_fallback() -> None:
    run = recorded("int8_plain")
    assert [(row.delegate, row.verdict) for row in run.delegations] == [("xnnpack", "full")]
    assert not run.fell_back


def test_a_result_file_that_could_not_be_written_is_a_warning() -> None:
    assert any("Failed to write results to /nodir/x.json" in text for text in recorded("json_unwritable").warnings)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gpu", "Failed to initialize WebGPU environment: INTERNAL: No adapters found"),
        ("gpu_only", "Failed to initialize WebGPU environment: INTERNAL: No adapters found"),
        ("dynamic_output", "RuntimeError: CompiledModel error: code=3, message=Failed to invoke the compiled model"),
        ("zero_runs", "the command failed (exit code 1): 'statistics.StatisticsError: mean requires at least one data"),
        ("unknown_flag", "(exit code 2): 'litert-benchmark: error: unrecognized arguments: --nope'"),
        ("truncated", "the command was ended by SIGSEGV (exit code 139): 'Segmentation fault'"),
        ("garbage", "should be 'TFL3'"),
        ("missing", "Model file not found: /data/local/tmp/nope.tflite"),
    ],
)
def test_a_failed_run_is_refused_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(RunnerOutputError) as error:
        recorded(name)
    assert reason in str(error.value)


@pytest.mark.parametrize("key", ["avg_ms", "p95_ms", "num_runs", "init_ms", "warmup_avg_ms"])
def test_a_key_that_is_not_in_the_json_is_named(key: str) -> None:
    value = json.loads(RESULT)
    del value["latency"][key]
    with pytest.raises(
        RunnerOutputError, match=rf"^the result JSON has no '{key}'; the format is new or the file cut$"
    ):
        parse_result_json(json.dumps(value))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("avg_ms", "20", "avg_ms is '20', which is no latency"),
        ("min_ms", -1, "min_ms is '-1', which is no latency"),
        ("num_runs", 0, "num_runs is '0', which is no number of runs"),
        ("max_ms", float("nan"), "NaN is no latency"),
        ("median_ms", 1, "numbers that contradict each other, in 'the result JSON'"),
    ],
)
def test_a_value_that_cannot_be_is_refused(key: str, value: object, reason: str) -> None:
    changed = json.loads(RESULT)
    changed["latency"][key] = value
    with pytest.raises(RunnerOutputError) as error:
        parse_result_json(json.dumps(changed))
    assert reason in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", RESULT[:200]])
def test_text_that_is_no_result_is_refused(text: str) -> None:
    with pytest.raises(RunnerOutputError, match=r"^the result JSON is no result of litert-benchmark: "):
        parse_result_json(text)
