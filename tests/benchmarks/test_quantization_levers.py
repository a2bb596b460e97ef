"""`benchmarks.quantization_levers`: rows are what `--quantization` takes."""

from __future__ import annotations

import pickle

import pytest

from benchmarks.peers.measures import Loss
from benchmarks.peers.tools import TOOLS, Ours
from benchmarks.quantization_levers import LEVERS, cell, lever
from export.precision import PRECISIONS
from export.quantization.settings import DEFAULTS, NAIVE, parse_settings

LOST = Loss(
    top1=0.9, drop=0.001, drop_low=-0.001, drop_high=0.003, disagreement=0.0085, sqnr_db=32.44, picture_sqnr_db=33.0
)


@pytest.mark.parametrize("words", LEVERS)
def test_every_row_can_be_typed_by_a_user(words: str) -> None:
    made = lever(words).make
    assert isinstance(made, Ours)
    parse_settings(made.words)
    assert PRECISIONS["tflite", made.precision].calibrated


def test_the_first_row_is_what_converters_do_and_one_row_is_the_defaults() -> None:
    made = [lever(words).make for words in LEVERS]
    settings = [parse_settings(one.words) for one in made if isinstance(one, Ours) and one.precision == "int8"]
    assert settings[0] == NAIVE
    assert settings.count(DEFAULTS) == 1
    assert len(set(settings)) == len(settings)


def test_rows_have_names_of_their_own() -> None:
    assert len({lever(words).name for words in LEVERS}) == len(LEVERS)


def test_a_precision_stands_before_a_colon() -> None:
    made = lever("int8_mixed: no-equalize").make
    assert made == Ours(words="no-equalize", precision="int8_mixed")


def test_a_cell_shows_decibels_disagreement_drop_in_points_and_time() -> None:
    assert cell(LOST, None) == "32.4 dB, 0.85%, 0.10"
    assert cell(LOST, 0.456) == "32.4 dB, 0.85%, 0.10, 0.46 x"


def test_tools_travel_to_the_process_that_makes_their_files() -> None:
    for tool in TOOLS.values():
        assert pickle.loads(pickle.dumps(tool)).name == tool.name  # noqa: S301 - made here
