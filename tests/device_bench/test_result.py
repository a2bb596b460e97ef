"""Values keep their reasons and come back from JSON unchanged."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.recording import find_recordings, load_recording, parse_recording
from device_bench.result import LatencySummary, RunnerHelp, RunnerOutput
from models.errors import RunnerOutputError

GOLDEN = Path(__file__).parents[1] / "golden"


def outputs() -> dict[str, RunnerOutput | RunnerHelp]:
    read: dict[str, RunnerOutput | RunnerHelp] = {}
    for folder in find_recordings(GOLDEN):
        recording = load_recording(folder, GOLDEN)
        try:
            read[recording.name] = parse_recording(recording)
        except RunnerOutputError:
            continue
    return read


OUTPUTS = outputs()
RUN = OUTPUTS["native_2.14_arm64/float32_plain"]
assert isinstance(RUN, RunnerOutput)


def test_the_recordings_that_hold_a_result_are_these() -> None:
    assert {name.split("/")[1] for name in OUTPUTS if name.startswith("native")} == {
        "bad_input_name",
        "bad_input_shape",
        "csv_unwritable",
        "float32_plain",
        "float32_profile_csv",
        "float32_profile_stdout",
        "help",
        "int8_min_secs0",
        "int8_peakmem",
        "int8_verbose",
    }
    assert {name.split("/")[1] for name in OUTPUTS if name.startswith("litert")} == {
        "float32_plain",
        "int8_plain",
        "json_unwritable",
        "npu",
    }
    assert not [name for name in OUTPUTS if name.startswith("adb")]


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_comes_back_from_json(name: str) -> None:
    value = OUTPUTS[name]
    assert type(value).from_json(json.loads(json.dumps(value.to_json(), allow_nan=False))) == value


@pytest.mark.parametrize("kind", [RunnerOutput, RunnerHelp])
def test_json_of_another_schema_is_refused(kind: type[RunnerOutput] | type[RunnerHelp]) -> None:
    with pytest.raises(ValueError, match=r"schema 2, known is 1$"):
        kind.from_json({"schema": 2})


def test_an_unknown_number_without_a_reason_cannot_be() -> None:
    known = {"min_us": 1.0, "max_us": 1.0, "std_us": 0.0, "p5_us": 1.0, "p95_us": 1.0}
    with pytest.raises(ValueError, match=r"^unknown are \['median_us'\], reasons are given for \[\]$"):
        LatencySummary(runs=1, mean_us=1.0, median_us=None, missing={}, **known)


def test_a_reason_for_a_known_number_cannot_be() -> None:
    assert isinstance(RUN, RunnerOutput)
    with pytest.raises(ValueError, match=r"reasons are given for \['first_us'\]$"):
        replace(RUN.measured, missing={"first_us": "why?"})


def test_a_run_says_where_it_ran() -> None:
    assert isinstance(RUN, RunnerOutput)
    with pytest.raises(ValueError, match=r"^a run without a statement of where it ran$"):
        replace(RUN, delegations=())
