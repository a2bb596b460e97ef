"""Answers of files, whatever their input and output are."""

import numpy as np
import pytest

from benchmarks.peers.answers import answers, stored
from benchmarks.peers.latency import interleaved
from export.precision import PRECISIONS
from export.quantize import quantize_tflite
from models.data import normalise
from models.spec import MINUS_ONE_TO_ONE
from tests.export.quantization.graphs import tiny_network

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(0, 1, (5, 3, 3, 3)).astype(np.float32)
FLOAT = tiny_network(KERNEL, RNG.normal(0, 1, 5).astype(np.float32))
RANGES = {"image": (-1.0, 1.0), "layer": (0.0, 6.0)}
PIXELS = RNG.integers(0, 256, (3, 8, 8, 3), np.uint8)


@pytest.mark.parametrize("precision", ["int8", "int8_npu"])
def test_an_8_bit_file_is_fed_and_read_by_its_own_scales(precision: str) -> None:
    wanted = answers(FLOAT, PIXELS, MINUS_ONE_TO_ONE)
    found = answers(quantize_tflite(FLOAT, PRECISIONS[("tflite", precision)], RANGES), PIXELS, MINUS_ONE_TO_ONE)
    assert found.shape == wanted.shape == (3, 8, 8, 5)
    assert 0 < np.abs(found - wanted).max() < 0.1


def test_values_beyond_the_input_range_are_cut_off() -> None:
    store = stored({"quantization": (0.5, -10), "dtype": np.int8}, MINUS_ONE_TO_ONE)
    found = store(np.array([-100.0, 0.0, 0.6, 100.0], np.float32))
    assert found.dtype == np.int8
    assert found.tolist() == [-128, -10, -9, 127]


@pytest.mark.parametrize(("dtype", "zero_point"), [(np.int8, 0), (np.int8, -1), (np.uint8, 127), (np.uint8, 128)])
def test_a_byte_that_lies_half_way_between_two_steps_goes_in_as_it_is(dtype: type, zero_point: int) -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 1, 256, 3)
    store = stored({"quantization": (1 / 127.5, zero_point), "dtype": dtype}, MINUS_ONE_TO_ONE)
    found = store(normalise(levels, MINUS_ONE_TO_ONE))
    assert found.dtype == dtype
    assert np.array_equal(found.astype(int) - np.iinfo(dtype).min, levels)


def test_float_inputs_take_the_values_as_they_are() -> None:
    values = np.array([0.1, -3.0], np.float32)
    assert stored({"quantization": (0.0, 0), "dtype": np.float32}, MINUS_ONE_TO_ONE)(values) is values


def test_files_take_turns_and_each_round_gives_each_a_latency() -> None:
    wide = tiny_network(RNG.normal(0, 1, (400, 3, 3, 3)).astype(np.float32), np.zeros(400, np.float32), 64)
    times = interleaved({"small": FLOAT, "wide": wide}, 3)
    assert {name: len(values) for name, values in times.items()} == {"small": 3, "wide": 3}
    assert 0 < max(times["small"]) < min(times["wide"])
