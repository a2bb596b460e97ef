"""ONNX Runtime: providers by a fake module, the CPU for real."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from device_bench.baseline.program.onnx_runtime import CPU, CUDA, TENSORRT, OnnxRuntime, node_providers, rebatched
from device_bench.baseline.program.request import Refusal
from tests.device_bench.baseline.exports import onnx_file
from tests.device_bench.baseline.program.requests import make_request, pictures
from tests.device_bench.tiny_models import expected


class FakeLibrary:
    """onnxruntime as it would be with GPUs: which providers it has, which start, and which computes each node."""

    __version__ = "1.99"
    cuda_version = "12.8"
    ExecutionMode = GraphOptimizationLevel = SimpleNamespace(ORT_SEQUENTIAL=0, ORT_ENABLE_ALL=99)

    def __init__(self, available: list[str], *, starts: bool = True, nodes: tuple[str, ...] = ()) -> None:
        self.available, self.starts, self.nodes = available, starts, nodes
        self.calls: list[str] = []
        self.devices: list[str] = []
        self.entries: dict[str, str] = {}
        self.options: Any = None
        self.preloaded = False
        self.OrtValue = SimpleNamespace(
            ortvalue_from_numpy=self._value, ortvalue_from_shape_and_type=lambda shape, _, device, __: self._value(
                np.zeros(shape, np.float32), device, 0
            )
        )  # fmt: skip

    def preload_dlls(self) -> None:
        self.preloaded = self.options is None

    def get_available_providers(self) -> list[str]:
        return self.available

    def SessionOptions(self) -> Any:  # noqa: N802 - the library's name
        self.options = SimpleNamespace(add_session_config_entry=self.entries.__setitem__)
        return self.options

    def InferenceSession(self, path: str, options: Any, *, providers: Any, enable_fallback: int) -> Any:  # noqa: N802
        assert enable_fallback == 0
        del path, options
        self.providers = providers
        used = [name for name, _ in providers] if self.starts else []
        if self.entries and CPU in self.nodes:
            raise RuntimeError("This session contains graph nodes, but fallback to CPU EP has been explicitly disabled")
        tensor = SimpleNamespace(name="t", type="tensor(float)", shape=[1, 4, 4, 3])
        return SimpleNamespace(
            get_providers=lambda: [*used, CPU], get_inputs=lambda: [tensor],
            get_outputs=lambda: [SimpleNamespace(name="o", type="tensor(float)", shape=[1, 5])],
            io_binding=self._binding, run_with_iobinding=lambda _: self.calls.append("run"),
            end_profiling=self._profile,
        )  # fmt: skip

    def _value(self, value: Any, device: str, index: int) -> Any:
        assert index == 0
        self.devices.append(device)

        def numpy() -> Any:
            self.calls.append("take")
            return value

        return SimpleNamespace(numpy=numpy, update_inplace=lambda _: self.calls.append("put"))

    def _binding(self) -> Any:
        def wait() -> None:
            self.calls.append("wait")

        return SimpleNamespace(
            bind_ortvalue_input=lambda *_: None, bind_ortvalue_output=lambda *_: None, synchronize_inputs=wait,
            synchronize_outputs=wait,
        )  # fmt: skip

    def _profile(self) -> str:
        path = Path(f"{self.options.profile_file_prefix}.json")
        path.write_text(profile(*self.nodes), "utf-8")
        return str(path)


def profile(*providers: str) -> str:
    """As ONNX Runtime writes it: each node twice, since it ran twice, among events of other kinds."""
    events: list[dict[str, Any]] = [{"cat": "Session", "name": "model_run", "args": {}}]
    for number, provider in enumerate(providers):
        for part in ("fence_before", "kernel_time"):
            args = {"provider": provider} if part == "kernel_time" else {}
            events += [{"cat": "Node", "name": f"node_{number}_{part}", "args": args}] * 2
    return json.dumps(events)


def prove(folder: Path, library: FakeLibrary, engine: str = "onnxruntime-cuda", **changes: Any) -> OnnxRuntime:
    (folder / "process").mkdir()
    return OnnxRuntime(make_request(folder, engine, **changes), library)


def test_a_gpu_provider_with_all_nodes_is_proven_and_its_buffers_stay_there(tmp_path: Path) -> None:
    library = FakeLibrary([CUDA, CPU], nodes=(CUDA, CUDA))
    network = prove(tmp_path, library)
    network.whole(pictures()[:1])
    place = network.placement()
    assert (place.accelerator, place.whole, place.nodes) == ("gpu", True, {CUDA: 2})
    assert place.evidence == "profile of one run: 2 of 2 nodes on CUDAExecutionProvider"
    assert library.devices == ["cuda", "cuda"]
    assert network.missing == {}
    assert library.preloaded, "NVIDIA's libraries from pip are loaded before the session is made"
    assert network.versions == {"onnxruntime": "1.99", "cuda": "12.8"}


def test_a_node_left_to_the_cpu_is_counted_and_the_gpu_not_named(tmp_path: Path) -> None:
    place = prove(tmp_path, FakeLibrary([CUDA, CPU], nodes=(CUDA, CPU, CUDA))).placement()
    assert (place.accelerator, place.whole) == (None, False)
    assert place.evidence == "profile of one run: 2 of 3 nodes on CUDAExecutionProvider"


def test_when_measuring_a_node_left_to_the_cpu_is_refused_by_the_session(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="CUDAExecutionProvider leaves nodes to the CPU") as caught:
        prove(tmp_path, FakeLibrary([CUDA, CPU], nodes=(CPU,)), mode="measure")
    assert caught.value.kind == "elsewhere"


def test_a_provider_that_does_not_start_is_no_gpu(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="did not start: the session has CPUExecutionProvider alone") as caught:
        prove(tmp_path, FakeLibrary([CUDA, CPU], starts=False))
    assert caught.value.kind == "no_device"


def test_a_provider_that_this_build_lacks_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(
        Refusal, match=r"1\.99 has CPUExecutionProvider; get CUDAExecutionProvider with `\.venv/bin/python -m pip"
    ) as caught:
        prove(tmp_path, FakeLibrary([CPU]))
    assert caught.value.kind == "not_installed"


@pytest.mark.parametrize(("precision", "tf32", "half"), [("float32", "0", "False"), ("tf32", "1", "False"),
                                                         ("float16", "0", "True")])  # fmt: skip
def test_precisions_are_set_explicitly(tmp_path: Path, precision: str, tf32: str, half: str) -> None:
    library = FakeLibrary([TENSORRT, CUDA, CPU], nodes=(TENSORRT,))
    prove(tmp_path, library, "onnxruntime-tensorrt", precision=precision)
    (first, options), (second, cuda) = library.providers
    assert (first, second) == (TENSORRT, CUDA)
    assert options["trt_fp16_enable"] == half
    assert cuda["use_tf32"] == tf32


def test_tensorrt_may_share_with_cuda_but_must_have_a_node(tmp_path: Path) -> None:
    place = prove(tmp_path, FakeLibrary([TENSORRT, CUDA, CPU], nodes=(TENSORRT, CUDA)), "onnxruntime-tensorrt")
    assert place.placement().whole
    (tmp_path / "process").rename(tmp_path / "other")
    alone = prove(tmp_path, FakeLibrary([TENSORRT, CUDA, CPU], nodes=(CUDA, CUDA)), "onnxruntime-tensorrt")
    assert not alone.placement().whole


def test_a_provider_that_does_not_tell_its_device_is_not_called_a_gpu(tmp_path: Path) -> None:
    name = "CoreMLExecutionProvider"
    network = prove(tmp_path, FakeLibrary([name, CPU], nodes=(name,)), "onnxruntime-coreml")
    place = network.placement()
    assert (place.accelerator, place.whole) == (None, True)
    assert "does not tell which unit it chooses" in place.evidence
    assert set(network.missing) == {"compute", "copy_in", "copy_out"}


def test_each_timed_step_waits_for_the_device(tmp_path: Path) -> None:
    library = FakeLibrary([CUDA, CPU], nodes=(CUDA,))
    network = prove(tmp_path, library)
    network.put(pictures()[:1])
    network.run()
    network.take()
    assert library.calls == ["put", "wait", "run", "wait", "take"]


def test_the_cpu_computes_for_real_and_every_node_is_on_it(tmp_path: Path) -> None:
    (tmp_path / "process").mkdir()
    network = OnnxRuntime(make_request(tmp_path), onnxruntime)
    rows = [network.whole(picture[None]).copy() for picture in pictures()]
    assert np.concatenate(rows) == pytest.approx(expected(pictures()), abs=1e-6)
    place = network.placement()
    assert (place.accelerator, place.whole) == ("cpu", True)
    assert place.nodes is not None
    assert set(place.nodes) == {CPU}


def test_onnx_runtime_itself_refuses_cpu_nodes_when_fallback_is_off(tmp_path: Path) -> None:
    """As for a GPU provider that takes no node: the Azure one, which every build has, takes none of these."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    request = make_request(tmp_path)
    with pytest.raises(Exception, match="fallback to CPU EP has been explicitly disabled"):
        onnxruntime.InferenceSession(request.model, options, providers=["AzureExecutionProvider"], enable_fallback=0)


@pytest.mark.parametrize("batch", [2, 5])
def test_a_file_for_one_image_computes_batches(tmp_path: Path, batch: int) -> None:
    (tmp_path / "process").mkdir()
    request = make_request(tmp_path, batch=batch)
    Path(request.model).write_bytes(rebatched(onnx_file(4), batch))
    value = np.resize(pictures(), (batch, 4, 4, 3))
    network = OnnxRuntime(replace(request, mode="measure"), onnxruntime)
    assert network.shape == (batch, 4, 4, 3)
    assert network.whole(value) == pytest.approx(expected(value), abs=1e-6)


def test_a_profile_without_nodes_proves_nothing() -> None:
    assert node_providers(profile(CUDA, CUDA, CPU)) == {CPU: 1, CUDA: 2}
    with pytest.raises(Refusal, match="the profile names no node"):
        node_providers(profile())
