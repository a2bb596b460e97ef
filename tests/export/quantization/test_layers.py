"""Operators with a kernel."""

import numpy as np
import pytest

from export.quantization.calibration import calibrate
from export.quantization.layers import kernel_layers
from export.quantization.settings import parse_settings
from export.tflite_file import read_model
from tests.export.quantization.graphs import random_pictures, tiny_network
from tests.export.quantization.test_sensitivity import EXACT, silent


@pytest.mark.parametrize(("channels", "names"), [(3, ["layer/kernel"]), (1, [])], ids=["full", "grouped"])
def test_a_grouped_convolution_is_calibrated_and_left_as_it_is(channels: int, names: list[str]) -> None:
    rng = np.random.default_rng(0)
    network = tiny_network(rng.normal(0, 0.3, (6, 3, 3, channels)).astype(np.float32), np.full(6, 0.5, np.float32))
    assert [layer.name for layer in kernel_layers(read_model(network))] == names
    found = calibrate(network, random_pictures(4, 8), EXACT, parse_settings("round"), silent)
    assert len(found.shifts) == len(names)
    assert [*found.kernels] == names
    assert "layer" in found.ranges
