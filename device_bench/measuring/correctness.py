"""Whether the target computes what the desktop computes: a fast wrong kernel is no result."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_bench.case import Case
from device_bench.runners.runner import RunnerInfo
from device_bench.stats import wilson_interval
from export.contents import TensorInfo
from export.verify import load_onnx, load_tflite, to_input, to_probabilities
from models.data import Pixels
from models.spec import Preprocessing
from models.worker import Progress, Report

Kernels = Literal["xnnpack", "builtin", "onnxruntime", "keras", "gpu"]
"""Whose kernels compute on the target; the desktop's reference uses the same family where it has it."""

CHECK_IMAGES = 8
"""Enough: kernels that are wrong are wrong everywhere, in millions of activations per image."""

_LSB = 1 / 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLimit:
    """How far a probability may lie from the desktop's."""

    max_abs_error: float
    reason: str


_FLOAT = OutputLimit(
    max_abs_error=1e-3,
    reason="ARM and x86 add floats in another order, which moves a probability by 1e-6 to 1e-4; a wrong kernel moves "
    "it by 1e-1.",
)
_INT8_SAME = OutputLimit(
    max_abs_error=2 * _LSB + 1e-6,
    reason="XNNPACK's int8 kernels are bit-equal on ARM and x86 where both were measured; two steps of 1/256 allow a "
    "kernel that rounds halves the other way. Wrong kernels were off by 100 steps.",
)
_INT8_OTHER = OutputLimit(
    max_abs_error=0.1,
    reason="Builtin kernels round each layer differently on ARM and x86: up to 12 steps of 1/256 were measured on "
    "right ones. Wrong kernels were off by 100 steps.",
)
_DYNAMIC = OutputLimit(
    max_abs_error=0.25,
    reason="Activations are rounded anew to 8 bits for every image, and a float that differs in its last bit may fall "
    "to the other side; top-1 must still agree.",
)
_INT16 = OutputLimit(
    max_abs_error=5e-3,
    reason="16-bit activations differ by a few steps of 1/32768 between kernels; a wrong scale moves everything.",
)
_GPU = OutputLimit(
    max_abs_error=0.03,
    reason="GPU delegates compute in 16-bit floats unless told otherwise, which moves a probability by up to 1e-2.",
)


def output_limit(precision: str, kernels: Kernels) -> OutputLimit:
    """What is allowed for a precision on such kernels."""
    if kernels == "gpu":
        return _GPU if precision.startswith("float") else _INT8_OTHER
    if precision.startswith("int8"):
        # Float blocks add in another order on another processor, and fall to the other side of a step here and there.
        return _INT8_SAME if kernels == "xnnpack" and precision != "int8_mixed" else _INT8_OTHER
    return {"dynamic_range": _DYNAMIC, "int16x8": _INT16}.get(precision, _FLOAT)


def kernels_of(case: Case, info: RunnerInfo) -> Kernels:
    """Whose kernels a runner computes a case with."""
    if case.delegate == "gpu":
        return "gpu"
    if case.model.format == "onnx":
        return "onnxruntime"
    # XNNPACK does not take 16-bit activations, and a native runner without the flag was built without it.
    if case.model.precision == "int16x8" or (info.name == "classic" and "use_xnnpack" not in info.flags):
        return "builtin"
    return "xnnpack"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputCheck:
    """How the outputs of the target compare with the desktop's on the same inputs."""

    images: int
    kernels: Kernels
    max_abs_error: float
    """Largest difference of any probability; infinite outputs give infinity."""
    equal: float
    """Share of output values that are the same to the bit."""
    top1_agreement: float
    """Share of images with the same top-1 class."""
    limit: float
    reason: str
    """Why the limit is what it is."""
    failure: str | None
    """What is wrong; None if nothing."""

    @property
    def passed(self) -> bool:
        """Whether the target computes what the desktop does."""
        return self.failure is None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        value = asdict(self)
        if not np.isfinite(self.max_abs_error):
            value["max_abs_error"] = None
        return {**value, "passed": self.passed}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> OutputCheck:
        """Value from `to_json`'s form."""
        known = {key: value[key] for key in cls.__slots__}
        if known["max_abs_error"] is None:
            known["max_abs_error"] = float("inf")
        return cls(**known)


def compare_outputs(
    target: NDArray[Any], desktop: NDArray[Any], info: TensorInfo, limit: OutputLimit, kernels: Kernels
) -> OutputCheck:
    """Judges the target's raw outputs, `[N, classes]`, by the desktop's.

    Top-1 may differ only where the desktop itself all but ties: its two best classes nearer than twice the limit.
    """
    mine, theirs = to_probabilities(target, info), to_probabilities(desktop, info)
    differences = np.abs(mine - theirs)
    error = float(np.where(np.isfinite(differences), differences, np.inf).max())
    ranked = np.sort(theirs, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > 2 * limit.max_abs_error
    agree = mine.argmax(axis=1) == theirs.argmax(axis=1)
    failure = None
    if error > limit.max_abs_error:
        failure = f"a probability differs by {error:.3g} from the desktop's, allowed are {limit.max_abs_error:.3g}"
    elif bool((clear & ~agree).any()):
        failure = f"{int((clear & ~agree).sum())} of {len(agree)} images get another class than on the desktop"
    return OutputCheck(
        images=len(mine),
        kernels=kernels,
        max_abs_error=error,
        equal=float(np.mean(target == desktop)),
        top1_agreement=float(agree.mean()),
        limit=limit.max_abs_error,
        reason=limit.reason,
        failure=failure,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Top-1 accuracy measured on the target."""

    images: int
    top1: float
    top1_ci95: tuple[float, float]
    """Wilson interval."""
    desktop_top1: float
    """Of the same file on the same images."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "top1_ci95": list(self.top1_ci95)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Accuracy:
        """Value from `to_json`'s form."""
        return cls(**{**value, "top1_ci95": tuple(value["top1_ci95"])})


def score(target: NDArray[Any], desktop: NDArray[Any], info: TensorInfo, classes: NDArray[np.int64]) -> Accuracy:
    """Top-1 of raw outputs, `[N, classes]`, on labelled images."""
    right = int((to_probabilities(target, info).argmax(axis=1) == classes).sum())
    theirs = int((to_probabilities(desktop, info).argmax(axis=1) == classes).sum())
    return Accuracy(
        images=len(classes),
        top1=right / len(classes),
        top1_ci95=wilson_interval(right, len(classes)),
        desktop_top1=theirs / len(classes),
    )


def desktop_outputs(
    report: Report, path: Path, kernels: Kernels, info: TensorInfo, preprocessing: Preprocessing, pixels: Pixels
) -> NDArray[Any]:
    """The artifact's raw outputs on this desktop, `[N, classes]`; a task for a worker process.

    Args:
        report: Receives the progress.
        path: The artifact.
        kernels: builtin leaves XNNPACK out; a GPU is compared with XNNPACK.
        info: The input tensor.
        preprocessing: Of the network.
        pixels: uint8 `[N, H, W, 3]`.

    Raises:
        VerificationError: the runtime refuses the file.
    """
    predict = load_onnx(path) if kernels == "onnxruntime" else load_tflite(path, builtin_only=kernels == "builtin")
    rows = []
    for done in range(len(pixels)):
        rows.append(predict(to_input(pixels[done : done + 1], info, preprocessing)))
        report(Progress(stage=f"desktop {path.name}", done=done + 1, total=len(pixels)))
    return np.concatenate(rows)
