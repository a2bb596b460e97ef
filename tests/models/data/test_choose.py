"""What a data set is called: names, options, and what is said to anything else."""

from pathlib import Path

import pytest

from models.data import dataset_loader, dataset_slug, load_dataset
from models.errors import DataError, UnknownNameError, UsageError


def test_digits_are_called_digits() -> None:
    assert dataset_slug("digits") == load_dataset("digits").name == dataset_loader("digits")().name == "digits"


def test_an_unknown_data_set_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown data set 'imagenette'; known: cifar10, digits, shapes;"):
        dataset_loader("imagenette")
    with pytest.raises(UnknownNameError, match=r"^unknown data set 'digit'; did you mean digits\?"):
        load_dataset("digit")


@pytest.mark.parametrize("text", ["", "allow-broken:", "Digits", "digits/", ":"])
def test_what_is_neither_a_name_nor_a_folder_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        load_dataset(text)


def test_a_link_in_a_circle_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(DataError, match=r"circle does not exist; name a folder with a folder per class"):
        load_dataset(str(tmp_path / "circle"))


def test_options_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^data set digits has no options, got 'size=8'; write digits$"):
        dataset_slug("digits:size=8")
