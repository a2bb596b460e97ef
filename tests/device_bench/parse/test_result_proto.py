"""The runners' binary result file. No recorded build writes one: the bytes here follow benchmark_result.proto."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.parse.result_proto import parse_result_proto
from models.errors import RunnerOutputError


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def real(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value)


def part(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


# avg, min, max, stddev, median, p5, p95, init, first inference, average warm-up: milliseconds.
TIMES = (14.5731, 14.329, 14.773, 0.095, 14.6, 14.35, 14.75, 20.518, 27.691, 14.8658)
LATENCY = b"".join(real(field, value) for field, value in enumerate(TIMES, 1))
MEMORY = number(1, 3076) + number(2, 4740) + real(3, 24.9375)
MISC = real(1, 0.597056) + number(2, 69) + number(3, 34) + real(4, 3.2)
RESULT = part(1, b"name") + part(2, LATENCY) + part(3, MEMORY) + part(4, MISC)


def test_every_field_is_read_in_microseconds_and_bytes() -> None:
    run = parse_result_proto(RESULT)
    latency = run.latency
    assert (run.init_us, run.first_us) == (20518, 27691)
    assert (latency.runs, latency.mean_us, latency.min_us, latency.max_us) == (69, 14573.1, 14329, 14773)
    assert (latency.std_us, latency.p5_us, latency.median_us, latency.p95_us) == (95, 14350, 14600, 14750)
    assert run.warmup is not None
    assert (run.warmup.runs, run.warmup.mean_us) == (34, 14865.8)
    memory = run.memory
    assert (memory.init_peak_rss_growth_bytes, memory.peak_rss_growth_bytes) == (3076 * 1024, 4740 * 1024)
    assert (memory.peak_rss_bytes, memory.end_rss_bytes) == (25536 * 1024, None)
    assert memory.missing == {"end_rss_bytes": "the message has no such field"}


def test_fields_of_a_newer_runner_are_skipped() -> None:
    newer = RESULT + number(9, 7) + part(10, b"new") + varint(11 << 3 | 1) + bytes(8)
    assert parse_result_proto(newer) == parse_result_proto(RESULT)


def test_memory_that_was_not_measured_is_unknown() -> None:
    negative = part(2, LATENCY) + part(3, real(3, -1)) + part(4, MISC)
    assert set(parse_result_proto(negative).memory.missing.values()) == {"the message has no such field"}


def test_a_run_without_warmup_has_no_first_inference() -> None:
    run = parse_result_proto(part(2, LATENCY) + part(4, number(2, 69) + number(3, 0)))
    assert (run.warmup, run.first_us) == (None, None)
    assert [run.missing[name] for name in ("first_us", "warmup")] == ["no warm-up run was made"] * 2


def test_a_single_run_has_no_spread() -> None:
    times = (14.0, 14.0, 14.0, 0.0, 14.0, 14.0, 14.0, 20.0, 27.0, 14.0)
    latency = b"".join(real(field, value) for field, value in enumerate(times, 1))
    run = parse_result_proto(part(2, latency) + part(4, number(2, 1) + number(3, 1)))
    assert run.latency.missing == {"std_us": "one run has no spread"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no latency_metrics; it has nothing known"),
        (part(2, LATENCY), "no misc_metrics; it has latency_metrics"),
        (part(2, LATENCY) + part(4, number(3, 1)), "num_runs is None, num_warmup_runs 1"),
        (part(2, real(2, 1.0)) + part(4, MISC), "no avg_ms"),
        (number(2, 5) + part(4, MISC), "a number where a message should be"),
        (part(2, real(1, float("nan"))) + part(4, MISC), "a latency of nan ms"),
        (part(2, LATENCY) + part(4, real(2, 69.0)), "bytes where a number should be"),
        (b"\xff" * 12, "a number without end at byte 10"),
        (b"\x0b", "wire type 3 at byte 1"),
    ],
)
def test_what_is_no_result_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RunnerOutputError) as error:
        parse_result_proto(data)
    assert str(error.value) == f"the result file is no complete BenchmarkResult: {reason}"


@pytest.mark.parametrize("size", range(len(RESULT)))
def test_a_cut_file_is_refused(size: int) -> None:
    with pytest.raises(RunnerOutputError, match=r"^the result file is no complete BenchmarkResult: "):
        parse_result_proto(RESULT[:size])


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_the_one_error(data: bytes) -> None:
    with suppress(RunnerOutputError):
        parse_result_proto(data)
