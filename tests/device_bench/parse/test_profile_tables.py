"""Operator profiles as text and as CSV: recordings of TF 2.14, and the exact layouts of other versions."""

from pathlib import Path

import pytest

from device_bench.op_profile import OpProfile, ProfiledNode, ProfiledType
from device_bench.parse import parse_output
from device_bench.parse.lines import read_log
from device_bench.parse.profile_tables import parse_profiles
from device_bench.recording import load_recording, parse_recording
from device_bench.result import RunnerOutput
from models.errors import RunnerOutputError

NATIVE = Path(__file__).parents[2] / "golden" / "native_2.14_arm64"

# Widths of stats_calculator.cc as of 2025, with XNNPACK's kernels.
TEXT = (
    "INFO: Operator-wise Profiling Info for Regular Benchmark Runs:\n"
    "============================== Run Order ==============================\n"
    "\t                             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]\n"  # noqa: E501
    "\t           Convolution (NHWC, F32) IGEMM\t    0.412\t    0.398\t 25.286%\t 25.286%\t     0.000\t        1\t"
    "Delegate/Convolution (NHWC, F32) IGEMM:0\n"
    "\t                       Softmax (NC, F32)\t    0.009\t    0.008\t  0.508%\t100.000%\t     0.000\t        1\t"
    "Delegate/Softmax (NC, F32):3\n"
    "\n"
    "Number of nodes executed: 2\n"
    "============================== Summary by node type ==============================\n"
    "\t                             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]\t[times called]\n"  # noqa: E501
    "\t           Convolution (NHWC, F32) IGEMM\t        1\t     0.398\t    25.286%\t    81.194%\t     0.000\t        1\n"  # noqa: E501
    "\t                       Softmax (NC, F32)\t        1\t     0.008\t     0.508%\t   100.000%\t     0.000\t        1\n"  # noqa: E501
    "\n"
    "Timings (microseconds): count=50 first=1622 curr=1571 min=1560 max=1790 avg=1574 std=31\n"
    "Memory (bytes): count=0\n"
    "2 nodes observed\n"
    "\n"
)
CSV = (
    "Operator-wise Profiling Info for Regular Benchmark Runs:\n"
    "============================== Run Order ==============================\n"
    "node type, first, avg_ms, %, cdf%, mem KB, times called, name\n"
    "Convolution (NHWC, F32) IGEMM, 0.412, 0.398, 25.2859%, 25.2859%, 0, 1, Delegate/Convolution (NHWC\t F32) IGEMM:0\n"
    "Softmax (NC, F32), 0.009, 8e-03, 0.508259%, 100%, 0, 1, Delegate/Softmax (NC\t F32):3\n"
    "\n"
    "Number of nodes executed: 2\n"
    "============================== Summary by node type ==============================\n"
    "node type, count, avg_ms, avg %, cdf %, mem KB, times called\n"
    "Convolution (NHWC, F32) IGEMM, 1, 0.398, 25.2859%, 81.1944%, 0, 1\n"
    "Softmax (NC, F32), 1, 0.008, 0.508259%, 100%, 0, 1\n"
    "\n"
    "Timings (microseconds): count=50 first=1622 curr=1571 min=1560 max=1790 avg=1574 std=31\n"
    "Memory (bytes): count=0\n"
    "2 nodes observed\n"
)
# Until about TF 2.13: a column `start`, narrower types.
WITH_START = TEXT.replace("[node type]\t", "[node type]\t          [start]\t").replace(
    "    0.412\t", "    0.000\t    0.412\t"
)
WITH_START = WITH_START.replace("    0.009\t", "    0.398\t    0.009\t")


def profile(text: str) -> OpProfile:
    (only,) = parse_profiles(read_log(text))
    return only


def recorded(name: str) -> tuple[OpProfile, ...]:
    output = parse_recording(load_recording(NATIVE / name, NATIVE))
    assert isinstance(output, RunnerOutput)
    assert output.profiles is not None
    return output.profiles


@pytest.mark.parametrize("text", [TEXT, CSV, WITH_START], ids=["text", "csv", "with start"])
def test_every_layout_gives_the_same_columns(text: str) -> None:
    read = profile(text)
    assert (read.phase, read.runs, read.mean_us) == ("inference", 50, 1574)
    first, last = read.nodes
    assert first == ProfiledNode(
        node_type="Convolution (NHWC, F32) IGEMM",
        name="Delegate/Convolution (NHWC, F32) IGEMM:0",
        first_us=412,
        mean_us=398,
        share=first.share,
        peak_rss_growth_bytes=0,
        calls=1,
    )
    assert (last.node_type, last.mean_us) == ("Softmax (NC, F32)", 8)
    assert first.share == pytest.approx(0.25286, abs=1e-5)
    assert read.types[1].share == pytest.approx(0.00508, abs=1e-5)
    assert read.types[1] == ProfiledType(
        node_type="Softmax (NC, F32)",
        nodes=1,
        mean_us=8,
        share=read.types[1].share,
        peak_rss_growth_bytes=0,
        calls=1,
    )


@pytest.mark.parametrize("name", ["float32_profile_stdout", "float32_profile_csv", "csv_unwritable"])
def test_a_recorded_profile_is_read_whole(name: str) -> None:
    start, runs = recorded(name)
    assert (start.phase, [node.node_type for node in start.nodes]) == ("initialization", ["AllocateTensors"])
    assert (runs.phase, len(runs.nodes)) == ("inference", 33)
    assert {row.node_type: row.nodes for row in runs.types}["DEPTHWISE_CONV_2D"] == 13
    assert sum(node.share for node in runs.nodes) == pytest.approx(1, abs=1e-3)


def test_a_recorded_text_profile_has_the_numbers_of_its_log() -> None:
    start, runs = recorded("float32_profile_stdout")
    assert (start.nodes[0].mean_us, start.nodes[0].peak_rss_growth_bytes) == (6256, 128 * 1024)
    assert (runs.runs, runs.mean_us) == (10, 103228)
    assert (runs.nodes[0].first_us, runs.nodes[0].mean_us, runs.nodes[0].share) == (6706, 6896, 0.0668)
    assert runs.nodes[-1].name == "[StatefulPartitionedCall_1:0]:32"


def test_a_recorded_csv_profile_has_the_numbers_of_its_file() -> None:
    _, runs = recorded("float32_profile_csv")
    assert (runs.runs, runs.mean_us) == (10, 101161)
    assert (runs.nodes[0].mean_us, runs.nodes[0].share) == (6685.4, 0.0660866)


def test_headings_of_subgraphs_are_kept() -> None:
    body = TEXT.split("\n", 1)[1]
    heading, primary = TEXT.splitlines()[0], "Primary graph (name: main) profile:"
    text = f"{heading}\n{primary}\n{body}Subgraph (index: 1, name: f) profile:\n{body}"
    assert [(p.phase, p.graph) for p in parse_profiles(read_log(text))] == [
        ("inference", "Primary graph (name: main)"),
        ("inference", "Subgraph (index: 1, name: f)"),
    ]


def test_a_build_without_headings_has_an_unknown_phase() -> None:
    read = profile(TEXT.split("\n", 1)[1])
    assert read.phase is None
    assert read.missing["phase"] == "this build prints no heading"


@pytest.mark.parametrize("text", [TEXT, CSV], ids=["text", "csv"])
def test_a_lost_row_is_noticed(text: str) -> None:
    lines = text.splitlines(keepends=True)
    for lost in (3, 4, 9, 10):
        with pytest.raises(RunnerOutputError, match=r"lines were lost$"):
            parse_profiles(read_log("".join(lines[:lost] + lines[lost + 1 :])))


def test_a_profile_without_its_end_is_refused() -> None:
    with pytest.raises(RunnerOutputError, match=r"^no end of an operator profile .looked for '33 nodes observed'"):
        parse_profiles(read_log(TEXT.replace("2 nodes observed\n", "")))


def test_columns_of_an_unknown_layout_are_refused() -> None:
    with pytest.raises(RunnerOutputError, match=r"^columns of an unknown layout in section 'Run Order': "):
        parse_profiles(read_log(CSV.replace("avg_ms, %", "avg_us, %", 1)))


def test_a_row_of_other_columns_is_refused() -> None:
    with pytest.raises(RunnerOutputError, match=r"^a row of 2 cells under 8 columns: "):
        parse_profiles(
            read_log(CSV.replace("Softmax (NC, F32), 0.009, 8e-03, 0.508259%, 100%, 0, 1, Delegate/Softmax", "x, 1"))
        )


def test_a_percentage_without_its_sign_is_refused() -> None:
    with pytest.raises(RunnerOutputError, match=r"^'25.2859' in column '%' is no percentage$"):
        parse_profiles(read_log(CSV.replace("25.2859%, 25.2859%", "25.2859, 25.2859%")))


def test_a_profile_that_was_asked_for_and_is_not_there_is_refused() -> None:
    text = (NATIVE / "float32_profile_csv" / "stdout").read_text("utf-8")
    with pytest.raises(RunnerOutputError, match=r"no operator profile in its output and its file is not here$"):
        parse_output(text)
