"""The words by which levers are pulled."""

import argparse
from dataclasses import replace

import pytest

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


@pytest.mark.parametrize(("word", "lever"), [("exact", "exact"), ("equalize", "equalize"), ("bias", "bias_correction")])
def test_a_lever_is_pulled_by_its_word_and_let_go_by_no_and_its_word(word: str, lever: str) -> None:
    for text, wanted in ((word, True), (f"no-{word}", False), (f"mse, {word}, no-{word}", False)):
        assert getattr(parse_settings(text), lever) is wanted
        assert parse_settings(text).to_json()[lever] is wanted


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
