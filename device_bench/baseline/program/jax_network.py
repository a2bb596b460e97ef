"""Keras on JAX, compiled by XLA."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.baseline.case import Placement
from device_bench.baseline.program.request import Refusal, Request


class JaxNetwork:
    """One jitted function; its weights, input and output are on one device."""

    def __init__(self, request: Request, build: Callable[[], Any]) -> None:
        """Builds; the first run compiles.

        Raises:
            Refusal: JAX sees no GPU.
        """
        jax: Any = importlib.import_module("jax")
        self._jax = jax
        products = "tensorfloat32" if request.precision == "tf32" else "highest"
        jax.config.update("jax_default_matmul_precision", products)
        try:
            self._device = jax.devices(request.device)[0]
        except RuntimeError as error:
            raise Refusal(
                "no_device",
                f"JAX {jax.__version__} sees no GPU: {error}; with an NVIDIA driver, `{request.engine.install}`",
            ) from error
        with jax.default_device(self._device):
            model = build()
        trained, fixed = (
            jax.device_put([variable.value for variable in variables], self._device)
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        # Weights are arguments: as constants, the compiler would work on them for minutes.
        compiled = jax.jit(lambda t, f, x: model.stateless_call(t, f, x, training=False)[0])
        self._call: Any = lambda x: compiled(trained, fixed, x)
        self.shape = (request.batch, *(int(size) for size in model.input_shape[1:]))
        self.missing: dict[str, str] = {}
        self.parameters: dict[str, Any] = {"compiler": "XLA", "default_matmul_precision": products}
        self.versions = {"jax": str(jax.__version__), "platform": str(self._device.client.platform_version)[:200]}
        self._input: Any = None
        self._output: Any = None

    def put(self, value: NDArray[Any]) -> None:
        """As `Network.put`."""
        self._input = self._jax.device_put(value, self._device).block_until_ready()

    def run(self) -> None:
        """As `Network.run`."""
        self._output = self._call(self._input).block_until_ready()

    def take(self) -> NDArray[Any]:
        """As `Network.take`; JAX keeps what was read, so that a second look at one output is no copy."""
        return np.asarray(self._output)

    def whole(self, value: NDArray[Any]) -> NDArray[Any]:
        """As `Network.whole`."""
        self._output = self._call(self._jax.device_put(value, self._device))
        return self.take()

    def placement(self) -> Placement:
        """As `Network.placement`."""
        devices = self._output.devices()
        platforms = {device.platform for device in devices}
        return Placement(
            accelerator="cpu" if "cpu" in platforms else "gpu",
            device=", ".join(sorted(str(device) for device in devices)),
            whole=len(devices) == 1,
            nodes=None,
            evidence="the output's devices(), of one jitted function",
        )
