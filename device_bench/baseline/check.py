"""Whether an engine computes the network: its outputs against those of another runtime, which verified the export."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.baseline.case import Precision
from device_bench.baseline.engines import Engine
from device_bench.measuring.bench import Prepared
from device_bench.measuring.correctness import Kernels, OutputCheck, OutputLimit, compare_outputs
from export.artifact import Artifact
from export.verify import to_input

_FLOAT32 = OutputLimit(
    max_abs_error=1e-3,
    reason="Runtimes and GPUs add floats in another order, which moves a probability by 1e-6 to 1e-4; TF32 by mistake, "
    "or a wrong kernel, moves it by more.",
)
_HALF = OutputLimit(
    max_abs_error=2e-2,
    reason="Products keep 11 significant bits, which moves a probability by 1e-3; overflow or a wrong kernel moves it "
    "by 1e-1.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Compares with float32 outputs on the same pictures: LiteRT's for all engines but LiteRT, which gets ONNX's."""

    prepared: Prepared
    images: int
    _references: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def inputs(self) -> NDArray[np.float32]:
        """`[N, H, W, 3]`, normalised."""
        pixels = self.prepared.pictures.pixels[: self.images]
        inputs = to_input(pixels, self.artifact("onnx", "float32").input, self.prepared.desktop.preprocessing)
        return np.ascontiguousarray(inputs, dtype=np.float32)

    def artifact(self, kind: str, precision: str) -> Artifact:
        """The exported file of that format and precision."""
        return next(
            artifact
            for artifact in self.prepared.exported.artifacts
            if (artifact.format, artifact.precision) == (kind, precision)
        )

    def compare(self, engine: Engine, precision: Precision, outputs: NDArray[Any], *, on_gpu: bool) -> OutputCheck:
        """Judges the outputs, `[N, classes]`; where there are more than pictures, these were repeated.

        Raises:
            VerificationError: the other runtime refuses its file.
            WorkerError: it died.
        """
        kind, family = ("onnx", "onnxruntime") if engine.family == "litert" else ("tflite", "xnnpack")
        artifact = self.artifact(kind, "float32")
        if kind not in self._references:
            self._references[kind] = self.prepared.desktop.of(artifact.file, family)[: self.images]  # type: ignore[arg-type]
        reference = self._references[kind]
        limit = _FLOAT32 if precision == "float32" else _HALF
        kernels: Kernels = "gpu" if on_gpu else "xnnpack" if engine.family == "litert" else engine.family
        if outputs.shape[1:] != reference.shape[1:]:
            return OutputCheck(
                images=len(outputs),
                kernels=kernels,
                max_abs_error=float("inf"),
                equal=0.0,
                top1_agreement=0.0,
                limit=limit.max_abs_error,
                reason=limit.reason,
                failure=f"{outputs.shape[1:]} outputs per image, the network has {reference.shape[1:]}",
            )
        repeated = np.resize(reference, (len(outputs), *reference.shape[1:]))
        return compare_outputs(outputs, repeated, artifact.output, limit, kernels)
