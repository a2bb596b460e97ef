"""What a benchmark's notes say of its statistics."""

from dataclasses import replace
from pathlib import Path

from device_bench.measuring.record import BenchRecord
from device_bench.measuring.tables import bench_notes
from tests.device_bench.cases import make_output
from tests.device_bench.comparing.stored import CASE, QUIET, make_attempt, make_record, with_twins


def notes(record: BenchRecord) -> str:
    return "\n".join(bench_notes(record, Path("r.json")))


def warming(count: int) -> BenchRecord:
    """A record, `count` of whose seven processes begin slowly."""
    samples = (*[3000.0] * 20, *[2000.0] * 80)
    output = make_output(2000.0)
    slow = replace(output, measured=replace(output.measured, samples_us=samples, missing={}))
    attempts = [
        make_attempt(CASE, turn, slow if turn < count else make_output(2000.0 * noise))
        for turn, noise in enumerate(QUIET)
    ]
    return make_record(None, attempts=attempts)


def test_the_noise_floor_is_told_where_it_was_measured() -> None:
    assert "noise floor" not in notes(make_record())
    told = notes(with_twins(make_record(), 1.004))
    assert f"noise floor ±0.4%: {CASE} measured twice, ratio 1.004 (1.004-1.004)" in told
    assert "beyond chance" not in told


def test_twins_that_differ_beyond_chance_cast_doubt_on_the_run() -> None:
    assert "they differ beyond chance, so trust no small difference here" in notes(with_twins(make_record(), 1.05))


def test_warm_up_is_told_where_most_processes_had_not_ended_it() -> None:
    assert "warming" not in notes(warming(3))
    assert f"[yellow]warming[/] {CASE}: most processes' first timed runs were warm-up and are left out" in notes(
        warming(4)
    )
