"""What a data set is called: names, options, and what is said to anything else."""

import pytest

from models.data import dataset_loader, dataset_slug, load_dataset
from models.errors import UnknownNameError, UsageError


def test_digits_are_called_digits() -> None:
    assert dataset_slug("digits") == load_dataset("digits").name == dataset_loader("digits")().name == "digits"


def test_an_unknown_data_set_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown data set 'imagenette'; known: cifar10, digits, shapes;"):
        dataset_loader("imagenette")
    with pytest.raises(UnknownNameError, match=r"^unknown data set 'digit'; did you mean digits\?"):
        load_dataset("digit")


def test_options_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^data set digits has no options, got 'size=8'; write digits$"):
        dataset_slug("digits:size=8")
