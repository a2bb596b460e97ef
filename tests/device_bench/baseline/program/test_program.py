"""The measuring program: what it calls a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_bench.baseline.engines import ENGINES
from device_bench.baseline.program.__main__ import classify, import_engine, with_batch
from device_bench.baseline.program.request import Refusal
from tests.device_bench.baseline.program.requests import make_request


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (Refusal("elsewhere", "on the\nCPU"), "elsewhere", "on the CPU"),
        (MemoryError(), "memory", "out of memory: "),
        (RuntimeError("CUDA out of memory. Tried 2 GiB"), "memory", "out of memory: CUDA out of memory. Tried 2 GiB"),
        (RuntimeError("RESOURCE_EXHAUSTED: OOM"), "memory", "out of memory: RESOURCE_EXHAUSTED: OOM"),
        (ValueError("bad"), "failed", "ValueError: bad"),
    ],
)
def test_failures_are_told_apart_on_one_line(error: Exception, kind: str, text: str) -> None:
    assert classify(error) == (kind, text)


def test_a_library_that_is_missing_is_named_with_how_to_install_it(tmp_path: Path) -> None:
    request = make_request(tmp_path, "keras-jax-gpu")
    missing = type(request.engine)(**{**request.engine.to_json(), "modules": ("no_such_library",)})
    values = {name: getattr(request, name) for name in request.__slots__}
    with pytest.raises(
        Refusal, match=r"no_such_library is not installed; `\.venv/bin/python -m pip install 'jax\[cuda12\]'`"
    ) as caught:
        import_engine(type(request)(**values | {"engine": missing}))
    assert caught.value.kind == "not_installed"


def test_only_onnx_files_are_made_for_a_batch_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "process").mkdir()
    single = make_request(tmp_path)
    assert with_batch(single) is single
    litert = make_request(tmp_path, "litert-cpu", batch=4)
    assert with_batch(litert) is litert
    made = with_batch(make_request(tmp_path, batch=4))
    assert Path(made.model) == tmp_path / "process" / "rebatched.onnx"
    assert made.engine == ENGINES["onnxruntime-cpu"]
