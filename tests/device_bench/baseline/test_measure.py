"""A whole baseline whose processes are played: which engine is taken, how far batches go, what ends it how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from device_bench.baseline import measure
from device_bench.baseline.baseline import verdict
from device_bench.baseline.engines import ENGINES
from device_bench.baseline.gpu import ChosenGpu
from device_bench.baseline.measure import Baseline
from device_bench.baseline.plan import BaselineRequest, Sources
from device_bench.baseline.processes import Outcome
from device_bench.baseline.program.request import Request, Settings
from device_bench.baseline.record import BaselineRecord, load_baseline
from models.errors import (
    EngineError,
    NotInstalledError,
    PlacementError,
    ToolchainError,
    UsageError,
    VerificationError,
)
from tests.device_bench.baseline import values

Act = Callable[[Request], Outcome | None]
"""What a process does; None: it succeeds where it was told to."""


def failed(kind: str, text: str = "no") -> Outcome:
    return Outcome(
        argv=(), environment={}, exit_code=1, wall_s=1.0, versions={}, failure=text, failure_kind=kind,  # type: ignore[arg-type]
    )  # fmt: skip


def done(request: Request, **changes: Any) -> Outcome:
    """A process that needs 100 us and 10 us for each image."""
    place = values.on_gpu() if request.device == "gpu" else values.placement()
    timed = values.measured(100.0 + 10 * request.batch) if request.mode == "measure" else None
    outcome = Outcome(
        argv=("python",), environment={}, exit_code=0, wall_s=1.0, placement=place, versions={"lib": "1"},
        measured=timed, outputs=np.zeros((request.batch, 5), np.float32),
    )  # fmt: skip
    return replace(outcome, **changes)


class Checker:
    """Finds outputs of all ones wrong."""

    inputs = np.zeros((8, 4, 4, 3), np.float32)

    def artifact(self, kind: str, precision: str) -> Any:
        return SimpleNamespace(file=f"net-{precision}.{kind}", output=SimpleNamespace(name="probabilities"))

    def compare(self, engine: Any, precision: str, outputs: Any, *, on_gpu: bool) -> Any:
        del engine, precision, on_gpu
        return values.check("off by one" if outputs.any() else None)


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, act: Act, *, checkpoint: Path | str = "there is none",
    engines: tuple[str, ...] = (), **changes: Any,
) -> tuple[BaselineRecord, list[Request]]:  # fmt: skip
    """The record, as it lies on disk, and all processes in their order."""
    requests: list[Request] = []

    def run_request(target: Any, request: Request, gpu: Mapping[str, str]) -> Outcome:
        del target, gpu
        requests.append(request)
        return act(request) or done(request)

    monkeypatch.setattr(measure, "run_request", run_request)
    asked: dict[str, Any] = {
        "engines": tuple(ENGINES[name] for name in engines), "precisions": ("float32",), "batches": (1,), "repeats": 2,
        "threads": 1, "gpu_index": None, "seed": 0, "settings": Settings(),
    }  # fmt: skip
    request = BaselineRequest(**asked | changes)
    record = values.record(request=request.to_json(), repeats=request.repeats)
    path = folder / "record.json"
    Baseline(
        target=None, folder=folder, request=request,  # type: ignore[arg-type]
        sources=Sources(folder=folder, checkpoint=checkpoint, zoo_name="mobilenet_v2_1.4", classes=5),
        checker=Checker(),  # type: ignore[arg-type]
        gpu=ChosenGpu(state=None, missing="none", environment={}), record=record, path=path,
        report=lambda _: None,
    ).run()  # fmt: skip
    assert load_baseline(path) == record
    return record, requests


def without(*names: str, kind: str = "not_installed") -> Act:
    """A machine where these engines fail."""
    return lambda request: failed(kind) if request.engine.name in names else None


GPU = tuple(engine.name for engine in ENGINES.values() if engine.accelerator == "gpu")


def test_auto_takes_the_first_engine_that_proves_to_be_on_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, requests = run(tmp_path, monkeypatch, without("onnxruntime-tensorrt"))
    assert [(row.engine, row.taken) for row in record.engines] == [
        ("onnxruntime-tensorrt", False), ("onnxruntime-cuda", True),
    ]  # fmt: skip
    assert {summary.accelerator for summary in record.summaries()} == {"gpu"}
    assert {request.engine.name for request in requests if request.mode == "measure"} == {"onnxruntime-cuda"}
    assert verdict(record) is None


def test_auto_without_a_gpu_measures_the_cpu_says_so_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, _ = run(tmp_path, monkeypatch, without(*GPU), checkpoint=tmp_path / "trained.keras")
    assert [row.engine for row in record.engines] == [*GPU, "onnxruntime-cpu"]
    assert all(row.reason for row in record.engines[:-1])
    (summary,) = record.summaries()
    assert summary.label == "CPU AMD EPYC, onnxruntime-cpu, float32, batch 1"
    assert verdict(record) is None


def test_auto_passes_over_an_engine_that_fell_back_to_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(request: Request) -> Outcome | None:
        return done(request, placement=values.placement()) if request.device == "gpu" else None

    record, _ = run(tmp_path, monkeypatch, act)
    assert record.engines[0].failure_kind == "elsewhere"
    reason = "asked for the GPU, it computed on CPUExecutionProvider: profile of one run: 3 of 3 nodes"
    assert record.engines[0].reason == reason
    assert record.summaries()[0].accelerator == "cpu"
    assert verdict(record) is None


def test_auto_never_takes_what_does_not_tell_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, requests = run(tmp_path, monkeypatch, without(*(set(GPU) - {"onnxruntime-coreml"})))
    (row,) = [row for row in record.engines if row.engine == "onnxruntime-coreml"]
    assert row.reason is not None
    assert "does not tell what it computes on" in row.reason
    assert "onnxruntime-coreml" not in {request.engine.name for request in requests}


def test_wrong_outputs_on_a_gpu_are_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(request: Request) -> Outcome | None:
        return done(request, outputs=np.ones((1, 5), np.float32)) if request.engine.name in GPU else None

    record, requests = run(tmp_path, monkeypatch, act)
    assert record.wrong
    assert all(request.mode == "prove" for request in requests)
    error = verdict(record)
    assert isinstance(error, VerificationError)
    assert str(error) == "onnxruntime-tensorrt: wrong numbers: off by one"


def test_wrong_outputs_of_a_larger_batch_are_found_while_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(request: Request) -> Outcome | None:
        return done(request, outputs=np.ones((4, 5), np.float32)) if request.batch == 4 else None

    record, _ = run(tmp_path, monkeypatch, act, engines=("onnxruntime-cpu",), batches=(1, 4))
    one, four = record.summaries()
    assert (one.failure, four.failure) == (None, "wrong numbers: off by one")
    assert isinstance(verdict(record), VerificationError)
    assert len(record.attempts_of("onnxruntime-cpu-float32-b4", "latency")) == 1


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("elsewhere", PlacementError, 1), ("no_device", PlacementError, 1), ("not_installed", NotInstalledError, 2),
        ("failed", EngineError, 3), ("crashed", EngineError, 3), ("timeout", EngineError, 3),
    ],
)  # fmt: skip
def test_an_engine_asked_for_by_name_must_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, error: type[ToolchainError], code: int
) -> None:
    record, _ = run(
        tmp_path, monkeypatch, without("onnxruntime-cuda", kind=kind), engines=("onnxruntime-cuda", "onnxruntime-cpu")
    )
    assert record.summaries()[0].failure is None, "the other one is measured all the same"
    found = verdict(record)
    assert type(found) is error
    assert found.exit_code == code
    assert str(found) == "onnxruntime-cuda: no"


def test_nothing_that_can_be_measured_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, requests = run(tmp_path, monkeypatch, lambda _: None, engines=("litert-cpu",), precisions=("tf32",))
    assert requests == []
    found = verdict(record)
    assert type(found) is UsageError
    assert "litert-cpu has no TF32" in str(found)


def test_an_engine_that_needs_the_checkpoint_says_when_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, requests = run(tmp_path, monkeypatch, lambda _: None, engines=("tensorflow-gpu",))
    assert requests == []
    assert record.engines[0].reason == "there is none"


def test_batches_double_to_the_knee_and_one_beyond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 100 us and 10 us for each image: images per second grow by less than 5 % from 256 on, by 8 % from 64 to 128.
    record, _ = run(tmp_path, monkeypatch, lambda _: None, engines=("onnxruntime-cpu",), batches=())
    (knee,) = record.knees
    assert knee.batch == 128
    assert knee.reason == "batch 256 gives +3.8% images/s, less than +5%"
    assert [case.batch for case in record.cases] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert all(summary.failure is None for summary in record.summaries())


def test_memory_that_runs_out_ends_the_sweep_and_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(request: Request) -> Outcome | None:
        return failed("memory", "out of memory: 12 GiB") if request.batch > 4 else None

    record, _ = run(tmp_path, monkeypatch, act, engines=("onnxruntime-cpu",), batches=())
    (knee,) = record.knees
    assert (knee.batch, knee.reason) == (4, "batch 8 failed: out of memory: 12 GiB")
    assert [case.batch for case in record.cases] == [1, 2, 4]
    assert verdict(record) is None


def test_a_single_image_that_fails_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(request: Request) -> Outcome | None:
        return failed("crashed", "it died") if request.mode == "measure" else None

    record, _ = run(tmp_path, monkeypatch, act, engines=("onnxruntime-cpu",), batches=())
    assert (record.knees, [case.batch for case in record.cases]) == ([], [1])
    assert isinstance(verdict(record), EngineError)


def test_rounds_are_interleaved_in_an_order_of_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def order(seed: int) -> list[int]:
        _, requests = run(
            tmp_path, monkeypatch, lambda _: None, engines=("onnxruntime-cpu",), batches=(1, 2, 4, 8), repeats=3,
            seed=seed,
        )  # fmt: skip
        return [request.batch for request in requests if request.mode == "measure"]

    first = order(0)
    assert [sorted(first[at : at + 4]) for at in (0, 4, 8)] == [[1, 2, 4, 8]] * 3
    assert first == order(0)
    assert first != order(1)
