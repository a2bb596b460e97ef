"""ONNX Runtime on one of its providers, with bound buffers, and which node each provider computed."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.baseline.case import Placement
from device_bench.baseline.program.network import NO_COPIES, NOT_SEPARABLE
from device_bench.baseline.program.request import Refusal, Request

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_NO_FALLBACK = "session.disable_cpu_ep_fallback"


class OnnxRuntime:
    """An exported file in a session that computes on one provider."""

    def __init__(self, request: Request, library: Any) -> None:
        """Loads the file.

        Args:
            request: What to do.
            library: The module `onnxruntime`, already imported.

        Raises:
            Refusal: this build has no such provider, the provider does not start, or nodes would be left to the CPU.
        """
        self._request = request
        self._library = library
        self._provider = request.engine.variant
        available = library.get_available_providers()
        if self._provider not in available:
            raise Refusal(
                "not_installed",
                f"this onnxruntime {library.__version__} has {', '.join(available)}; get {self._provider} with "
                f"`{request.engine.install}`",
            )
        # Where each node runs is known only afterwards, from the profile, which costs time: so when measuring, the
        # session refuses to be made if any node would be left to the CPU.
        self._profiles = request.mode == "prove"
        if self._provider in (CUDA, TENSORRT):
            load_nvidia_libraries(library)
        self._session = self._open()
        used = self._session.get_providers()
        if self._provider not in used:
            raise Refusal("no_device", f"{self._provider} did not start: the session has {', '.join(used)} alone")
        source, target = self._session.get_inputs()[0], self._session.get_outputs()[0]
        if source.type != "tensor(float)" or target.type != "tensor(float)":
            raise Refusal("unsupported", f"input {source.type} and output {target.type}; float tensors are measured")
        self.shape = tuple(int(size) for size in source.shape)
        self._bind(source.name, target.name, tuple(int(size) for size in target.shape))

    def _open(self) -> Any:
        request, library = self._request, self._library
        options = library.SessionOptions()
        options.intra_op_num_threads = request.threads
        options.inter_op_num_threads = 1
        options.execution_mode = library.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        self.parameters: dict[str, Any] = {
            "threads": request.threads,
            "execution": "sequential",
            "optimization": "all",
            "providers": [list(row) for row in self._providers()],
        }
        if self._profiles:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(request.folder) / "profile")
        elif self._provider != CPU:
            options.add_session_config_entry(_NO_FALLBACK, "1")
            self.parameters[_NO_FALLBACK] = "1"
        try:
            # Without this word, a provider that fails is replaced by the CPU, in silence.
            return library.InferenceSession(
                self._request.model, options, providers=self._providers(), enable_fallback=0
            )
        except Exception as error:
            if "fallback to CPU EP has been explicitly disabled" in str(error):
                raise Refusal("elsewhere", f"{self._provider} leaves nodes to the CPU: {error}") from error
            raise

    def _providers(self) -> list[tuple[str, dict[str, str]]]:
        """The provider and those it may share GPU work with; the CPU's is always the last and not named."""
        precision = self._request.precision
        cuda = (CUDA, {"device_id": "0", "use_tf32": "1" if precision == "tf32" else "0"})
        if self._provider == CUDA:
            return [cuda]
        if self._provider == TENSORRT:
            half = "True" if precision == "float16" else "False"
            return [(TENSORRT, {"device_id": "0", "trt_fp16_enable": half, "trt_engine_cache_enable": "False"}), cuda]
        return [(self._provider, {})]

    def _bind(self, source: str, target: str, shape: tuple[int, ...]) -> None:
        on_device = self._request.engine.separates_copies and self._provider != CPU
        device = "cuda" if on_device else "cpu"
        make = self._library.OrtValue
        self._input = make.ortvalue_from_numpy(np.zeros(self.shape, np.float32), device, 0)
        self._output = make.ortvalue_from_shape_and_type(shape, np.float32, device, 0)
        self._binding = self._session.io_binding()
        self._binding.bind_ortvalue_input(source, self._input)
        self._binding.bind_ortvalue_output(target, self._output)
        self.parameters["buffers"] = device
        self.missing: Mapping[str, str] = {}
        if self._provider == CPU:
            self.missing = dict.fromkeys(("copy_in", "copy_out"), NO_COPIES)
        elif not on_device:
            self.missing = dict.fromkeys(("compute", "copy_in", "copy_out"), NOT_SEPARABLE)

    @property
    def versions(self) -> dict[str, str]:
        """As `Network.versions`."""
        build = {name: getattr(self._library, f"{name}_version", None) for name in ("cuda", "cudnn")}
        known = {name: str(version) for name, version in build.items() if version}
        return {"onnxruntime": str(self._library.__version__)} | known

    def put(self, value: NDArray[Any]) -> None:
        """As `Network.put`."""
        self._input.update_inplace(value)
        self._binding.synchronize_inputs()

    def run(self) -> None:
        """As `Network.run`."""
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def take(self) -> NDArray[Any]:
        """As `Network.take`."""
        value: NDArray[Any] = self._output.numpy()
        return value

    def whole(self, value: NDArray[Any]) -> NDArray[Any]:
        """As `Network.whole`."""
        self._input.update_inplace(value)
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        return self.take()

    def placement(self) -> Placement:
        """As `Network.placement`: nodes are counted if the session profiles."""
        engine = self._request.engine
        where = engine.accelerator if engine.tells_device else None
        untold = "" if engine.tells_device else f"; {self._provider} does not tell which unit it chooses"
        used = ", ".join(self._session.get_providers())
        if not self._profiles:
            proof = "an exported file on its only provider" if self._provider == CPU else f"{_NO_FALLBACK} is set"
            return Placement(
                accelerator=where,
                device=self._provider,
                whole=True,
                nodes=None,
                evidence=f"the session has {used}; {proof}{untold}",
            )
        nodes = node_providers(Path(self._session.end_profiling()).read_text("utf-8"))
        friends = {self._provider, CUDA} if self._provider == TENSORRT else {self._provider}
        mine, total = nodes.get(self._provider, 0), sum(nodes.values())
        whole = mine > 0 and set(nodes) <= friends
        return Placement(
            accelerator=where if whole else None,
            device=self._provider,
            whole=whole,
            nodes=nodes,
            evidence=f"profile of one run: {mine} of {total} nodes on {self._provider}{untold}",
        )


def load_nvidia_libraries(library: Any) -> None:
    """Loads NVIDIA's libraries where pip installed them, which the system's loader does not search."""
    if hasattr(library, "preload_dlls"):
        library.preload_dlls()
    if importlib.util.find_spec("tensorrt") is not None:
        # Its import loads libnvinfer.
        importlib.import_module("tensorrt")


def node_providers(profile: str) -> dict[str, int]:
    """How many nodes each provider computed, from the profile that ONNX Runtime writes.

    Raises:
        Refusal: it tells of no node.
    """
    seen: dict[str, str] = {}
    for event in json.loads(profile):
        if event.get("cat") == "Node" and str(event.get("name", "")).endswith("_kernel_time"):
            seen[event["name"]] = str(event.get("args", {}).get("provider") or "unknown")
    if not seen:
        raise Refusal("failed", "the profile names no node: it cannot be proven where the network was computed")
    return dict(sorted(Counter(seen.values()).items()))


def rebatched(content: bytes, batch: int) -> bytes:
    """An exported network for another batch: its files have a batch of one, which is what phones run."""
    import onnx

    model = onnx.load_from_string(content)
    # Shapes in between follow from the input's; those noted in the file are of one image.
    del model.graph.value_info[:]
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = batch
    onnx.checker.check_model(model, full_check=True)
    result: bytes = model.SerializeToString()
    return result
