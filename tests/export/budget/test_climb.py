"""The order of the rungs, when to stop, and what is taken where none serves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from export.budget.climb import climb
from export.budget.rungs import FIRST, LEVERS, Climbed, Rung, RungResult
from models.errors import ConversionError

MIXED = Rung(name="mixed 1", settings=replace(FIRST.settings, float_blocks=1), precision="int8_mixed")


def result(name: str, bound: float, error: float) -> RungResult:
    return RungResult(
        name=name, size_bytes=1, top1=0.9, drop=bound / 2, drop_ci95=(0.0, bound), agreement=0.9, mean_error=error,
        relative_latency=0.4,
    )  # fmt: skip


def climbing(
    max_drop: float, found: Mapping[str, tuple[float, float]], more: Sequence[Rung] = ()
) -> tuple[Climbed, list[Rung]]:
    """The outcome where each rung has the bound and the mean error told, and the rungs that were made."""
    made: list[Rung] = []

    def measure(rung: Rung) -> RungResult | None:
        made.append(rung)
        return result(rung.name, *found[rung.name]) if rung.name in found else None

    return climb(max_drop, LEVERS, measure, lambda _: more), made


def test_the_first_rung_that_keeps_the_budget_ends_the_climb() -> None:
    climbed, made = climbing(0.005, {"per-channel": (0.02, 0.1), "ranges": (0.004, 0.05)})
    assert [rung.name for rung in made] == ["per-channel", "ranges"]
    assert (climbed.met, climbed.taken.name) == (True, "ranges")
    assert climbed.taken.settings == replace(FIRST.settings, ranges="mse", exact=True)
    assert [r.name for r in climbed.tried] == ["per-channel", "ranges"]


def test_plain_int8_is_enough_where_it_keeps_the_budget() -> None:
    climbed, made = climbing(0.005, {"per-channel": (0.005, 0.1)})
    assert (len(made), climbed.taken, climbed.met) == (1, FIRST, True)


EQUAL = dict.fromkeys(("per-channel", "ranges", "equalize", "bias", "rounding", "mixed 1"), (0.02, 0.1))


def test_a_lever_that_raises_the_error_is_let_go_before_the_next() -> None:
    _, made = climbing(0.005, {**EQUAL, "ranges": (0.03, 0.2), "equalize": (0.03, 0.05)})
    settings = {rung.name: rung.settings for rung in made}
    assert settings["equalize"] == replace(FIRST.settings, equalize=True)
    assert settings["bias"] == replace(FIRST.settings, equalize=True, bias_correction=True)


def test_a_lever_keeps_the_budget_even_if_its_error_is_greater() -> None:
    climbed, _ = climbing(0.005, {**EQUAL, "ranges": (0.001, 0.2)})
    assert (climbed.taken.name, climbed.met) == ("ranges", True)


def test_islands_come_after_all_levers() -> None:
    climbed, made = climbing(0.005, {**EQUAL, "mixed 1": (0.004, 0.01)}, [MIXED])
    assert [rung.name for rung in made] == ["per-channel", *(name for name, _ in LEVERS), "mixed 1"]
    assert (climbed.taken, climbed.met) == (MIXED, True)


def test_where_no_rung_serves_the_one_with_the_lowest_bound_is_taken() -> None:
    climbed, made = climbing(0.005, {**EQUAL, "equalize": (0.01, 0.3)}, [MIXED])
    assert len(made) == 2 + len(LEVERS)
    assert (climbed.taken.name, climbed.met) == ("equalize", False)


def test_a_rung_that_fails_is_passed_over() -> None:
    climbed, made = climbing(0.005, {"ranges": (0.02, 0.1), "bias": (0.01, 0.05)}, [MIXED])
    assert [rung.name for rung in made][-1] == "mixed 1"
    assert [r.name for r in climbed.tried] == ["ranges", "bias"]
    assert (climbed.taken.name, climbed.met) == ("bias", False)
    assert climbed.taken.settings == replace(FIRST.settings, ranges="mse", exact=True, bias_correction=True)


def test_where_every_rung_fails_there_is_nothing_to_take() -> None:
    with pytest.raises(ConversionError, match=r"^no rung of --max-drop gave an int8 file; leave the option out"):
        climbing(0.005, {})


@pytest.mark.parametrize("bound", [0.004999, 0.005])
def test_the_bound_itself_is_within_the_budget(bound: float) -> None:
    assert result("x", bound, 0.1).meets(0.005)
    assert not result("x", 0.005001, 0.1).meets(0.005)
