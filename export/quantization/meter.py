"""How near to the float network an 8-bit file is, by its logits on some pictures. Imports LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export.tflite_file import builtin_name, read_model, set_signature, write_model
from models.data import Pixels, normalise
from models.errors import ConversionError
from models.spec import Preprocessing


class Meter:
    """Knows the float network's logits."""

    def __init__(self, tflite: bytes, pixels: Pixels, preprocessing: Preprocessing) -> None:
        """Runs the float network once.

        Args:
            tflite: The float32 file, with batch 1.
            pixels: Raw pictures, uint8 `[N, H, W, 3]`.
            preprocessing: Of the network.
        """
        self._bytes = (pixels.astype(np.int16) - 128).astype(np.int8)
        self._wanted = _run(_without_softmax(tflite), normalise(pixels, preprocessing))
        self._power = np.maximum(np.sum(self._wanted**2, axis=1), np.finfo(np.float32).tiny)

    def sqnr_db(self, made: bytes) -> float:
        """Of a file with int8 input: the mean over the pictures of 10 log10 of signal by error power.

        The mean of each picture's decibels, so that no single one decides.

        Raises:
            ConversionError: LiteRT refuses the file.
        """
        error = np.sum((_run(_without_softmax(made), self._bytes) - self._wanted) ** 2, axis=1)
        return float(np.mean(10 * np.log10(self._power / np.maximum(error, self._power * 1e-12))))


def _without_softmax(content: bytes) -> bytes:
    """The file up to its logits, whether they are int8 or float."""
    model = read_model(content)
    graph = model.subgraphs[0]
    kinds = [builtin_name(model.operatorCodes[operator.opcodeIndex]) for operator in graph.operators]
    if "SOFTMAX" in kinds:
        place = kinds.index("SOFTMAX")
        graph.outputs, graph.operators = [int(graph.operators[place].inputs[0])], graph.operators[:place]
        set_signature(model)
    return write_model(model)


def _run(content: bytes, inputs: NDArray[Any]) -> NDArray[np.float64]:
    """What the file gives, as numbers, `[N, classes]`."""
    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ConversionError(
            f"LiteRT refuses the int8 file: {' '.join(str(error).split())}; export the other precisions"
        ) from error
    (given,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for picture in inputs:
        interpreter.set_tensor(given["index"], picture[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(output["index"])[0])
    scale, zero_point = output["quantization"]
    stored = np.stack(rows).astype(np.float64)
    return (stored - zero_point) * scale if scale else stored
