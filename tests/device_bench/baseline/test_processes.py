"""Processes of the measuring program: real ones, and how they can end."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_bench.baseline.case import PHASES
from device_bench.baseline.engines import ENGINES
from device_bench.baseline.processes import command_of, environment_of, obituary, run_request
from device_bench.baseline.program.request import Request
from device_bench.desktop import Desktop
from device_bench.target import Command, Finished
from models.errors import ProgramError
from tests.device_bench.baseline.program.requests import make_request, pictures
from tests.device_bench.tiny_models import expected


class Actor:
    """A target whose only program does as told."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def execute(self, command: Command, folder: str, *, timeout_s: float) -> Finished:
        assert command.argv[1:3] == ("-m", "device_bench.baseline.program")
        assert timeout_s > 0
        finished = self.act(Path(folder))
        assert isinstance(finished, Finished)
        return finished


def ended(code: int, stderr: bytes = b"") -> Finished:
    return Finished(stdout=b"", stderr=stderr, exit_code=code, wall_s=1.0)


@pytest.mark.parametrize("engine", ["onnxruntime-cpu", "litert-cpu"])
def test_a_fresh_process_measures_batches_and_gives_their_outputs(tmp_path: Path, engine: str) -> None:
    outcome = run_request(Desktop(), make_request(tmp_path, engine, mode="measure", batch=5), {})
    assert outcome.failure is None
    assert outcome.outputs is not None
    assert outcome.outputs == pytest.approx(expected(np.resize(pictures(), (5, 4, 4, 3))), abs=1e-6)
    assert outcome.measured is not None
    assert {phase for phase in PHASES if outcome.measured.samples_us[phase]} == {"compute", "end_to_end"}
    assert set(outcome.measured.missing) >= {"copy_in", "copy_out"}
    assert outcome.placement is not None
    assert (outcome.placement.accelerator, outcome.placement.whole) == ("cpu", True)
    assert not (tmp_path / "process").exists()


def test_a_gpu_engine_without_its_provider_says_what_to_install(tmp_path: Path) -> None:
    outcome = run_request(Desktop(), make_request(tmp_path, "onnxruntime-migraphx"), {})
    assert outcome.failure_kind == "not_installed"
    assert outcome.failure is not None
    assert "pip install onnxruntime-migraphx" in outcome.failure


def test_a_file_that_is_no_network_is_a_failure_and_no_result(tmp_path: Path) -> None:
    request = make_request(tmp_path)
    Path(request.model).write_bytes(b"nothing")
    outcome = run_request(Desktop(), request, {})
    assert (outcome.exit_code, outcome.failure_kind, outcome.measured) == (1, "failed", None)


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (
            137,
            "memory",
            "the process was killed: by somebody, or by the system because memory ran out; its last words: Aha [31m",
        ),
        (139, "crashed", "the process died of signal 11; its last words: Aha [31m"),
        (3, "crashed", "the process ended with exit code 3 and no result; its last words: Aha [31m"),
    ],
)
def test_a_process_without_a_result_is_known_by_its_end(code: int, kind: str, text: str) -> None:
    assert obituary(ended(code, b"first\nAha\x1b[31m\n\n")) == (kind, text)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "placement": {}}', '{"schema": 1'])
def test_a_result_that_cannot_be_read_is_not_believed(tmp_path: Path, content: str) -> None:
    def act(folder: Path) -> Finished:
        (folder / "result.json").write_text(content)
        np.save(folder / "outputs.npy", np.zeros((1, 5), np.float32))
        return ended(0)

    outcome = run_request(Actor(act), make_request(tmp_path), {})  # type: ignore[arg-type]
    assert (outcome.measured, outcome.failure_kind) == (None, "crashed")
    assert outcome.failure is not None
    assert outcome.failure.startswith("the process wrote no result that can be read")


def test_outputs_are_never_unpickled(tmp_path: Path) -> None:
    def act(folder: Path) -> Finished:
        np.save(folder / "outputs.npy", np.array([{}], dtype=object), allow_pickle=True)
        place = {"accelerator": "gpu", "device": "d", "whole": True, "nodes": None, "evidence": "e"}
        result = {"schema": 1, "placement": place, "versions": {}, "measured": None}
        (folder / "result.json").write_text(json.dumps(result))
        return ended(0)

    outcome = run_request(Actor(act), make_request(tmp_path), {})  # type: ignore[arg-type]
    assert outcome.failure_kind == "crashed"


def test_a_process_that_takes_too_long_is_a_failure_of_its_own(tmp_path: Path) -> None:
    def act(folder: Path) -> Finished:
        assert folder.is_dir()
        raise ProgramError("it took longer than 5 s and was ended")

    outcome = run_request(Actor(act), make_request(tmp_path), {})  # type: ignore[arg-type]
    assert (outcome.failure, outcome.failure_kind) == ("it took longer than 5 s and was ended", "timeout")
    assert outcome.exit_code is None


def test_the_environment_shows_one_gpu_and_leaves_tf32_off_for_float32(tmp_path: Path) -> None:
    gpu = {"CUDA_VISIBLE_DEVICES": "GPU-1"}
    request = make_request(tmp_path, "onnxruntime-cuda")
    assert environment_of(request, gpu)["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert environment_of(request, gpu)["NVIDIA_TF32_OVERRIDE"] == "0"
    assert "NVIDIA_TF32_OVERRIDE" not in environment_of(replace(request, precision="tf32"), gpu)
    on_cpu = environment_of(replace(request, device="cpu"), gpu)
    assert on_cpu["CUDA_VISIBLE_DEVICES"] == "-1"
    assert command_of(request, gpu).argv[0] == sys.executable


def test_keras_is_told_its_backend_and_not_by_the_user_s_files(tmp_path: Path) -> None:
    request = replace(make_request(tmp_path), engine=ENGINES["keras-jax-gpu"], device="gpu")
    environment = environment_of(request, {})
    assert environment["KERAS_BACKEND"] == "jax"
    assert environment["KERAS_HOME"] == request.folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "precision"),
    [("tensorflow-gpu", "float32"), ("tensorflow-gpu", "float16"), ("keras-jax-gpu", "float32"),
     ("keras-torch-gpu", "float32")],
)  # fmt: skip
def test_keras_computes_the_checkpoint_on_every_backend(tmp_path: Path, engine: str, precision: str) -> None:
    """The code of the GPU engines on a CPU, against Keras' own answer; JAX and PyTorch where installed."""
    if importlib.util.find_spec(ENGINES[engine].variant) is None:
        pytest.skip(f"{ENGINES[engine].variant} is not installed")
    import keras

    from models.build import build
    from models.zoo import lookup

    spec = replace(lookup("mobilenet_v1_0.25_128"), num_classes=5)
    model = build(spec)
    model.save(tmp_path / "net.keras")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 128, 128, 3)).astype(np.float32)
    request: Request = make_request(
        tmp_path, engine=engine, device="cpu", precision=precision, mode="measure", batch=2,
        model=str(tmp_path / "net.keras"), inputs=str(tmp_path / "images.npy"),
    )  # fmt: skip
    np.save(tmp_path / "images.npy", images)
    outcome = run_request(Desktop(), request, {})
    assert outcome.failure is None
    assert outcome.placement is not None
    assert outcome.placement.accelerator == "cpu"
    reference = keras.ops.convert_to_numpy(keras.ops.softmax(model(images, training=False)))
    assert outcome.outputs == pytest.approx(reference, abs=1e-5 if precision == "float32" else 5e-3)
    assert outcome.measured is not None
    assert outcome.measured.parameters["policy"] == ("float32" if precision == "float32" else "mixed_float16")
