"""Outputs of engines against another runtime's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from device_bench.baseline.check import Checker
from device_bench.baseline.engines import ENGINES
from export.contents import TensorInfo

REFERENCE = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)


def checker() -> Checker:
    info = TensorInfo(name="probabilities", dtype="float32", shape=(1, 2))
    artifacts = [
        SimpleNamespace(format=kind, precision="float32", file=f"net.{kind}", output=info)
        for kind in ("tflite", "onnx")
    ]
    desktop = SimpleNamespace(of=lambda file, _: REFERENCE if file == "net.tflite" else REFERENCE[:, ::-1])
    prepared: Any = SimpleNamespace(exported=SimpleNamespace(artifacts=artifacts), desktop=desktop)
    return Checker(prepared=prepared, images=3)


def test_litert_is_the_judge_of_all_but_itself() -> None:
    for name in ("onnxruntime-cpu", "tensorflow-gpu"):
        assert checker().compare(ENGINES[name], "float32", REFERENCE, on_gpu=False).passed
    assert not checker().compare(ENGINES["litert-cpu"], "float32", REFERENCE, on_gpu=False).passed
    assert checker().compare(ENGINES["litert-cpu"], "float32", REFERENCE[:, ::-1], on_gpu=False).passed


@pytest.mark.parametrize(
    ("precision", "error", "passed"),
    [("float32", 9e-4, True), ("float32", 2e-3, False), ("tf32", 2e-3, True), ("float16", 3e-2, False)],
)
def test_narrow_products_may_differ_more(precision: Any, error: float, passed: bool) -> None:
    outputs = REFERENCE + np.float32(error)
    found = checker().compare(ENGINES["onnxruntime-cuda"], precision, outputs, on_gpu=True)
    assert found.passed is passed
    assert found.kernels == "gpu"


def test_a_batch_of_repeated_pictures_is_compared_picture_by_picture() -> None:
    outputs = np.resize(REFERENCE, (8, 2))
    assert checker().compare(ENGINES["onnxruntime-cpu"], "float32", outputs, on_gpu=False).passed
    outputs[7] = outputs[6]
    assert not checker().compare(ENGINES["onnxruntime-cpu"], "float32", outputs, on_gpu=False).passed


def test_outputs_of_another_shape_or_nan_are_wrong() -> None:
    found = checker().compare(ENGINES["onnxruntime-cpu"], "float32", np.zeros((3, 7), np.float32), on_gpu=False)
    assert found.failure == "(7,) outputs per image, the network has (2,)"
    broken = np.full_like(REFERENCE, np.nan)
    assert not checker().compare(ENGINES["onnxruntime-cpu"], "float16", broken, on_gpu=False).passed
