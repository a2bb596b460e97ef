"""Class names in the wrong order are found before they are shipped."""

import pytest

from export.bundle.labels import background_index, check_order
from models.errors import DataError

KNOWN = ("cat", "dog", "horse", "sheep", "cow")


@pytest.mark.parametrize(
    "names",
    [KNOWN, ("Katze", "Hund", "Pferd", "Schaf", "Kuh"), ("Cat", "Dog", "Horse", "Sheep", "Cow")],
    ids=["same", "translated", "capitals"],
)
def test_the_data_sets_names_and_translations_of_them_are_in_order(names: tuple[str, ...]) -> None:
    check_order(names, KNOWN)


@pytest.mark.parametrize("first", ["background", "Background", "dummy"])
def test_names_that_are_moved_by_one_are_found(first: str) -> None:
    with pytest.raises(DataError, match="moved by one: name 2 is 'cat', which is class 1 of the data set") as caught:
        check_order((first, *KNOWN[:-1]), KNOWN)
    assert "and so on for all, as lists with a background class are; export again" in str(caught.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("dog", "cat", "horse", "sheep", "cow"), "name 1 is 'dog', which is class 2 of the data set"),
        (tuple(sorted(KNOWN)), "name 2 is 'cow', which is class 5 of the data set"),
        (tuple(reversed(KNOWN)), "name 1 is 'cow', which is class 5 of the data set"),
    ],
    ids=["swapped", "sorted", "reversed"],
)
def test_names_in_another_order_are_found(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(DataError, match=f"out of order: {words}"):
        check_order(names, KNOWN)


def test_background_is_found_whatever_its_capitals() -> None:
    assert background_index(("Background", "cat")) == 0
    assert background_index(("cat", "background")) == 1
    assert background_index(("cat", "backgrounds")) is None
