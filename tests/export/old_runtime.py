"""Runs an export's TFLite files in the runtime that is installed here, and prints what they achieve as JSON.

For runtimes older than the project's own, such as tflite-runtime 2.14.0 of old ARM boards: needs Python 3.8, NumPy and
`tflite_runtime` (or `ai_edge_litert`), nothing of this project. Exit code 1: a file does not load or does not agree.

    python old_runtime.py FOLDER PICTURES.npz

FOLDER holds `manifest.json` and the files it lists; PICTURES.npz holds `pixels`, uint8 `[N, H, W, 3]`, and `reference`,
the Keras model's probabilities, `[N, classes]`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from tflite_runtime.interpreter import Interpreter, OpResolverType  # type: ignore[import-not-found]
except ImportError:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

RESOLVERS = {
    "default": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}
LEAST_AGREEMENT = {"float32": 1.0, "float16": 0.99}
"""Share of pictures with the Keras model's top-1 class, by precision; 8-bit ones may flip 5 of 100 more or less."""


def stored_input(pixels: NDArray[np.uint8], dtype: Any, preprocessing: dict[str, Any]) -> NDArray[Any]:
    """Raw pictures as the file takes them: bytes, bytes less 128, or normalised floats."""
    if dtype == np.uint8:
        return pixels
    if dtype == np.int8:
        return (pixels.astype(np.int16) - 128).astype(np.int8)
    mean, std = (np.asarray(preprocessing[key], np.float32) for key in ("mean", "std"))
    return (pixels.astype(np.float32) - mean) / std


def probabilities(
    path: Path, resolver: Any, pixels: NDArray[np.uint8], preprocessing: dict[str, Any]
) -> NDArray[np.float64]:
    """What the file says of each picture, float64 `[N, classes]`."""
    interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for picture in stored_input(pixels, source["dtype"], preprocessing):
        interpreter.set_tensor(source["index"], picture[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(target["index"])[0].astype(np.float64))
    scale, zero_point = target["quantization"]
    values = np.array(rows)
    return (values - zero_point) * scale if scale else values


def main() -> int:
    """Tries every file with and without delegates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with manifest.json and the files it lists")
    parser.add_argument("pictures", type=Path, help=".npz with `pixels` and `reference`")
    arguments = parser.parse_args()
    manifest = json.loads((arguments.folder / "manifest.json").read_text("utf-8"))
    pictures = np.load(arguments.pictures)
    pixels, reference = pictures["pixels"], pictures["reference"]
    results: dict[str, dict[str, Any]] = {}
    good = True
    for artifact in manifest["artifacts"]:
        if artifact["format"] != "tflite":
            continue
        for name, resolver in RESOLVERS.items():
            key = f"{artifact['precision']} {name}"
            try:
                found = probabilities(arguments.folder / artifact["file"], resolver, pixels, manifest["preprocessing"])
            except (RuntimeError, ValueError) as error:
                results[key], good = {"error": " ".join(str(error).split())}, False
                continue
            agreement = float(np.mean(found.argmax(axis=1) == reference.argmax(axis=1)))
            results[key] = {"agreement": agreement, "max_abs_error": float(np.abs(found - reference).max())}
            good = good and agreement >= LEAST_AGREEMENT.get(artifact["precision"], 0.95)
    json.dump(results, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
