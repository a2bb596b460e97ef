"""`python -m device_bench.baseline.program REQUEST RESULT`: measures as the request says, in this fresh process.

The result file appears whole or not at all, and holds either what was measured or why it could not be. Exit code 0:
measured; 1: not, and the result file says why.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import io
import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.baseline.case import FailureKind
from device_bench.baseline.program.network import Network
from device_bench.baseline.program.request import SCHEMA, Refusal, Request
from device_bench.baseline.program.timing import time_phases, warm_up
from device_bench.runners.timed_loop import memory
from models.files import write_file

_OUT_OF_MEMORY = re.compile(
    r"out of memory|RESOURCE_EXHAUSTED|bad_alloc|OOM when|failed to allocate memory", re.IGNORECASE
)


def load(request: Request) -> Network:
    """The network, by the engine's runtime; imported here, before the clock of `init_us` starts."""
    family = request.engine.family
    if family == "onnxruntime":
        from device_bench.baseline.program.onnx_runtime import OnnxRuntime

        return OnnxRuntime(request, importlib.import_module("onnxruntime"))
    if family == "litert":
        from device_bench.baseline.program.litert import Litert

        return Litert(request, importlib.import_module("ai_edge_litert.interpreter").Interpreter)
    from device_bench.baseline.program.keras_network import load_keras

    return load_keras(request)


def import_engine(request: Request) -> None:
    """Imports everything that computes.

    Raises:
        Refusal: something is not installed.
    """
    for name in request.engine.modules:
        if importlib.util.find_spec(name) is None:
            raise Refusal("not_installed", f"{name} is not installed; `{request.engine.install}`")
    for name in request.engine.modules:
        importlib.import_module(name)


def with_batch(request: Request) -> Request:
    """The request with a file of the batch asked for. Preparing it is no part of loading a network."""
    if request.engine.family != "onnxruntime" or request.batch == 1:
        return request
    from device_bench.baseline.program.onnx_runtime import rebatched

    path = Path(request.folder) / "rebatched.onnx"
    path.write_bytes(rebatched(Path(request.model).read_bytes(), request.batch))
    return replace(request, model=str(path))


def prove(request: Request) -> dict[str, Any]:
    """The outputs of all pictures, one batch after the other, and where they were computed."""
    network = load(request)
    inputs = np.load(request.inputs, allow_pickle=False)
    rows = [network.whole(batch)[: len(part)].copy() for part, batch in _batches(inputs, request.batch)]
    _save(request.outputs, np.concatenate(rows))
    return {"placement": network.placement().to_json(), "versions": dict(network.versions), "measured": None}


def measure(request: Request) -> dict[str, Any]:
    """Times of the network on real pictures, repeated to fill the batch, and the outputs of that batch."""
    inputs = np.load(request.inputs, allow_pickle=False)
    value = np.ascontiguousarray(np.resize(inputs, (request.batch, *inputs.shape[1:])))
    started = time.perf_counter_ns()
    network = load(request)
    loaded = time.perf_counter_ns()
    network.whole(value)
    first = time.perf_counter_ns()
    gc.collect()
    warmup, steady = warm_up(network, value, request.settings)
    network.put(value)
    network.run()
    samples = time_phases(network, value, request.settings)
    _save(request.outputs, network.whole(value))
    used = memory()
    missing = dict(network.missing) | ({} if used else {"peak_rss_bytes": "this system has no /proc/self/status"})
    measured = {
        "init_us": (loaded - started) / 1000,
        "first_us": (first - loaded) / 1000,
        "warmup_us": list(warmup),
        "steady": steady,
        "samples_us": samples,
        "peak_rss_bytes": used["peak"] if used else None,
        "versions": dict(network.versions),
        "parameters": dict(network.parameters),
        "missing": missing,
    }
    return {"placement": network.placement().to_json(), "versions": dict(network.versions), "measured": measured}


def _batches(inputs: NDArray[Any], size: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    parts = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    return [(part, np.ascontiguousarray(np.resize(part, (size, *inputs.shape[1:])))) for part in parts]


def _save(path: str, outputs: NDArray[Any]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(outputs, np.float32), allow_pickle=False)
    write_file(Path(path), buffer.getvalue())


def classify(error: BaseException) -> tuple[FailureKind, str]:
    """Kind and one line of an exception."""
    text = " ".join(str(error).split())[:600]
    if isinstance(error, Refusal):
        return error.kind, text
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
        return "memory", f"out of memory: {text}"
    return "failed", f"{type(error).__name__}: {text}"


def main() -> int:
    """Does what the request says."""
    request_path, result_path = (Path(word) for word in sys.argv[1:])
    request = Request.from_json(json.loads(request_path.read_text("utf-8")))
    result: dict[str, Any]
    try:
        import_engine(request)
        request = with_batch(request)
        result = prove(request) if request.mode == "prove" else measure(request)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
        kind, text = classify(error)
        result = {"failure": text, "failure_kind": kind}
    write_file(result_path, (json.dumps({"schema": SCHEMA, **result}, allow_nan=False) + "\n").encode())
    return 1 if "failure" in result else 0


if __name__ == "__main__":
    sys.exit(main())
