"""Keras on PyTorch, eager."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from device_bench.baseline.case import Placement
from device_bench.baseline.program.request import Refusal, Request


class TorchNetwork:
    """Operators one by one, as PyTorch runs them when nobody compiles; weights, input and output are on one device."""

    def __init__(self, request: Request, build: Callable[[], Any]) -> None:
        """Builds.

        Raises:
            Refusal: PyTorch sees no GPU.
        """
        torch: Any = importlib.import_module("torch")
        self._torch = torch
        if request.device == "gpu" and not torch.cuda.is_available():
            raise Refusal(
                "no_device",
                f"PyTorch {torch.__version__} sees no GPU; with a driver for its CUDA {torch.version.cuda}, "
                f"`{request.engine.install}`",
            )
        torch.set_num_threads(request.threads)
        narrow = request.precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = narrow
        torch.backends.cudnn.allow_tf32 = narrow
        # The shapes never change: the fastest kernel is looked for during the warm-up.
        torch.backends.cudnn.benchmark = True
        self._device = torch.device("cuda:0" if request.device == "gpu" else "cpu")
        self._model = build().to(self._device).eval()
        self.shape = (request.batch, *(int(size) for size in self._model.input_shape[1:]))
        self.missing: dict[str, str] = {}
        self.parameters: dict[str, Any] = {
            "threads": request.threads,
            "compiler": "none (eager)",
            "allow_tf32": narrow,
            "cudnn_benchmark": True,
        }
        self.versions = {"torch": str(torch.__version__)}
        if torch.version.cuda:
            self.versions |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
        self._input: Any = None
        self._output: Any = None

    def put(self, value: NDArray[Any]) -> None:
        """As `Network.put`."""
        self._input = self._torch.from_numpy(value).to(self._device)
        self._wait()

    def run(self) -> None:
        """As `Network.run`."""
        with self._torch.inference_mode():
            self._output = self._model(self._input, training=False)
        self._wait()

    def take(self) -> NDArray[Any]:
        """As `Network.take`."""
        value: NDArray[Any] = self._output.cpu().numpy()
        return value

    def whole(self, value: NDArray[Any]) -> NDArray[Any]:
        """As `Network.whole`."""
        with self._torch.inference_mode():
            self._output = self._model(self._torch.from_numpy(value).to(self._device), training=False)
        return self.take()

    def _wait(self) -> None:
        if self._device.type == "cuda":
            self._torch.cuda.synchronize()

    def placement(self) -> Placement:
        """As `Network.placement`: PyTorch refuses to mix devices in one operator, so the output speaks for all."""
        devices = {str(parameter.device) for parameter in self._model.parameters()} | {str(self._output.device)}
        gpu = {name.partition(":")[0] for name in devices} == {"cuda"}
        return Placement(
            accelerator="gpu" if gpu else "cpu",
            device=", ".join(sorted(devices)),
            whole=len(devices) == 1,
            nodes=None,
            evidence="the devices of the output and of all weights",
        )
