"""The meter of 8-bit files."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export.precision import PRECISIONS
from export.quantization.calibration import calibrate
from export.quantization.meter import Meter
from export.quantization.settings import DEFAULTS
from export.quantize import make_tflite
from export.tflite_file import read_model, write_model
from models.data import Pixels, normalise
from models.errors import ConversionError
from tests.export.quantization.graphs import random_pictures, small_network
from tests.export.quantization.test_sensitivity import EXACT, silent


def logits(content: bytes, picture: NDArray[np.generic]) -> NDArray[np.float64]:
    """Those of one picture: the tensor that the softmax is given."""
    interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
    interpreter.invoke()
    (details,) = (d for d in interpreter.get_tensor_details() if d["name"] == "classifier")
    scale, zero_point = details["quantization"]
    values = interpreter.get_tensor(details["index"])[0].astype(np.float64)
    return np.asarray((values - zero_point) * scale if scale else values)


@pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all_tensors`")
def test_the_meter_gives_the_mean_of_the_pictures_decibels() -> None:
    network, pixels = small_network(), random_pictures(6)
    int8 = make_tflite(network, PRECISIONS["tflite", "int8_npu"], calibrate(network, pixels, EXACT, DEFAULTS, silent))
    found = []
    for picture in pixels:
        wanted = logits(network, normalise(picture[None], EXACT)[0])
        error = logits(int8, (picture.astype(np.int16) - 128).astype(np.int8)) - wanted
        found.append(10 * np.log10(np.sum(wanted**2) / np.sum(error**2)))
    assert Meter(network, pixels, EXACT).sqnr_db(int8) == pytest.approx(np.mean(found), abs=0.3)


def test_a_file_that_litert_refuses_is_refused() -> None:
    pixels = random_pictures(2)
    with pytest.raises(ConversionError, match=r"^LiteRT refuses the int8 file: .*; export the other precisions$"):
        Meter(small_network(), pixels, EXACT).sqnr_db(refused_as_int8(pixels))


def refused_as_int8(pixels: Pixels) -> bytes:
    """An int8 file that XNNPACK cannot prepare: one channel's steps are 256 times those of the tensor it is in."""
    network = overshooting()
    return make_tflite(network, PRECISIONS["tflite", "int8_npu"], calibrate(network, pixels, EXACT, DEFAULTS, silent))


def overshooting() -> bytes:
    """The small network with a channel whose kernel is a million times as large; a ReLU6 limits it."""
    model = read_model(small_network())
    graph = model.subgraphs[0]
    tensor = next(tensor for tensor in graph.tensors if tensor.name == b"stem/kernel")
    kernel = model.buffers[tensor.buffer].data.view(np.float32).reshape(tuple(tensor.shape)).copy()
    kernel[0] *= 1e6
    model.buffers[tensor.buffer].data = kernel.reshape(-1).view(np.uint8)
    return write_model(model)
