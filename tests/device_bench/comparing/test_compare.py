"""Old against new: what is compared, what is refused, and what is said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_bench.comparing.compare import Comparison, check_names, compare, pair_records
from device_bench.comparing.conditions import conditions
from device_bench.comparing.names import CHOSEN, CONDITIONS
from device_bench.comparing.records import Stored
from device_bench.measuring.record import BenchRecord
from models.errors import UnknownNameError, UsageError
from tests.device_bench.cases import make_case, make_model, make_output
from tests.device_bench.comparing.stored import (
    CASE,
    QUIET,
    make_attempt,
    make_record,
    slower,
    with_facts,
    with_plan,
    with_twins,
)

FLOAT = CASE.replace("int8", "float32")
NOTHING: frozenset[str] = frozenset()


def stored(record: BenchRecord, name: str = "new.json") -> Stored:
    return Stored(path=Path(name), record=record)


OLD = stored(make_record(), "old.json")


def against(new: BenchRecord, *across: str, old: Stored = OLD, chosen: tuple[str, str] | None = None) -> Comparison:
    return compare(old, stored(new), frozenset(across), chosen)


def test_the_same_speed_is_no_difference_shown_and_says_what_would_have_been() -> None:
    (row,) = against(make_record(slower(1.0))).rows
    assert (row.verdict, row.failure, row.throttled) == ("no difference shown", None, False)
    assert row.ratio is not None
    assert row.ratio.low <= 1 <= row.ratio.high
    assert row.detectable == pytest.approx(0.015, abs=0.01)


@pytest.mark.parametrize(
    ("factor", "verdict", "regressed"), [(1.1, "slower", True), (1.03, "slower", False), (0.9, "faster", False)]
)
def test_a_regression_is_shown_to_be_slower_and_exceeds_the_limit(factor: float, verdict: str, regressed: bool) -> None:
    (row,) = against(make_record(slower(factor))).rows
    assert row.ratio is not None
    assert row.ratio.ratio == pytest.approx(factor, rel=0.002)
    assert (row.verdict, row.regressed(0.05)) == (verdict, regressed)
    assert not row.regressed(0.2)


def test_a_slowdown_that_noise_could_explain_is_no_regression_however_large() -> None:
    wild = [2000.0, 3000.0, 1500.0, 2600.0, 1900.0, 2900.0, 1700.0]
    loud = against(
        make_record({CASE: [value * 1.1 for value in wild]}), old=stored(make_record({CASE: wild}), "old.json")
    )
    assert loud.rows[0].ratio is not None
    assert loud.rows[0].ratio.ratio > 1.05
    assert not loud.rows[0].regressed(0.05)
    assert loud.rows[0].detectable is not None
    assert loud.rows[0].detectable > 0.3


def test_the_larger_noise_floor_of_both_records_counts() -> None:
    new = make_record(slower(1.03))
    assert against(new).floor is None
    assert against(with_twins(new, 1.02)).floor == pytest.approx(0.02)
    assert against(with_twins(new, 1.02)).rows[0].verdict == "slower"
    old = stored(with_twins(OLD.record, 1 / 1.06), "old.json")
    comparison = against(with_twins(new, 1.02), old=old)
    assert comparison.floor == pytest.approx(0.06)
    assert comparison.rows[0].verdict == "no difference shown"


def other(**changes: Any) -> BenchRecord:
    return make_record(None, **changes)


UNLIKE = {
    "model": (other(model={"name": "mobilenet_v2_1.0"}), "mobilenet_v1_0.25_128 against mobilenet_v2_1.0"),
    "device": (other(target=with_facts(model="Pixel 9")), "Google Pixel 8, GS301 against Google Pixel 9, GS301"),
    "unit": (other(target={**with_facts(), "identity": "ff"}), "1f0c9a2b1f0c9a2b against ff"),
    "os": (other(target=with_facts(os_release="15")), "Android 14 UQ1A against Android 15 UQ1A"),
    "cpus": (other(target={**with_facts(), "cpus": {"usable": [{}]}}), "unknown, 2 CPUs against unknown, 1 CPUs"),
    "mode": (
        other(settings_changed=({"setting": "fixed_performance", "outcome": "accepted"},)),
        "usual against fixed performance",
    ),
    "settings": (
        with_plan(make_record(), settings=replace(make_record().plan.settings, runs=60)),
        " against ".join(f"{runs} runs and 1 s, at most 150 s, after 1 runs and 0.5 s" for runs in (50, 60)),
    ),
    "input": (
        with_plan(make_record(), cases=(make_case(model=make_model(input_shape=(1, 96, 96, 3))),)),
        "1x128x128x3 against 1x96x96x3",
    ),
    "runner": (
        other(runners=({"name": "classic", "flavour": "classic", "sha256": "cd" * 32, "versions": {"tflite": "3"}},)),
        f"classic (classic, sha256 {'ab' * 6}) against classic (classic, sha256 {'cd' * 6}, tflite 3)",
    ),
    "affinity": (with_plan(make_record(), cases=(make_case(cpu_mask=0xF0),)), "none against none 0xf0"),
    "statistic": (
        other(
            attempts=[
                make_attempt(CASE, turn, make_output(2000.0 * noise, median=False)) for turn, noise in enumerate(QUIET)
            ]
        ),
        "median against mean",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNLIKE)
def test_unlike_conditions_are_refused_by_name_and_allowed_by_name(name: str) -> None:
    new, text = UNLIKE[name]
    with pytest.raises(UsageError) as caught:
        against(new)
    assert (
        str(caught.value) == f"unlike conditions: {name}: {text}; measure again alike, or allow it with --across {name}"
    )
    allowed = against(new, name)
    assert allowed.allowed == (f"{name}: {text}",)
    assert allowed.rows[0].verdict == "no difference shown"


def test_all_unlike_conditions_are_named_at_once() -> None:
    new = make_record(None, target=with_facts(os_release="15", model="Pixel 9"))
    with pytest.raises(UsageError, match=r"device: .*; os: .*; .* --across device,os$"):
        against(new)
    with pytest.raises(UsageError, match=r"^unlike conditions: os: .* --across os$"):
        against(new, "device")


def test_every_condition_is_looked_at_and_can_be_refused() -> None:
    known = set(conditions(OLD, OLD.record.plan.cases[0]))
    assert known | {"cases"} == set(CONDITIONS)
    # What is in a case's name differs only between cases that were chosen.
    assert known == set(UNLIKE) | (CHOSEN - {"runner", "affinity"})


def test_no_such_condition_is_an_error_with_the_nearest_name() -> None:
    assert check_names(("os", "unit")) == {"os", "unit"}
    with pytest.raises(UnknownNameError, match=r"^unknown condition 'delegat'; did you mean delegate"):
        check_names(("delegat",))


def test_a_case_that_is_measured_no_more_is_no_pass() -> None:
    both = stored(make_record({**slower(1.0), **slower(1.0, FLOAT)}), "old.json")
    with pytest.raises(UsageError) as caught:
        against(make_record(), old=both)
    assert str(caught.value) == (
        f"1 cases of old.json are not in new.json: {FLOAT}; measure them again, or leave them out with --across cases"
    )
    assert [row.old_case for row in against(make_record(), "cases", old=both).rows] == [CASE]
    # A case more is none of old's business.
    assert len(against(both.record).rows) == 1


def test_records_without_a_common_case_cannot_be_compared() -> None:
    with pytest.raises(
        UsageError, match=r"^no case is in both old\.json and new\.json: int8.* against float32.*--cases"
    ):
        against(make_record(slower(1.0, FLOAT)))


def test_two_cases_of_one_record_are_compared_round_by_round() -> None:
    rounds = (1.0, 1.4, 0.8, 1.2, 2.0, 0.9, 1.1)
    record = make_record(
        {
            FLOAT: [4000.0 * turn for turn in rounds],
            CASE: [3600.0 * turn * noise for turn, noise in zip(rounds, QUIET, strict=True)],
        }
    )
    one = stored(record, "one.json")
    comparison = compare(one, one, NOTHING, (FLOAT, CASE))
    (row,) = comparison.rows
    assert row.ratio is not None
    assert row.ratio.paired
    assert row.verdict == "faster"
    assert row.ratio.ratio == pytest.approx(0.9, rel=0.003)
    assert comparison.allowed == ("precision: float32.tflite against int8.tflite",)
    # At different times the same numbers say nothing.
    assert (
        against(record, old=stored(record, "old.json"), chosen=(FLOAT, CASE)).rows[0].verdict == "no difference shown"
    )


def test_a_record_against_itself_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^OLD and NEW are both old\.json; name two records, or two cases"):
        compare(OLD, OLD, NOTHING)


def test_a_chosen_case_that_does_not_exist_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=rf"did you mean {CASE}\?"):
        against(make_record(), chosen=(CASE, CASE[:-1]))


def test_invalid_numbers_are_never_compared() -> None:
    attempts = make_record(slower(1.5)).attempts
    failed = replace(attempts[2], output=None, failure="ended by SIGILL")
    (row,) = against(make_record(None, attempts=[*attempts[:2], failed, *attempts[3:]])).rows
    assert row.failure == "new: ended by SIGILL"
    assert (row.old, row.new, row.ratio, row.verdict, row.detectable) == (None,) * 5
    assert not row.regressed(0.0)


def test_too_few_processes_are_no_comparison() -> None:
    few = make_record({CASE: [2000.0, 2001.0, 2002.0]})
    (row,) = against(few, old=stored(few, "old.json")).rows
    assert (
        row.failure == "3 and 3 processes are too few for a 95 % interval; at least 4 each: measure with more --repeats"
    )
    assert row.verdict is None


def test_percentiles_come_from_single_runs_where_these_are_known() -> None:
    assert against(make_record()).rows[0].old_p95 is None
    outputs = [make_output(2000.0 * noise) for noise in QUIET]
    known = [
        replace(
            output, measured=replace(output.measured, samples_us=tuple(float(at) for at in range(1, 101)), missing={})
        )
        for output in outputs
    ]
    record = make_record(None, attempts=[make_attempt(CASE, turn, output) for turn, output in enumerate(known)])
    found = against(record, old=stored(record, "old.json")).rows[0].new_p95
    assert found is not None
    assert found.value_us == 95.0


def test_a_throttled_process_marks_its_case() -> None:
    record = make_record()
    hot = replace(record.attempts[3], throttled=("status rose",))
    (row,) = against(make_record(None, attempts=[*record.attempts[:3], hot, *record.attempts[4:]])).rows
    assert row.throttled


def test_several_records_are_paired_by_unit_and_model() -> None:
    def at(unit: str, started: str) -> Stored:
        return stored(make_record(None, started=started, target={**with_facts(), "identity": unit}), f"{unit}.json")

    old, new = (
        {row.key: row for row in (at(unit, day) for unit in units)} for units, day in (("abc", "1"), ("bcd", "2"))
    )
    with pytest.raises(UsageError, match=r"^NEW has no record of the same device and model as .*Pixel 8, 1, "):
        pair_records(old, new, NOTHING)
    pairs = pair_records(old, new, frozenset({"cases"}))
    assert [(left.path.name, right.path.name) for left, right in pairs] == [("b.json", "b.json"), ("c.json", "c.json")]
    # One on each side are meant for each other; whether they are alike is seen later.
    ((left, right),) = pair_records({("a", "m"): at("a", "1")}, {("z", "m"): at("z", "2")}, NOTHING)
    assert (left.path.name, right.path.name) == ("a.json", "z.json")


def test_nothing_in_common_is_never_a_pass() -> None:
    two = {("a", "m"): OLD, ("b", "m"): OLD}
    with pytest.raises(UsageError, match=r"and 1 more; measure there too"):
        pair_records(two, {("c", "m"): OLD}, frozenset({"cases"}))


def test_a_comparison_is_plain_json() -> None:
    value = against(make_record(slower(1.1))).to_json(0.05)
    assert value["rows"][0]["regressed"]
    assert value["rows"][0]["ratio"]["ratio"] == pytest.approx(1.1, rel=0.01)
    assert (value["noise_floor"], value["smallest_effect"]) == (None, 0.01)
    assert value["old"]["title"] == (
        "mobilenet_v1_0.25_128 (digits) on Google Pixel 8, 2026-11-20T12:00:00Z, 0.1.0 40e80a4f1"
    )
