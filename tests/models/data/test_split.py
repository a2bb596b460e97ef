"""Splits and samples: fair to every class, and duplicates never on two sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data import SPLITS, grouped_split, load_digits, stratified_sample, stratified_split
from models.errors import DataError


def test_another_seed_splits_otherwise_with_the_same_shares() -> None:
    classes = np.repeat(np.arange(3), [10, 20, 31])
    one, other = (stratified_split(classes, validation=0.1, test=0.2, seed=seed) for seed in (0, 1))
    assert one["test"].tolist() != other["test"].tolist()
    assert np.bincount(classes[one["test"]]).tolist() == np.bincount(classes[other["test"]]).tolist() == [2, 4, 6]


def test_a_sample_takes_all_of_a_small_class_and_the_rest_from_the_others() -> None:
    classes = np.repeat(np.arange(3), [2, 50, 50])
    chosen = stratified_sample(classes, np.arange(102), 42, 0)
    assert np.bincount(classes[chosen]).tolist() == [2, 20, 20]


def test_a_sample_of_everything_is_everything() -> None:
    classes = np.array([0, 1, 1, 0, 2])
    assert stratified_sample(classes, np.array([1, 3, 4]), 3, 0).tolist() == [1, 3, 4]


@pytest.mark.parametrize("count", [0, -1, 1259])
def test_a_sample_of_nothing_or_of_more_than_there_is_is_refused(count: int) -> None:
    digits = load_digits()
    with pytest.raises(DataError) as raised:
        stratified_sample(digits.classes, digits.splits["train"], count, 0)
    remedy = "ask for 1 to 1258 with --calibration-images"
    assert str(raised.value) == f"cannot take {count} calibration images from a split of 1258; {remedy}"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, max_size=200), st.integers(0, 9))
def test_a_group_is_never_on_two_sides_and_no_picture_is_lost(pairs: list[tuple[int, int]], seed: int) -> None:
    classes, groups = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    parts = grouped_split(classes, groups, validation=0.1, test=0.2, seed=seed)
    assert tuple(parts) == SPLITS
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(pairs)))
    sides = [set(groups[part].tolist()) for part in parts.values()]
    assert len(set.union(*sides)) == sum(map(len, sides))


def test_groups_of_one_are_split_with_the_shares_asked_for() -> None:
    classes = np.repeat(np.arange(3), [100, 50, 10])
    parts = grouped_split(classes, np.arange(160), validation=0.1, test=0.2, seed=0)
    shares = {split: np.bincount(classes[part], minlength=3).tolist() for split, part in parts.items()}
    assert shares == {"train": [70, 35, 7], "validation": [10, 5, 1], "test": [20, 10, 2]}
    assert grouped_split(classes, np.arange(160), validation=0.1, test=0.2, seed=1)["test"].tolist() != (
        parts["test"].tolist()
    )


def test_a_group_of_two_classes_goes_with_most_of_its_pictures() -> None:
    classes, groups = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 2])
    parts = grouped_split(classes, groups, validation=0.0, test=0.5, seed=0)
    assert {tuple(sorted(groups[part].tolist())) for part in parts.values() if len(part)} in (
        {(0, 0, 0), (1, 2)},
        {(0, 0, 0, 1), (2,)},
        {(0, 0, 0, 2), (1,)},
    )


def test_small_classes_share_what_each_alone_could_not_give() -> None:
    classes = np.repeat(np.arange(1000), 4)
    parts = grouped_split(classes, np.arange(4000), validation=0.1, test=0.2, seed=0)
    assert [len(part) for part in parts.values()] == [2800, 400, 800]
    # No class loses more than half of its pictures.
    assert np.bincount(classes[parts["train"]]).min() >= 2
