"""The checkpoint in Keras, compiled by one of its backends. Which one is in the environment: `KERAS_BACKEND`.

Batch normalization is folded, as in the exported files, and softmax added if they have it: the same function is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_bench.baseline.program.jax_network import JaxNetwork
from device_bench.baseline.program.network import NO_COPIES, Network
from device_bench.baseline.program.request import Refusal, Request
from device_bench.baseline.program.tensorflow_network import TensorFlowNetwork
from device_bench.baseline.program.torch_network import TorchNetwork

_BACKENDS: dict[str, Callable[[Request, Callable[[], Any]], Network]] = {
    "tensorflow": TensorFlowNetwork,
    "jax": JaxNetwork,
    "torch": TorchNetwork,
}


def load_keras(request: Request) -> Network:
    """The network on the request's backend and device.

    Raises:
        Refusal: the backend finds no such device.
        WeightsError: the checkpoint does not serve.
    """
    import keras

    backend = request.engine.variant
    if keras.backend.backend() != backend:
        raise Refusal("failed", f"Keras runs on {keras.backend.backend()}, asked for was {backend}")
    if request.precision == "tf32" and request.device == "cpu":
        raise Refusal("unsupported", "a CPU has no TF32; leave tf32 out of --precision")
    network = _BACKENDS[backend](request, lambda: build_model(request))
    network.parameters.update(  # type: ignore[attr-defined]
        {"backend": backend, "policy": keras.config.dtype_policy().name, "batch_norm": "folded"}
    )
    network.versions["keras"] = keras.__version__  # type: ignore[index]
    if request.device == "cpu":
        network.missing.update(dict.fromkeys(("copy_in", "copy_out"), NO_COPIES))  # type: ignore[attr-defined]
    return network


def build_model(request: Request) -> Any:
    """The Keras model that is timed: float32 pictures to float32 outputs, computed in the precision asked for."""
    import keras

    from models.build import fold_batch_norm
    from models.load import into_network, read_checkpoint
    from models.zoo import lookup

    spec = replace(lookup(request.zoo_name), num_classes=request.classes)
    path = Path(request.model)
    # That it computes what it should is proven by the outputs, against another runtime's.
    model = into_network(path, read_checkpoint(path), spec)
    if request.precision == "float16":
        # Variables stay in float32; every layer computes in float16.
        keras.config.set_dtype_policy("mixed_float16")
    folded = fold_batch_norm(model, spec)
    ending = keras.layers.Activation("softmax" if request.softmax else "linear", dtype="float32", name="ending")
    return keras.Model(folded.input, ending(folded.output))
