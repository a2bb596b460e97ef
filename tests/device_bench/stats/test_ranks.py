"""Ranks of exact intervals, against printed tables and enumeration."""

import itertools

import pytest

from device_bench.stats.ranks import median_rank, shift_rank, signed_rank


@pytest.mark.parametrize(
    ("count", "critical"), [(5, None), (6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (15, 25), (20, 52)]
)
def test_signed_ranks_are_those_of_wilcoxons_table(count: int, critical: int | None) -> None:
    # Two-sided 5 %: Wilcoxon, Katti & Wilcox (1970), table I.
    assert signed_rank(count)[0] == (0 if critical is None else critical + 1)


@pytest.mark.parametrize(
    ("first", "second", "critical"), [(3, 3, None), (4, 4, 0), (5, 5, 2), (5, 8, 6), (10, 10, 23), (20, 20, 127)]
)
def test_shift_ranks_are_those_of_mann_and_whitneys_table(first: int, second: int, critical: int | None) -> None:
    # Two-sided 5 %: Milton, J. Am. Stat. Assoc. 59 (1964).
    assert shift_rank(first, second)[0] == (0 if critical is None else critical + 1)
    assert shift_rank(second, first) == shift_rank(first, second)


def test_coverages_are_those_of_counting_all_orders() -> None:
    rank, coverage = shift_rank(5, 5)
    orders = list(itertools.combinations(range(10), 5))
    statistics = [sum(place - turn for turn, place in enumerate(order)) for order in orders]
    assert coverage == pytest.approx(1 - 2 * sum(value < rank for value in statistics) / len(orders))
    rank, coverage = signed_rank(8)
    sums = [sum(rank for rank, sign in enumerate(signs, 1) if sign) for signs in itertools.product((0, 1), repeat=8)]
    assert coverage == pytest.approx(1 - 2 * sum(value < rank for value in sums) / len(sums))


@pytest.mark.parametrize("count", range(1, 60))
def test_the_medians_rank_is_the_narrowest_that_keeps_its_promise(count: int) -> None:
    rank, coverage = median_rank(count)
    assert 1 <= rank <= (count + 1) // 2
    if count >= 6:
        assert coverage >= 0.95
    else:
        assert (rank, coverage) == (1, max(0.0, 1 - 2 * 0.5**count))


def test_large_samples_are_done_by_the_normal_law_without_a_jump() -> None:
    # 50 * 50 is the last exact one; the rank grows by about 40 per step there.
    ranks = [shift_rank(50, second)[0] for second in (48, 49, 50, 51, 52)]
    steps = [after - before for before, after in itertools.pairwise(ranks)]
    assert max(steps) - min(steps) <= 2
    ranks = [signed_rank(count)[0] for count in (69, 70, 71, 72)]
    steps = [after - before for before, after in itertools.pairwise(ranks)]
    assert max(steps) - min(steps) <= 2
