"""What may be left out of an int8 TFLite file before a runtime refuses it or computes something else.

    .venv/bin/python -m benchmarks.compact_variants FILE.tflite [--python PATH ...]

Each variant of the file is run on the same pictures, with delegates and with builtin kernels alone, by this project's
LiteRT and by every other interpreter given with --python, which needs NumPy and `tflite_runtime` or `ai_edge_litert`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from export.tflite_file import builtin_name, read_model, write_model

_TRIAL = """
import hashlib, json, sys
import numpy as np
try:
    from tflite_runtime.interpreter import Interpreter, OpResolverType
except ImportError:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
found = {}
for path in sys.argv[1:]:
    for way, resolver in (
        ("delegates", OpResolverType.AUTO),
        ("builtin kernels", OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES),
    ):
        try:
            interpreter = Interpreter(path, experimental_op_resolver_type=resolver, num_threads=1)
            interpreter.allocate_tensors()
            source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
            rng, digest = np.random.default_rng(0), hashlib.sha256()
            for _ in range(20):
                picture = rng.integers(0, 256, source["shape"]) - 128 * (source["dtype"] != np.uint8)
                interpreter.set_tensor(source["index"], picture.astype(source["dtype"]))
                interpreter.invoke()
                digest.update(interpreter.get_tensor(target["index"]).tobytes())
            found[path + " " + way] = {"sha256": digest.hexdigest()}
        except (RuntimeError, ValueError) as error:
            found[path + " " + way] = {"error": " ".join(str(error).split())[:120]}
print(json.dumps(found))
"""


def kernels(model: Any) -> Iterator[tuple[Any, Any]]:
    """Kernel and bias of every operator that has them."""
    tensors, names = model.subgraphs[0].tensors, ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    for operator in model.subgraphs[0].operators:
        if builtin_name(model.operatorCodes[operator.opcodeIndex]) in names:
            yield tensors[operator.inputs[1]], tensors[operator.inputs[2]]


def _nothing(_: Any) -> None:
    pass


def _one_zero_point(model: Any) -> None:
    for kernel, bias in kernels(model):
        kernel.quantization.zeroPoint = bias.quantization.zeroPoint = np.zeros(1, np.int64)


def _one_bias_scale(model: Any) -> None:
    for _, bias in kernels(model):
        bias.quantization.scale, bias.quantization.zeroPoint = bias.quantization.scale[:1], np.zeros(1, np.int64)


def _no_bias_scale(model: Any) -> None:
    for _, bias in kernels(model):
        bias.quantization = None


def untrue_bias_scales(model: Any) -> None:
    """Each bias shares the scales of its kernel instead of stating its own."""
    for kernel, bias in kernels(model):
        if len(bias.quantization.scale) == len(kernel.quantization.scale):
            bias.quantization.scale = kernel.quantization.scale


VARIANTS: Mapping[str, Callable[[Any], None]] = MappingProxyType(
    {
        "as exported": _nothing,
        "one zero point per tensor": _one_zero_point,
        "one scale per bias": _one_bias_scale,
        "no scale of biases": _no_bias_scale,
        "untrue bias scales": untrue_bias_scales,
    }
)


def changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The flatbuffer of a file, changed."""
    model = read_model(content)
    change(model)
    return write_model(model)


def main() -> None:
    """Prints a line per variant, runtime and kind of kernels."""
    parser = argparse.ArgumentParser(description="what an int8 file may lack")
    parser.add_argument("file", type=Path)
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="another interpreter to ask")
    arguments = parser.parse_args()
    content = arguments.file.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / f"{number}.tflite") for number, name in enumerate(VARIANTS)}
        for name, path in paths.items():
            Path(path).write_bytes(changed(content, VARIANTS[name]))
        for python in (sys.executable, *arguments.python):
            said = subprocess.run(
                [python, "-c", _TRIAL, *paths.values()], capture_output=True, text=True, check=True
            ).stdout
            found = json.loads(said.splitlines()[-1])
            for way in ("delegates", "builtin kernels"):
                wanted = found[f"{paths['as exported']} {way}"]
                for name, path in paths.items():
                    given = found[f"{path} {way}"]
                    verdict = given.get("error") or ("same bytes" if given == wanted else "other bytes")
                    print(f"{python}, {way}: {name}, {Path(path).stat().st_size:,} bytes: {verdict}")


if __name__ == "__main__":
    main()
