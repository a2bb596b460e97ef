"""Requests for the measuring program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from device_bench.baseline.engines import ENGINES
from device_bench.baseline.program.request import Request, Settings
from tests.device_bench.baseline.exports import onnx_file
from tests.device_bench.tiny_models import tflite

QUICK = Settings(runs=4, min_s=0.001, max_s=1.0, warmup_min_s=0.0, warmup_max_s=0.2)


def make_request(folder: Path, engine: str = "onnxruntime-cpu", **changes: Any) -> Request:
    """For the tiny network on 4 px pictures; its files are made, its private folder is not."""
    row = ENGINES[engine]
    model = folder / f"tiny.{row.format}"
    if row.format != "keras":
        model.write_bytes(tflite() if row.format == "tflite" else onnx_file(4))
    np.save(folder / "inputs.npy", pictures(), allow_pickle=False)
    private = folder / "process"
    values: dict[str, Any] = {
        "mode": "prove", "engine": row, "device": row.accelerator, "precision": "float32", "batch": 1, "threads": 1,
        "model": str(model), "zoo_name": "mobilenet_v1_0.25_128", "classes": 5, "softmax": True,
        "inputs": str(folder / "inputs.npy"), "outputs": str(private / "outputs.npy"), "folder": str(private),
        "settings": QUICK,
    }  # fmt: skip
    return Request(**values | changes)


def pictures() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).uniform(-1, 1, (3, 4, 4, 3)).astype(np.float32)
