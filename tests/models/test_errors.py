"""The error tree, and the words of a name that does not exist."""

import re

import pytest

import models.errors
from models.errors import ToolchainError, UnknownNameError


def subclasses(error: type[ToolchainError]) -> list[type[ToolchainError]]:
    return [error, *(c for child in error.__subclasses__() for c in subclasses(child))]


DRAWN = {name: int(code) for name, code in re.findall(r"(\w+Error) +(\d)  ", models.errors.__doc__ or "")}
DEFINED = [error for error in subclasses(ToolchainError) if error.__module__ == "models.errors"]


def test_the_tree_in_the_docstring_is_the_tree_of_the_code() -> None:
    assert {error.__name__: error.exit_code for error in DEFINED} == DRAWN


def test_a_slip_of_the_pen_is_answered_with_the_nearest_names() -> None:
    error = UnknownNameError("fruit", "aple", ["kiwi", "apple", "fig"])
    assert str(error) == "unknown fruit 'aple'; did you mean apple?"


def test_no_semicolon_follows_the_question_mark() -> None:
    error = UnknownNameError("fruit", "aple", ["kiwi", "apple", "fig"], see="`shop list` shows all")
    assert str(error) == "unknown fruit 'aple'; did you mean apple? `shop list` shows all"


def test_a_name_far_from_a_short_table_is_answered_with_the_table() -> None:
    error = UnknownNameError("fruit", "x", ["pear", "apple"], see="`shop list` shows all")
    assert str(error) == "unknown fruit 'x'; known: apple, pear; `shop list` shows all"


def test_an_empty_table_says_that_it_is_empty_and_no_name_is_proposed_twice() -> None:
    assert str(UnknownNameError("fruit", "x", [])) == "unknown fruit 'x'; no fruit is known"
    assert str(UnknownNameError("fruit", "aple", ["apple", "apple"])) == "unknown fruit 'aple'; did you mean apple?"


def test_a_name_far_from_a_long_table_is_answered_with_where_to_look() -> None:
    error = UnknownNameError("number", "x", [f"{n:06}" for n in range(13)], see="`numbers` shows all")
    assert str(error) == "unknown number 'x'; `numbers` shows all"


@pytest.mark.parametrize("error", DEFINED, ids=lambda error: error.__name__)
def test_every_error_says_in_one_line_what_it_is(error: type[ToolchainError]) -> None:
    assert error.__doc__
    assert "\n" not in error.__doc__
