"""Operators taken out of a file compute what the file computes."""

import numpy as np

from benchmarks.peers.operators import IMAGE, load_tflite_operator, tflite_operators
from benchmarks.runtimes_differ import Tally, run_tflite, steps, stored
from export.precision import PRECISIONS
from export.quantize import quantize_tflite
from tests.export.quantization.graphs import tiny_network

RNG = np.random.default_rng(0)
FLOAT = tiny_network(RNG.normal(0, 1, (5, 3, 3, 3)).astype(np.float32), RNG.normal(0, 1, 5).astype(np.float32))
INT8 = quantize_tflite(FLOAT, PRECISIONS["tflite", "int8_npu"], {IMAGE: (-1.0, 1.0), "layer": (0.0, 6.0)})
PIXELS = RNG.integers(0, 256, (3, 8, 8, 3), np.uint8)


def test_an_operator_alone_computes_what_the_whole_file_does() -> None:
    (operator,) = tflite_operators(INT8)
    assert (operator.layer, operator.kind, operator.sources) == ("layer", "CONV_2D", (IMAGE,))
    for builtin_only in (False, True):
        alone = load_tflite_operator(operator, builtin_only=builtin_only)
        found = np.concatenate([alone(stored(image)) for image in PIXELS])
        assert np.ptp(found.astype(int)) > 50
        assert np.array_equal(found, run_tflite(INT8, PIXELS, builtin_only=builtin_only))


def test_the_logits_scale_is_the_last_tensors() -> None:
    scale, zero_point = steps(INT8)
    assert scale * 255 == np.float32(6)
    assert zero_point == -128


def test_differences_are_counted() -> None:
    tally = Tally()
    values = np.array([1, 2, 3, -128], np.int8)
    tally.add(values, values)
    assert tally.cell() == "never"
    tally.add(values, np.array([1, 2, 4, 127], np.int8))
    assert (tally.values, tally.different, tally.steps) == (8, 2, 255)
    assert tally.cell() == "25.0000% (255)"
