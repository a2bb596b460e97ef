"""Text of the classic runner: recordings of TF 2.14, and logs of other versions quoted from their sources."""

from pathlib import Path

import pytest

from device_bench.parse import parse_output
from device_bench.recording import load_recording, parse_recording
from device_bench.result import Measured, MemoryUse, RunnerOutput
from models.errors import RunnerOutputError

NATIVE = Path(__file__).parents[2] / "golden" / "native_2.14_arm64"
UNASKED = "not asked for: --report_peak_memory_footprint"

# Android, CPU, a build with percentiles of 2025; lines of both streams merged.
ANDROID = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Num threads: [4]
INFO: Graph: [/data/local/tmp/mask_estimator_phy.tflite]
INFO: Signature to run: []
INFO: #threads used for CPU inference: [4]
INFO: Loaded model /data/local/tmp/mask_estimator_phy.tflite
INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 49 out of 49 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions for subgraph 0.
INFO: The input model file size (MB): 16.1527
INFO: Initialized session in 102.32ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=1 curr=670083 p5=670083 median=670083 p95=670083

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=50 first=591245 curr=917186 min=502355 max=2270688 avg=699438 std=325425 p5=502674 median=576856 p95=1373207

INFO: Inference timings in us: Init: 102320, First inference: 670083, Warmup (avg): 670083, Inference (avg): 699438
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=98.0977 overall=99.2031
"""  # noqa: E501

# 2019: no prefixes, another summary, another line on memory.
OLD = """\
STARTING!
Num threads: [1]
Running benchmark for at least 1 iterations and at least 0.5 seconds
count=7 first=80000 curr=76000 min=75000 max=80000 avg=76605.9 std=1800

Running benchmark for at least 50 iterations and at least 1 seconds
count=50 first=66000 curr=67000 min=65000 max=70000 avg=66767.6 std=900

Average inference timings in us: Warmup: 76605.9, Init: 9933, no stats: 66767.6
Peak memory footprint (MB): init=0 overall=12.8672
"""


def recorded(name: str) -> RunnerOutput:
    output = parse_recording(load_recording(NATIVE / name, NATIVE))
    assert isinstance(output, RunnerOutput)
    return output


def measured(text: str) -> Measured:
    output = parse_output(text)
    assert isinstance(output, RunnerOutput)
    return output.measured


def test_a_plain_run_gives_the_numbers_of_its_log() -> None:
    run = recorded("float32_plain")
    assert (run.flavour, run.version) == ("classic", None)
    assert (run.measured.init_us, run.measured.first_us) == (22354, 111997)
    warmup, latency = run.measured.warmup, run.measured.latency
    assert warmup is not None
    assert (warmup.runs, warmup.mean_us, warmup.min_us, warmup.max_us, warmup.std_us) == (
        5,
        103129,
        100260,
        111997,
        4463,
    )
    assert (latency.runs, latency.mean_us, latency.min_us, latency.max_us) == (20, 108764, 98372, 124953)
    assert (latency.std_us, latency.p5_us, latency.median_us, latency.p95_us) == (11178, None, None, None)
    # 3.36719 MiB are 3448 KiB, 6.20312 MiB are 6352 KiB.
    assert run.measured.memory == MemoryUse(
        init_peak_rss_growth_bytes=3448 * 1024,
        peak_rss_growth_bytes=6352 * 1024,
        peak_rss_bytes=None,
        end_rss_bytes=None,
        missing={"peak_rss_bytes": UNASKED, "end_rss_bytes": UNASKED},
    )
    assert run.warnings == ()
    assert ("Num threads", "1") in run.parameters
    assert run.missing["profiles"] == "the run did not profile"


def test_growth_and_peak_of_memory_are_kept_apart() -> None:
    memory = recorded("int8_peakmem").measured.memory
    # init=3.00391 overall=4.62891, peak 24.9375 MiB, VmRSS 26 MB.
    assert memory.init_peak_rss_growth_bytes == 3076 * 1024
    assert memory.peak_rss_growth_bytes == 4740 * 1024
    assert memory.peak_rss_bytes == 25536 * 1024
    assert memory.end_rss_bytes == 26 * 2**20
    assert memory.missing == {}


def test_a_run_without_warmup_has_no_first_inference() -> None:
    run = recorded("int8_min_secs0").measured
    assert (run.warmup, run.first_us, run.latency.runs, run.latency.mean_us) == (None, None, 3, 18313.3)
    assert [run.missing[name] for name in ("first_us", "warmup")] == ["no warm-up run was made"] * 2


def test_a_single_run_is_a_result_without_spread() -> None:
    latency = recorded("bad_input_shape").measured.latency
    assert (latency.runs, latency.mean_us, latency.median_us, latency.std_us) == (1, 4368, 4368, None)


def test_a_dry_run_is_no_result() -> None:
    with pytest.raises(
        RunnerOutputError, match=r"^nothing was measured: 'count=0'; give --num_runs, and no --dry_run$"
    ):
        recorded("dry_run")


def test_verbose_settings_are_kept_even_where_a_name_comes_twice() -> None:
    parameters = recorded("int8_verbose").parameters
    twice = "Index of the first node that could be delegated"
    assert [text for name, text in parameters if name == twice] == ["0", "2147483647"]
    assert ("Max runs duration (seconds)", "150") in parameters


def test_a_warning_of_a_successful_run_is_kept() -> None:
    assert recorded("bad_input_name").warnings == (
        "WARN: Tensor # 0 is named serving_default_keras_tensor:0 but flags call it wrong",
    )


def test_percentiles_of_a_newer_build_are_read() -> None:
    run = measured(ANDROID)
    assert (run.init_us, run.first_us) == (102320, 670083)
    assert (run.latency.p5_us, run.latency.median_us, run.latency.p95_us) == (502674, 576856, 1373207)
    assert run.memory.init_peak_rss_growth_bytes == round(98.0977 * 1024) * 1024


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_builds_without_prefix_give_the_same_numbers(end: str) -> None:
    bare = ANDROID.replace("INFO: ", "").replace("VERBOSE: ", "")
    assert measured(bare.replace("\n", end)) == measured(ANDROID)


def test_the_app_seen_through_logcat_gives_the_same_numbers() -> None:
    stamp = "05-30 15:16:45.362  3380  3380 I tflite  : "
    lines = ANDROID.replace("INFO: ", "").replace("VERBOSE: ", "").splitlines()
    other = "05-30 15:16:45.363  1200  1200 I ActivityManager: count=7 curr=3\n"
    logcat = "".join(f"{stamp}{line}\n{other}" for line in lines if line)
    assert measured(logcat) == measured(ANDROID)


def test_the_summary_of_2019_is_read() -> None:
    run = measured(OLD)
    assert (run.init_us, run.first_us, run.latency.mean_us) == (9933, 80000, 66767.6)
    assert (run.memory.init_peak_rss_growth_bytes, run.memory.peak_rss_growth_bytes) == (0, 13176 * 1024)


def test_latency_of_seconds_in_scientific_notation_is_read() -> None:
    text = ANDROID.replace("avg=699438 ", "avg=1.30935e+06 ").replace(
        "Inference (avg): 699438", "Inference (avg): 1.30935e+06"
    )
    assert measured(text).latency.mean_us == 1309350


def test_streams_kept_apart_or_merged_give_the_same() -> None:
    out = "".join(line for line in ANDROID.splitlines(keepends=True) if "XNNPACK delegate" not in line)
    apart = parse_output(out, "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
    assert isinstance(apart, RunnerOutput)
    assert apart.measured == measured(ANDROID)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("INFO: Inference timings", "no summary (looked for 'INFO: Inference timings in us: Init: ')"),
        ("INFO: count=50", "no statistics of the measured runs"),
        ("INFO: count=1 ", "no two starts with statistics"),
        ("INFO: Memory footprint delta", "no growth of memory"),
    ],
)
def test_a_lost_line_is_named_with_the_nearest(line: str, what: str) -> None:
    text = "".join(row for row in ANDROID.splitlines(keepends=True) if not row.startswith(line))
    with pytest.raises(RunnerOutputError) as error:
        parse_output(text)
    assert what in str(error.value)
    assert "; the nearest line is '" in str(error.value)
    assert error.value.transient


def test_two_runs_in_one_file_are_refused() -> None:
    with pytest.raises(RunnerOutputError, match=r"4 starts and 4 statistics where one run has two of each"):
        parse_output(ANDROID + ANDROID)


@pytest.mark.parametrize(
    ("was", "now", "what"),
    [
        ("Inference (avg): 699438", "Inference (avg): 69943", "average is 69943 in 'Inference timings in us: "),
        ("First inference: 670083", "First inference: 670093", "first inference is 670093"),
        ("Init: 102320", "Init: 10232", "initialisation is 10232 "),
    ],
)
def test_a_number_that_the_log_states_twice_must_agree(was: str, now: str, what: str) -> None:
    with pytest.raises(RunnerOutputError) as error:
        parse_output(ANDROID.replace(was, now))
    assert what in str(error.value)


def test_a_last_line_without_its_end_is_not_read() -> None:
    with pytest.raises(RunnerOutputError, match=r"no growth of memory"):
        parse_output(ANDROID.removesuffix("1\n"))


@pytest.mark.parametrize("text", ["", "start\n", "\n\n"])
def test_text_of_no_runner_is_refused(text: str) -> None:
    with pytest.raises(RunnerOutputError, match=r"^no output of a benchmark runner \(looked for 'INFO: STARTING!'\)"):
        parse_output(text)
