"""The words by which levers are pulled."""

import argparse
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.commands.options import add_export_options, check_export_options
from export.quantization.settings import RANGE_METHODS, QuantizationSettings, parse_settings, settings_words
from models.errors import UsageError


def test_no_words_are_the_defaults() -> None:
    assert parse_settings("") == QuantizationSettings()


@pytest.mark.parametrize("method", RANGE_METHODS)
def test_a_method_changes_nothing_but_the_ranges(method: str) -> None:
    changed = parse_settings(method)
    assert changed.ranges == method
    assert replace(changed, ranges=QuantizationSettings().ranges) == QuantizationSettings()


@pytest.mark.parametrize(
    ("word", "lever"),
    [
        ("exact", "exact"),
        ("equalize", "equalize"),
        ("bias", "bias_correction"),
        ("round", "rounding"),
        ("per-tensor", "per_tensor"),
    ],
)
def test_a_lever_is_pulled_by_its_word_and_let_go_by_no_and_its_word(word: str, lever: str) -> None:
    for text, wanted in ((word, True), (f"no-{word}", False), (f"mse, {word}, no-{word}", False)):
        assert getattr(parse_settings(text), lever) is wanted
        assert parse_settings(text).to_json()[lever] is wanted


@pytest.mark.parametrize(
    ("word", "field", "value"),
    [
        ("equalize=auto", "equalize", "auto"),
        ("float=3", "float_blocks", 3),
        ("float=stem", "float_blocks", ("stem",)),
        ("float=conv_1+inverted_residual_2", "float_blocks", ("conv_1", "inverted_residual_2")),
    ],
)
def test_words_with_a_value(word: str, field: str, value: Any) -> None:
    assert parse_settings(f"mse,{word}") == replace(QuantizationSettings(), **{field: value})


@pytest.mark.parametrize(
    "word", ["float=", "float=0", "float", "no-float=1", "float=1001", "float=99999", "float=a++b", "equalize=1"]
)
def test_a_word_without_a_fitting_value_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=r"^unknown quantization setting '"):
        parse_settings(word)


def any_settings() -> st.SearchStrategy[QuantizationSettings]:
    blocks = st.lists(st.text(min_size=1), min_size=1).map(tuple)
    return st.builds(
        QuantizationSettings,
        ranges=st.sampled_from(RANGE_METHODS),
        exact=st.booleans(),
        equalize=st.sampled_from([True, False, "auto"]),
        bias_correction=st.booleans(),
        rounding=st.booleans(),
        per_tensor=st.booleans(),
        float_blocks=st.one_of(st.none(), st.integers(1, 1000), blocks),
    )


@given(any_settings())
def test_settings_survive_json_beside_other_keys(settings: QuantizationSettings) -> None:
    text = json.dumps({"images": 128, "method": "anything", **settings.to_json()})
    assert QuantizationSettings.from_json(json.loads(text)) == settings


def test_what_a_manifest_does_not_say_is_the_default() -> None:
    assert QuantizationSettings.from_json({"images": 128}) == QuantizationSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("ranges", "max"), ("ranges", []), ("exact", 1), ("equalize", "yes"), ("float_blocks", True)]
    + [("float_blocks", value) for value in (-1, 0, [], [1], "stem")],
)
def test_a_forged_manifest_is_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError) as refusal:
        QuantizationSettings.from_json({name: value})
    assert str(refusal.value) == (
        f"quantization setting {name} is {value!r}, which no export writes; make the folder again with `make export`"
    )


def test_an_unknown_word_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError) as refusal:
        parse_settings("mse,no-percentile")
    assert str(refusal.value) == f"unknown quantization setting 'no-percentile'; known are {settings_words()}"
    assert "min-max, percentile, mse, entropy, exact, no-exact" in settings_words()


def test_the_command_line_refuses_an_unknown_word_before_it_does_anything() -> None:
    parser = argparse.ArgumentParser()
    add_export_options(parser)
    words = ["--model", "mobilenet_v2_1.4"]
    check_export_options(parser.parse_args(words))
    check_export_options(parser.parse_args([*words, "--quantization", "mse,no-bias"]))
    with pytest.raises(UsageError, match=r"^unknown quantization setting 'fast'; known are min-max, "):
        check_export_options(parser.parse_args([*words, "--quantization", "fast"]))
