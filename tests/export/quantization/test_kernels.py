"""Kernels of the ONNX file by those of the TFLite file."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from export.quantization.kernels import with_onnx_kernels
from export.tflite_file import read_model, write_model
from models.errors import ConversionError
from tests.export.quantization.graphs import small_network, tiny_network

NAME = "layer/kernel"


def with_constant(values: NDArray[np.float32], name: str = NAME) -> bytes:
    graph = onnx.helper.make_graph([], "constants", [], [], [onnx.numpy_helper.from_array(values, name)])
    return bytes(onnx.helper.make_model(graph).SerializeToString())


def constant(content: bytes) -> NDArray[np.float32]:
    return onnx.numpy_helper.to_array(onnx.load_from_string(content).graph.initializer[0])


def test_a_kernel_that_is_another_is_refused() -> None:
    kernel = np.random.default_rng(0).normal(size=(6, 3, 3, 3)).astype(np.float32)
    network = tiny_network(kernel, np.zeros(6, np.float32))
    same = with_constant(np.ascontiguousarray(kernel.transpose(0, 3, 1, 2)))
    assert np.array_equal(constant(with_onnx_kernels(same, network, {NAME: 2 * kernel})), 2 * constant(same))
    with pytest.raises(
        ConversionError, match=r"^layer/kernel of shape \(6, 3, 3, 3\) in the ONNX file is not the TFLite"
    ):
        with_onnx_kernels(with_constant(np.negative(constant(same))), network, {NAME: kernel})


def test_of_a_kernel_of_zeros_the_shape_tells_how_it_lies() -> None:
    model, name = read_model(small_network()), "classifier/kernel"
    tensor = next(tensor for tensor in model.subgraphs[0].tensors if tensor.name.decode() == name)
    model.buffers[tensor.buffer].data = np.zeros_like(model.buffers[tensor.buffer].data)
    shape = tuple(tensor.shape)
    network, raised = write_model(model), np.zeros(shape, np.float32)
    raised[1, 0] = 1
    for stored in (np.zeros(shape, np.float32), np.zeros(shape[::-1], np.float32)):
        made = constant(with_onnx_kernels(with_constant(stored, name), network, {name: raised}))
        assert np.array_equal(made, raised if made.shape == shape else raised.T)
