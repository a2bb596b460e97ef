"""Two forms of a network, and the one whose int8 file is nearer to float."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from export.quantization.choose import choose
from export.quantization.decision import Decision
from export.quantization.settings import DEFAULTS
from export.tflite_file import read_model, write_model
from models.data import Pixels
from models.spec import Preprocessing
from models.worker import Progress
from tests.export.quantization.graphs import random_pictures, small_network
from tests.export.quantization.test_meter import overshooting
from tests.export.quantization.test_sensitivity import EXACT


def unlike() -> bytes:
    """The small network with one channel between its blocks 300 times as large, and read as much more weakly."""
    model = read_model(small_network())
    graph = model.subgraphs[0]

    def scale(name: str, place: Any, factor: float) -> None:
        tensor = next(t for t in graph.tensors if t.name.decode() == name)
        values = model.buffers[tensor.buffer].data.view(np.float32).reshape(tuple(tensor.shape)).copy()
        values[place] *= factor
        model.buffers[tensor.buffer].data = values.reshape(-1).view(np.uint8)

    # It goes on to the classifier alone, behind the second block's addition.
    for kind in ("kernel", "bias"):
        scale(f"block_2_project/{kind}", 0, 300.0)
        scale(f"block_1_project/{kind}", 0, 300.0)
    scale("block_2_depthwise/kernel", (..., 0), 1 / 300)
    scale("classifier/kernel", (..., 0), 1 / 300)
    return write_model(model)


def chosen(
    one: bytes, other: bytes, pixels: Pixels, preprocessing: Preprocessing = EXACT
) -> tuple[Decision, list[str]]:
    told: list[str] = []

    def report(step: Progress) -> None:
        told.append(step.detail)

    return choose(one, other, 2, pixels, preprocessing, replace(DEFAULTS, float_blocks=1), report), told


def test_the_form_that_loses_less_is_found_whichever_it_is() -> None:
    pixels = random_pictures(48)
    mended, told = chosen(unlike(), small_network(), pixels)
    assert mended.taken
    assert (mended.equalized_sqnr_db or 0) > (mended.sqnr_db or 0) + 5
    assert told == ["", "", mended.words]
    spoilt, _ = chosen(small_network(), unlike(), pixels)
    assert not spoilt.taken


def test_what_is_no_better_is_left_and_the_order_of_the_pictures_changes_nothing() -> None:
    pixels = random_pictures(48)
    same, _ = chosen(small_network(), small_network(), pixels)
    assert same.sqnr_db == same.equalized_sqnr_db
    assert not same.taken
    assert chosen(unlike(), small_network(), pixels)[0] == chosen(unlike(), small_network(), pixels[::-1])[0]


def test_where_no_int8_file_can_be_made_nothing_is_measured() -> None:
    coloured = Preprocessing(mean=(120.0, 128.0, 128.0), std=(128.0,) * 3)
    found, _ = chosen(unlike(), small_network(), random_pictures(8), coloured)
    assert found == Decision(groups=2)
    assert not found.taken


def test_where_litert_refuses_an_int8_file_nothing_is_measured_and_the_export_goes_on() -> None:
    found, told = chosen(overshooting(), small_network(), random_pictures(8))
    assert found == Decision(groups=2)
    assert told[-1] == "2 groups of channels to gain, not measured"


@pytest.mark.parametrize("count", [1, 3])
def test_few_pictures_serve_for_both(count: int) -> None:
    assert chosen(unlike(), small_network(), random_pictures(count))[0].sqnr_db is not None
