"""What a file of any tool gives for pictures, computed in the runtime that apps use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data import Pixels, normalise
from models.spec import Preprocessing

BATCH = 256
"""Pictures in memory at once."""

Stored = Callable[[NDArray[np.float32]], NDArray[Any]]
Compute = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def stored(details: dict[str, Any], preprocessing: Preprocessing) -> Stored:
    """How an input tensor takes normalised pictures: rounded to its scale and zero point, or as they are.

    With a mean of 127.5 every byte may lie half way between two steps. All halves go the same way, the one that cuts no
    byte off, which is what an app does that hands over its bytes; to the nearest even number, neighbouring bytes would
    become one, which changes 1 to 5 % of a network's answers.

    Args:
        details: Of the tensor, as the interpreter tells them.
        preprocessing: Of the network.
    """
    scale, zero_point = details["quantization"]
    if not scale:
        return lambda values: values
    limits = np.iinfo(details["dtype"])
    white = normalise(np.full((1, 1, 1, 3), 255, np.uint8), preprocessing).max()
    up = _whole(white / np.float32(scale) + zero_point, up=True) <= limits.max

    def store(values: NDArray[np.float32]) -> NDArray[Any]:
        steps = _whole(values / np.float32(scale) + zero_point, up=up)
        return np.asarray(np.clip(steps, limits.min, limits.max).astype(details["dtype"]))

    return store


def _whole(steps: Any, *, up: bool) -> Any:
    """To the nearest whole number, and halves all up or all down."""
    return np.floor(steps + 0.5 + _HALF) if up else np.ceil(steps - 0.5 - _HALF)


_HALF = 1e-3
"""What float32 may make of a half."""


def answers(content: bytes, pixels: Pixels, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """The logits that a TFLite or ONNX file gives for pictures, `[N, classes]`, on one thread.

    Args:
        content: The file.
        pixels: Raw pictures, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.

    Raises:
        ValueError: LiteRT refuses the file.
        RuntimeError: LiteRT or ONNX Runtime refuses the file.
    """
    compute = _tflite(content, preprocessing) if content[4:8] == b"TFL3" else _onnx(content)
    rows = []
    for start in range(0, len(pixels), BATCH):
        rows += [compute(image[None]) for image in normalise(pixels[start : start + BATCH], preprocessing)]
    return np.concatenate(rows)


def _tflite(content: bytes, preprocessing: Preprocessing) -> Compute:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = target["quantization"]
    store = stored(source, preprocessing)

    def compute(image: NDArray[np.float32]) -> NDArray[np.float32]:
        interpreter.set_tensor(source["index"], store(image))
        interpreter.invoke()
        found = interpreter.get_tensor(target["index"]).astype(np.float32)
        return np.asarray((found - zero_point) * np.float32(scale) if scale else found)

    return compute


def _onnx(content: bytes) -> Compute:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: np.asarray(session.run(None, {name: image})[0])
