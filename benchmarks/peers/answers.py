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


def to_stored(values: NDArray[np.float32], details: dict[str, Any]) -> NDArray[Any]:
    """Normalised pictures as an input tensor takes them: rounded to its scale and zero point, or as they are."""
    scale, zero_point = details["quantization"]
    if not scale:
        return values
    limits = np.iinfo(details["dtype"])
    stored = np.rint(values / np.float32(scale)) + zero_point
    return np.asarray(np.clip(stored, limits.min, limits.max).astype(details["dtype"]))


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
    compute = _tflite(content) if content[4:8] == b"TFL3" else _onnx(content)
    rows = []
    for start in range(0, len(pixels), BATCH):
        rows += [compute(image[None]) for image in normalise(pixels[start : start + BATCH], preprocessing)]
    return np.concatenate(rows)


Compute = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def _tflite(content: bytes) -> Compute:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = target["quantization"]

    def compute(image: NDArray[np.float32]) -> NDArray[np.float32]:
        interpreter.set_tensor(source["index"], to_stored(image, source))
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
