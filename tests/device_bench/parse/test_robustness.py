"""Damaged logs: the parsers refuse them or give the same numbers; they never give others.

What is beyond any parser is one digit changed to another in a number that the log states once and that still makes
sense. So damage here is what happens to logs: an end cut off, lines lost or doubled, foreign lines between and inside
lines, bytes overwritten by something that is no digit.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device_bench.parse import parse_output
from device_bench.result import RunnerOutput
from models.errors import RunnerOutputError

GOLDEN = Path(__file__).parents[2] / "golden"
NAMES = (
    "native_2.14_arm64/float32_plain",
    "native_2.14_arm64/int8_peakmem",
    "native_2.14_arm64/int8_min_secs0",
    "native_2.14_arm64/bad_input_shape",
    "native_2.14_arm64/csv_unwritable",
    "litert_python_2.3_arm64/int8_plain",
    "litert_python_2.3_arm64/npu",
)
LOGS = {name: tuple((GOLDEN / name / stream).read_text("utf-8") for stream in ("stdout", "stderr")) for name in NAMES}
FOREIGN = "INFO: Created 1 GPU delegate kernels.\n"


def read(stdout: str, stderr: str) -> dict[str, Any]:
    output = parse_output(stdout, stderr, exit_code=0)
    assert isinstance(output, RunnerOutput)
    return {"measured": asdict(output.measured), "profiles": [asdict(profile) for profile in output.profiles or ()]}


WHOLE = {name: read(*log) for name, log in LOGS.items()}


def assert_same_or_unknown(damaged: Any, whole: Any) -> None:
    """Every number equal; where one became unknown, it has a reason (the values themselves see to that)."""
    if isinstance(damaged, dict):
        for key in damaged.keys() - {"missing"}:
            assert_same_or_unknown(damaged[key], whole[key])
    elif isinstance(damaged, (list, tuple)):
        assert len(damaged) in (0, len(whole))
        for one, other in zip(damaged, whole, strict=False):
            assert_same_or_unknown(one, other)
    elif damaged is not None and not isinstance(damaged, str):
        assert damaged == whole


def check(name: str, stdout: str, stderr: str | None = None) -> None:
    try:
        damaged = read(stdout, LOGS[name][1] if stderr is None else stderr)
    except RunnerOutputError:
        return
    assert_same_or_unknown(damaged, WHOLE[name])


@pytest.mark.parametrize("name", [name for name in NAMES if len(LOGS[name][0]) < 2000])
def test_a_log_cut_anywhere_gives_no_other_numbers(name: str) -> None:
    for at in range(len(LOGS[name][0])):
        check(name, LOGS[name][0][:at])


@given(name=st.sampled_from(NAMES), share=st.floats(0, 1))
def test_both_streams_cut_anywhere_give_no_other_numbers(name: str, share: float) -> None:
    out, err = (text[: int(len(text) * share)] for text in LOGS[name])
    check(name, out, err)


@pytest.mark.parametrize("name", NAMES)
def test_a_line_lost_or_doubled_gives_no_other_numbers(name: str) -> None:
    lines = LOGS[name][0].splitlines(keepends=True)
    for at in range(len(lines)):
        check(name, "".join(lines[:at] + lines[at + 1 :]))
        check(name, "".join([*lines[:at], lines[at], *lines[at:]]))


@given(name=st.sampled_from(NAMES), data=st.data())
def test_lines_lost_together_give_no_other_numbers(name: str, data: st.DataObject) -> None:
    lines = LOGS[name][0].splitlines(keepends=True)
    start = data.draw(st.integers(0, len(lines)))
    end = data.draw(st.integers(start, len(lines)))
    check(name, "".join(lines[:start] + lines[end:]))


@pytest.mark.parametrize("name", [name for name in NAMES if len(LOGS[name][0]) < 2000])
def test_a_foreign_line_between_or_inside_lines_gives_no_other_numbers(name: str) -> None:
    for at in range(len(LOGS[name][0])):
        check(name, LOGS[name][0][:at] + FOREIGN + LOGS[name][0][at:])


NO_DIGITS = st.text(
    st.characters(exclude_categories=["Nd"], exclude_characters="\n0123456789+-.e"), min_size=1, max_size=9
)


@given(name=st.sampled_from(NAMES), data=st.data(), garbage=NO_DIGITS)
@example(name=NAMES[0], data=None, garbage="\x00")
def test_bytes_overwritten_give_no_other_numbers(name: str, data: st.DataObject | None, garbage: str) -> None:
    text = LOGS[name][0]
    start = len(text) // 2 if data is None else data.draw(st.integers(0, len(text)))
    length = 1 if data is None else data.draw(st.integers(0, 40))
    check(name, text[:start] + garbage + text[start + length :])


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_gives_the_one_error(stdout: str, stderr: str) -> None:
    with pytest.raises(RunnerOutputError):
        parse_output(stdout, stderr)


NINES = "9" * 5000


@pytest.mark.parametrize(
    "text",
    [
        f"count={NINES} curr=5(all same)\n",
        f"INFO: Created {NINES} GPU delegate kernels.\n",
        f"Warmup (first):  1.00 ms\nWarmup (avg):  1.00 ms ({NINES} runs)\n",
        f"Model initialization: {NINES} ms\n",
        f"{NINES} nodes observed\n",
        f"- VmRSS : {NINES} MB\n",
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_absurd_length_give_no_other_numbers(name: str, text: str) -> None:
    check(name, text + LOGS[name][0])
    check(name, LOGS[name][0] + text)
