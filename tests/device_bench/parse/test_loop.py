"""Output of the timed loop: statistics by definition, and files that are cut, mixed or forged."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.parse import parse_output
from device_bench.parse.loop import summarise
from device_bench.recording import load_recording, parse_recording
from device_bench.result import RunnerOutput
from models.errors import RunnerOutputError

RESULT: dict[str, Any] = {
    "schema": 1,
    "package": "ai_edge_litert",
    "versions": {"ai_edge_litert": "2.3.0", "numpy": "2.4.6", "python": "3.11.7"},
    "parameters": {"threads": 1, "xnnpack": "on", "runs": 4},
    "init_us": 900.5,
    "warmup_us": [50.0, 12.0],
    "samples_us": [10.0, 14.0, 11.0, 13.0],
    "memory_bytes": {
        "start": {"peak": 40, "now": 40},
        "loaded": {"peak": 50, "now": 45},
        "end": {"peak": 60, "now": 55},
    },
    "delegation": {"nodes": 2, "nodes_total": 3, "kernels": 1},
}
XNNPACK = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"


def log_of(text: str, runs: int = 4) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"INFO: timed loop: ai_edge_litert 2.3.0\nINFO: timed loop result: {runs} runs, sha256 {digest}\n"


def parse(value: object, *, stderr: str = "", runs: int = 4) -> RunnerOutput:
    text = value if isinstance(value, str) else json.dumps(value)
    output = parse_output(log_of(text, runs), stderr, exit_code=0, result_json=text)
    assert isinstance(output, RunnerOutput)
    return output


def test_all_numbers_come_out() -> None:
    output = parse(RESULT)
    measured = output.measured
    assert (output.flavour, output.version) == ("loop", "ai_edge_litert 2.3.0")
    assert (measured.init_us, measured.first_us, measured.samples_us) == (900.5, 50.0, (10.0, 14.0, 11.0, 13.0))
    latency = measured.latency
    assert (latency.runs, latency.mean_us, latency.min_us, latency.max_us) == (4, 12.0, 10.0, 14.0)
    assert (latency.p5_us, latency.median_us, latency.p95_us, latency.std_us) == (10.0, 13.0, 14.0, math.sqrt(2.5))
    memory = measured.memory
    assert (memory.init_peak_rss_growth_bytes, memory.peak_rss_growth_bytes) == (10, 20)
    assert (memory.peak_rss_bytes, memory.end_rss_bytes) == (60, 55)
    assert ("threads", "1") in output.parameters
    assert ("numpy", "2.4.6") in output.parameters
    assert output.missing == {"profiles": "the timed loop does not profile"}


def test_what_the_machine_does_not_tell_is_unknown_with_its_reason() -> None:
    output = parse(RESULT | {"memory_bytes": None, "delegation": None, "warmup_us": []}, stderr=XNNPACK)
    assert output.measured.first_us is None
    assert output.measured.missing == dict.fromkeys(("first_us", "warmup"), "no warm-up run was made")
    assert set(output.measured.memory.missing.values()) == {"the system has no /proc/self/status"}
    (row,) = output.delegations
    assert (row.delegate, row.verdict, row.nodes) == ("xnnpack", "implicit_xnnpack", None)


def test_without_a_word_on_delegates_where_it_ran_is_unknown() -> None:
    (row,) = parse(RESULT | {"delegation": None}).delegations
    assert (row.delegate, row.verdict) == ("cpu", "unknown")


def test_one_run_has_no_spread() -> None:
    output = parse(RESULT | {"samples_us": [3.0]}, runs=1)
    assert output.measured.latency.std_us is None
    assert output.measured.latency.missing == {"std_us": "one run has no spread"}


@given(st.lists(st.floats(min_value=1e-3, max_value=1e9), min_size=1, max_size=300))
def test_statistics_are_those_of_the_native_runner(samples: list[float]) -> None:
    summary, ordered = summarise(samples), sorted(samples)
    # stats_calculator.h: `sorted[static_cast<size_t>(n * p / 100.0)]`.
    for percent, value in ((5, summary.p5_us), (50, summary.median_us), (95, summary.p95_us)):
        assert value == ordered[int(len(ordered) * percent / 100.0)]
    assert (summary.runs, summary.min_us, summary.max_us) == (len(samples), ordered[0], ordered[-1])
    assert summary.mean_us == pytest.approx(sum(samples) / len(samples))


def test_a_log_cut_anywhere_is_no_result() -> None:
    text = json.dumps(RESULT)
    log = log_of(text)
    for length in range(len(log)):
        with pytest.raises(RunnerOutputError):
            parse_output(log[:length], XNNPACK, exit_code=0, result_json=text)


def test_a_file_cut_anywhere_is_no_result() -> None:
    text = json.dumps(RESULT)
    for length in range(len(text)):
        with pytest.raises(RunnerOutputError, match=r"^the JSON file has sha256 .* it is cut or of another run$"):
            parse_output(log_of(text), exit_code=0, result_json=text[:length])


def test_a_run_that_failed_after_its_result_is_no_result() -> None:
    text = json.dumps(RESULT)
    with pytest.raises(RunnerOutputError, match=r"^the command was ended by SIGSEGV \(exit code 139\)"):
        parse_output(log_of(text), exit_code=139, result_json=text)


def test_without_its_file_there_is_no_result() -> None:
    with pytest.raises(RunnerOutputError, match=r"^the run wrote result\.json, which is not here"):
        parse_output(log_of("{}"), exit_code=0)


def test_two_runs_in_one_log_are_no_result() -> None:
    text = json.dumps(RESULT)
    with pytest.raises(RunnerOutputError, match=r"is there 2 times"):
        parse_output(log_of(text) * 2, exit_code=0, result_json=text)


WRONG = [
    ({"samples_us": []}, 0, "no runs"),
    ({"samples_us": [1.0] * 3}, 4, "3 samples of 4 runs"),
    ({"samples_us": [1.0, 0.0, 1.0, 1.0]}, 4, "'0.0' is no latency"),
    ({"samples_us": [1.0, -1.0, 1.0, 1.0]}, 4, "'-1.0' is no latency"),
    ({"samples_us": [1.0, True, 1.0, 1.0]}, 4, "'True' is no latency"),
    ({"samples_us": [1.0, "1", 1.0, 1.0]}, 4, "'1' is no latency"),
    ({"samples_us": [1.0, math.nan, 1.0, 1.0]}, 4, "'nan' is no latency"),
    ({"samples_us": [1.0, math.inf, 1.0, 1.0]}, 4, "'inf' is no latency"),
    ({"samples_us": None}, 4, "'NoneType'"),
    ({"init_us": 0}, 4, "'0' is no latency"),
    ({"init_us": None}, 4, "'None' is no latency"),
    ({"warmup_us": 3}, 4, "'int' object is not iterable"),
    ({"schema": 2}, 4, "schema is not 1"),
    ({"parameters": None}, 4, "'NoneType' object has no attribute 'items'"),
    ({"parameters": {"threads": [1]}}, 4, "parameters and versions are texts and numbers"),
    (
        {"memory_bytes": {"start": {"peak": 9}, "loaded": {"peak": 8}, "end": {"peak": 9}}},
        4,
        "a peak of memory that falls",
    ),
    ({"memory_bytes": {"start": {"peak": 1}}}, 4, "no 'loaded'"),
    ({"memory_bytes": {"start": {"peak": "1"}, "loaded": {"peak": 1}, "end": {"peak": 1}}}, 4, "is no number of bytes"),
    ({"delegation": {"nodes": 4, "nodes_total": 3, "kernels": 1}}, 4, "4 of 3 nodes in 1 kernels"),
    ({"delegation": {"nodes": 0, "nodes_total": 3, "kernels": 1}}, 4, "0 of 3 nodes in 1 kernels"),
    ({"delegation": {"nodes": 1}}, 4, "no 'nodes_total'"),
    ({"delegation": {"providers": ["CUDAExecutionProvider", "CPUExecutionProvider"]}}, 4, "providers are "),
]


@pytest.mark.parametrize(("change", "runs", "message"), WRONG)
def test_a_file_that_contradicts_itself_is_refused(change: dict[str, Any], runs: int, message: str) -> None:
    with pytest.raises(RunnerOutputError) as caught:
        parse(RESULT | change, runs=runs)
    assert str(caught.value).startswith("the JSON file is no result of the timed loop: ")
    assert message in str(caught.value)


# The package is in the log too.
@pytest.mark.parametrize("name", sorted(RESULT.keys() - {"package"}))
def test_every_part_of_the_file_is_needed(name: str) -> None:
    with pytest.raises(RunnerOutputError, match=rf"no '{name}'$"):
        parse({key: value for key, value in RESULT.items() if key != name})


@pytest.mark.parametrize("text", ["[]", "null", "[" * 100_000, '{"schema": 1', "1e999", ""])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(RunnerOutputError, match=r"^the JSON file is no result of the timed loop: "):
        parse(text)


def test_a_stored_run_is_read_again(tmp_path: Path) -> None:
    text = json.dumps(RESULT)
    (tmp_path / "stdout").write_text(log_of(text), "utf-8")
    (tmp_path / "result.json").write_text(text, "utf-8")
    assert parse_recording(load_recording(tmp_path, tmp_path)) == parse(RESULT)
