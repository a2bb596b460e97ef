"""LiteRT's native runner: a block in milliseconds on standard error."""

import pytest

from device_bench.parse import parse_output
from device_bench.result import Measured, RunnerOutput
from models.errors import RunnerOutputError

# mlcommons/mobile_app_open#1134, nightly of 2026-07.
BLOCK = """\
INFO: [benchmark_litert_model.h:91] 
========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:92] Signature name:       prefill_1024
INFO: [benchmark_litert_model.h:94] Model initialization: 23744.73 ms
INFO: [benchmark_litert_model.h:96] Warmup (first):       7441.04 ms
INFO: [benchmark_litert_model.h:98] Warmup (avg):         7441.04 ms (1 runs)
INFO: [benchmark_litert_model.h:100] Inference (avg):      7430.20 ms (10 runs)
INFO: [benchmark_litert_model.h:104] Inference (min):      7416.40 ms
INFO: [benchmark_litert_model.h:106] Inference (max):      7448.86 ms
INFO: [benchmark_litert_model.h:108] Inference (std):      9.92
INFO: [benchmark_litert_model.h:115] Throughput:           27.46 MB/s
INFO: [benchmark_litert_model.h:124] 
Memory Usage:
INFO: [benchmark_litert_model.h:126] Init footprint:       6391.74 MB
INFO: [benchmark_litert_model.h:128] Overall footprint:    6391.74 MB
INFO: [benchmark_litert_model.h:135] Peak memory usage not available. (peak_mem_mb <= 0)
"""  # noqa: W291

# The lines that both native runners print on standard output; the numbers fit those of the block.
STDOUT = """\
INFO: STARTING!
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=1 curr=7441041 p5=7441041 median=7441041 p95=7441041

INFO: Running benchmark for at least 10 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=10 first=7416402 curr=7430000 min=7416402 max=7448861 avg=7.4302e+06 std=9921 p5=7416402 median=7430100 p95=7448861

"""  # noqa: E501


def measured(stdout: str, stderr: str) -> Measured:
    output = parse_output(stdout, stderr)
    assert isinstance(output, RunnerOutput)
    assert output.flavour == "litert"
    return output.measured


def test_the_block_alone_gives_microseconds_and_no_percentiles() -> None:
    run = measured("", BLOCK)
    assert (run.init_us, run.first_us) == (23744730, 7441040)
    latency = run.latency
    assert (latency.runs, latency.mean_us, latency.min_us, latency.max_us) == (10, 7430200, 7416400, 7448860)
    assert (latency.std_us, latency.p5_us, latency.median_us, latency.p95_us) == (9920, None, None, None)
    assert latency.missing == dict.fromkeys(("p5_us", "median_us", "p95_us"), "this build prints no percentiles")


def test_the_warmup_of_the_block_has_an_average_and_nothing_else() -> None:
    warmup = measured("", BLOCK).warmup
    assert warmup is not None
    assert (warmup.runs, warmup.mean_us, warmup.min_us) == (1, 7441040, None)
    assert warmup.missing["min_us"] == "the runner prints only the average of the warm-up"


def test_an_unmeasured_peak_is_unknown_and_not_zero() -> None:
    memory = measured("", BLOCK).memory
    assert memory.init_peak_rss_growth_bytes == memory.peak_rss_growth_bytes == round(6391.74 * 1024) * 1024
    assert memory.missing["peak_rss_bytes"] == "not asked for: --report_peak_memory_footprint"


def test_a_measured_peak_is_read() -> None:
    line = "Peak memory usage not available. (peak_mem_mb <= 0)"
    memory = measured("", BLOCK.replace(line, "Peak memory:          24.50 MB")).memory
    assert memory.peak_rss_bytes == 25088 * 1024


def test_the_finer_lines_of_standard_output_win() -> None:
    run = measured(STDOUT, BLOCK)
    assert (run.first_us, run.latency.min_us, run.latency.p95_us) == (7441041, 7416402, 7448861)


def test_the_older_name_of_the_first_run_is_read() -> None:
    assert measured("", BLOCK.replace("Warmup (first): ", "First inference:")).first_us == 7441040


def test_block_and_lines_of_two_runs_are_refused() -> None:
    with pytest.raises(
        RunnerOutputError, match=r"the mean_us is 7\.4302e\+06 in 'BENCHMARK RESULTS', but 7\.5302e\+06"
    ):
        measured(
            STDOUT.replace("7448861", "8448861").replace("7.4302", "7.5302").replace("std=9921", "std=300000"), BLOCK
        )


@pytest.mark.parametrize("number", range(2, 16))
def test_no_line_of_the_block_may_be_lost_unnoticed(number: int) -> None:
    lines = BLOCK.splitlines(keepends=True)
    whole, lost = measured("", BLOCK), lines[number]
    text = "".join(line for line in lines if line is not lost)
    if "Signature" in lost or "Throughput" in lost or lost.endswith("] \n"):
        assert measured("", text) == whole
    elif "Memory Usage" in lost:
        assert set(measured("", text).memory.missing.values()) == {"the runner did not print it"}
    else:
        with pytest.raises(RunnerOutputError, match=r"^no line '.*; the nearest line is 'INFO: "):
            measured("", text)


def test_zero_measured_runs_are_no_result() -> None:
    text = BLOCK.replace("7430.20 ms (10 runs)", "0.00 ms (0 runs)")
    with pytest.raises(RunnerOutputError, match=r"^nothing was measured: 'Inference \(avg\)' of 0 runs"):
        measured("", text)
