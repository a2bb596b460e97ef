"""`benchmarks.activation_rounding`: the file whose activations alone are rounded."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from benchmarks.activation_rounding import with_exact_constants

KERNEL = np.array([0.3, -0.7], np.float32).reshape(2, 1, 1, 1)
BIAS = np.array([0.1234, 0.0], np.float32)
STEP = 0.5


def graph(nodes: list[onnx.NodeProto], constants: dict[str, NDArray[np.generic]]) -> bytes:
    image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 1, 1, 1])
    out = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1, 2, 1, 1])
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_model(
        helper.make_graph(nodes, "g", [image], [out], stored),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def float_file() -> bytes:
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["turned", "conv/kernel", "conv/bias"], ["out"]),
    ]
    return graph(nodes, {"conv/kernel": KERNEL, "conv/bias": BIAS})


def int8_file() -> bytes:
    """Whose constants and picture are far off, and whose activation has steps of `STEP`."""
    pair = {"scale": np.float32(STEP), "zero": np.uint8(128)}
    nodes = [
        helper.make_node("Sub", ["image", "image/offset"], ["moved"]),
        helper.make_node("Transpose", ["moved"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("QuantizeLinear", ["turned", "scale", "zero"], ["turned_Q"]),
        helper.make_node("DequantizeLinear", ["turned_Q", "scale", "zero"], ["turned_DQ"]),
        helper.make_node("DequantizeLinear", ["conv/kernel_quantized", "one"], ["kernel_DQ"]),
        helper.make_node("DequantizeLinear", ["conv/bias_quantized", "one"], ["conv/bias"]),
        helper.make_node("Conv", ["turned_DQ", "kernel_DQ", "conv/bias"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "scale", "zero"], ["sum_Q"]),
        helper.make_node("DequantizeLinear", ["sum_Q", "scale", "zero"], ["out"]),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        **{name: np.asarray(value) for name, value in pair.items()},
        "one": np.array(1, np.float32),
        "image/offset": np.array(9, np.float32),
        "conv/kernel_quantized": np.zeros((2, 1, 1, 1), np.int8),
        "conv/bias_quantized": np.array([7, 7], np.int32),
    }
    return graph(nodes, constants)


def test_pictures_kernels_and_biases_are_exact_and_activations_in_steps() -> None:
    session = onnxruntime.InferenceSession(
        with_exact_constants(int8_file(), float_file()), providers=["CPUExecutionProvider"]
    )
    for pixel in (0.0, 1.3, -2.2):
        (out,) = session.run(None, {"image": np.full((1, 1, 1, 1), pixel, np.float32)})
        exact = pixel * KERNEL.reshape(-1) + BIAS
        np.testing.assert_allclose(out.reshape(-1), STEP * np.rint(exact / STEP), rtol=1e-6)
