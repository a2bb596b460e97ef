"""The table of engines."""

from __future__ import annotations

import pytest

from device_bench.baseline.case import PRECISIONS
from device_bench.baseline.engines import ENGINES, FALLBACK, Engine, find_engines, refusal
from device_bench.baseline.program.request import Request, Settings
from models.errors import UnknownNameError


@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.name)
def test_every_engine_says_how_to_get_it_and_survives_json(engine: Engine) -> None:
    assert engine.install.startswith(".venv/bin/python -m pip ")
    assert set(engine.precisions) <= set(PRECISIONS)
    assert "float32" in engine.precisions
    request = Request(
        mode="prove", engine=engine, device="cpu", precision="float32", batch=1, threads=1, model="m", zoo_name="z",
        classes=2, softmax=True, inputs="i", outputs="o", folder="f", settings=Settings(),
    )  # fmt: skip
    assert Request.from_json(request.to_json()) == request


def test_tf32_is_refused_by_what_has_none_and_computed_from_the_float32_file() -> None:
    assert refusal(ENGINES["onnxruntime-cuda"], "tf32") is None
    assert refusal(FALLBACK, "tf32") == (
        "onnxruntime-cpu has no TF32, which is a mode of NVIDIA's GPUs; leave tf32 out of --precision"
    )
    assert [FALLBACK.file_precision(name) for name in PRECISIONS] == ["float32", "float32", "float16"]


def test_the_fallback_of_auto_is_a_cpu_and_all_gpu_engines_come_first() -> None:
    kinds = [engine.accelerator for engine in ENGINES.values()]
    assert FALLBACK.accelerator == "cpu"
    assert kinds == sorted(kinds, reverse=True)


def test_an_unknown_engine_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown engine 'onnxruntime-cudda'; did you mean onnxruntime-cuda"):
        find_engines(["onnxruntime-cudda"])
    assert [row.name for row in find_engines(["litert-cpu", "litert-cpu"])] == ["litert-cpu"]
