"""Keras on TensorFlow, compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from device_bench.baseline.case import Placement
from device_bench.baseline.program.request import Refusal, Request


class TensorFlowNetwork:
    """One XLA program; its variables, input and output are on one device."""

    def __init__(self, request: Request, build: Callable[[], Any]) -> None:
        """Builds and compiles.

        Raises:
            Refusal: TensorFlow sees no GPU.
        """
        import tensorflow as tf

        self._tf = tf
        tf.config.threading.set_intra_op_parallelism_threads(request.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        gpus = tf.config.list_physical_devices("GPU")
        if request.device == "gpu" and not gpus:
            built = tf.sysconfig.get_build_info()
            raise Refusal(
                "no_device",
                f"TensorFlow {tf.__version__} sees no GPU (built {'with' if built.get('is_cuda_build') else 'without'} "
                f"CUDA); with an NVIDIA driver, `{request.engine.install}`",
            )
        if request.device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        tf.config.experimental.enable_tensor_float_32_execution(request.precision == "tf32")
        self._device = "/GPU:0" if request.device == "gpu" else "/CPU:0"
        with tf.device(self._device):
            model = build()
            # From here on TensorFlow may not move work to where it likes.
            tf.config.set_soft_device_placement(False)
            self._function = tf.function(lambda x: model(x, training=False), jit_compile=True)
        self.shape = (request.batch, *(int(size) for size in model.input_shape[1:]))
        self.missing: dict[str, str] = {}
        self.parameters: dict[str, Any] = {
            "threads": request.threads,
            "compiler": "XLA",
            "soft_device_placement": False,
            "tensor_float_32": request.precision == "tf32",
        }
        built = tf.sysconfig.get_build_info()
        self.versions = {"tensorflow": str(tf.__version__)} | {
            name: str(built[f"{name}_version"]) for name in ("cuda", "cudnn") if built.get(f"{name}_version")
        }
        self._input: Any = None
        self._output: Any = None

    def put(self, value: NDArray[Any]) -> None:
        """As `Network.put`."""
        with self._tf.device(self._device):
            self._input = self._tf.constant(value)
        self._wait()

    def run(self) -> None:
        """As `Network.run`."""
        with self._tf.device(self._device):
            self._output = self._function(self._input)
        self._wait()

    def take(self) -> NDArray[Any]:
        """As `Network.take`."""
        value: NDArray[Any] = self._output.numpy()
        return value

    def whole(self, value: NDArray[Any]) -> NDArray[Any]:
        """As `Network.whole`."""
        with self._tf.device(self._device):
            self._output = self._function(self._tf.constant(value))
        return self.take()

    def _wait(self) -> None:
        self._tf.test.experimental.sync_devices()

    def placement(self) -> Placement:
        """As `Network.placement`."""
        device = str(self._output.device)
        kind = device.rpartition("device:")[2].partition(":")[0]
        return Placement(
            accelerator="gpu" if kind == "GPU" else "cpu",
            device=device,
            whole=True,
            nodes=None,
            evidence="the output's device, of one XLA program, with soft placement off",
        )
