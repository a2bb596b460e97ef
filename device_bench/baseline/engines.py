"""The engines that can give the baseline. A new ONNX Runtime provider or Keras backend is a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from device_bench.baseline.case import Accelerator, Precision
from models.errors import UnknownNameError

Family = Literal["onnxruntime", "litert", "keras"]
AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A runtime on a kind of device."""

    name: str
    family: Family
    accelerator: Accelerator
    variant: str
    """ONNX Runtime's provider, Keras' backend, LiteRT's delegate."""
    modules: tuple[str, ...]
    """That it imports."""
    install: str
    """What to type if they are not there."""
    precisions: tuple[Precision, ...]
    tells_device: bool = True
    """Whether the runtime says what it computes on."""
    separates_copies: bool = True
    """Whether buffers can stay on the device, so that computing is timed apart from copying."""

    @property
    def format(self) -> Literal["onnx", "tflite", "keras"]:
        """Of the file it computes: an exported one, or the checkpoint."""
        return {"onnxruntime": "onnx", "litert": "tflite", "keras": "keras"}[self.family]  # type: ignore[return-value]

    def file_precision(self, precision: Precision) -> str:
        """Which exported file serves: TF32 is a way to compute with the float32 one."""
        return "float16" if precision == "float16" else "float32"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Engine:
        """Value from `to_json`'s form."""
        return cls(**{**value, "modules": tuple(value["modules"]), "precisions": tuple(value["precisions"])})


_ALL: tuple[Precision, ...] = ("float32", "tf32", "float16")
_PLAIN: tuple[Precision, ...] = ("float32", "float16")
PIP = ".venv/bin/python -m pip"
"""Of the set-up; `pip` alone would be the system's. Where uv made `.venv`, it is `uv pip`."""
_ORT_GPU = f"{PIP} uninstall onnxruntime && {PIP} install onnxruntime-gpu"


def _onnxruntime(
    name: str,
    provider: str,
    install: str,
    precisions: tuple[Precision, ...] = _PLAIN,
    *,
    tells_device: bool = True,
    separates_copies: bool = False,
) -> Engine:
    return Engine(
        name=f"onnxruntime-{name}",
        family="onnxruntime",
        accelerator="gpu",
        variant=provider,
        modules=("onnxruntime",),
        install=install,
        precisions=precisions,
        tells_device=tells_device,
        separates_copies=separates_copies,
    )


def _keras(name: str, backend: str, module: str, install: str) -> Engine:
    return Engine(
        name=name,
        family="keras",
        accelerator="gpu",
        variant=backend,
        modules=("keras", module),
        install=install,
        precisions=_ALL,
    )


_ROWS = (
    _onnxruntime("tensorrt", "TensorrtExecutionProvider", f"{_ORT_GPU} tensorrt-cu12", _ALL, separates_copies=True),
    _onnxruntime("cuda", "CUDAExecutionProvider", _ORT_GPU, _ALL, separates_copies=True),
    _onnxruntime(
        "migraphx", "MIGraphXExecutionProvider", f"{PIP} uninstall onnxruntime && {PIP} install onnxruntime-migraphx"
    ),
    _onnxruntime("rocm", "ROCMExecutionProvider", f"{PIP} uninstall onnxruntime && {PIP} install onnxruntime-rocm"),
    _onnxruntime(
        "directml", "DmlExecutionProvider", f"{PIP} uninstall onnxruntime && {PIP} install onnxruntime-directml"
    ),
    _keras("tensorflow-gpu", "tensorflow", "tensorflow", f"{PIP} install 'tensorflow[and-cuda]'"),
    _keras("keras-jax-gpu", "jax", "jax", f"{PIP} install 'jax[cuda12]'"),
    _keras("keras-torch-gpu", "torch", "torch", f"{PIP} install torch"),
    _onnxruntime("coreml", "CoreMLExecutionProvider", f"{PIP} install onnxruntime (on macOS)", tells_device=False),
    Engine(
        name="onnxruntime-cpu",
        family="onnxruntime",
        accelerator="cpu",
        variant="CPUExecutionProvider",
        modules=("onnxruntime",),
        install=f"{PIP} install onnxruntime",
        precisions=_PLAIN,
    ),
    Engine(
        name="litert-cpu",
        family="litert",
        accelerator="cpu",
        variant="xnnpack",
        modules=("ai_edge_litert",),
        install=f"{PIP} install ai-edge-litert",
        precisions=_PLAIN,
    ),
)
ENGINES: Mapping[str, Engine] = MappingProxyType({row.name: row for row in _ROWS})
"""In the order `auto` tries them: what computes exported files before what computes the checkpoint."""

FALLBACK = ENGINES["onnxruntime-cpu"]
"""What `auto` measures where no GPU engine works: the same files on the CPU."""


def find_engines(names: Iterable[str]) -> tuple[Engine, ...]:
    """Rows by name, in the order given.

    Raises:
        UnknownNameError: there is no such engine.
    """
    rows = []
    for name in dict.fromkeys(names):
        if name not in ENGINES:
            raise UnknownNameError("engine", name, (AUTO, *ENGINES))
        rows.append(ENGINES[name])
    return tuple(rows)


def refusal(engine: Engine, precision: Precision) -> str | None:
    """Why an engine cannot compute in a precision; None if it can."""
    if precision in engine.precisions:
        return None
    if precision == "tf32":
        return f"{engine.name} has no TF32, which is a mode of NVIDIA's GPUs; leave tf32 out of --precision"
    return f"{engine.name} has no {precision}, it has {', '.join(engine.precisions)}"
