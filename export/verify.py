"""Accuracy and parity of an artifact on the held-out test split, computed in the runtime that apps use."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact import Check, Verification
from export.contents import Contents, Intended, TensorInfo, contents_faults, read_contents
from export.precision import Limits, Precision
from export.work import WorkFiles
from models.data import Pixels, normalise
from models.errors import VerificationError
from models.spec import Preprocessing
from models.worker import Progress, Report

BUILTIN_IMAGES = 24
"""Images for the run with builtin kernels alone, which compute ten times slower; each has some 10 million activations
to disagree on."""

Predict = Callable[[NDArray[Any]], NDArray[Any]]


def paired_interval(float_right: NDArray[np.bool_], other_right: NDArray[np.bool_]) -> tuple[float, float]:
    """95 % interval of the accuracy drop between two classifiers on the same images.

    Bonett and Price's adjusted Wald interval for paired proportions (J. Educ. Behav. Stat. 37(4), 2012, equation 3):
    it keeps its coverage for few images and few disagreements, where the plain one shrinks to nothing.

    Args:
        float_right: Whether the reference is right, `[N]`.
        other_right: Whether the artifact is right, `[N]`.
    """
    count = len(float_right)
    lost = (np.sum(float_right & ~other_right) + 1) / (count + 2)
    won = (np.sum(~float_right & other_right) + 1) / (count + 2)
    half = 1.959964 * math.sqrt((lost + won - (lost - won) ** 2) / (count + 2))
    return (max(-1.0, float(lost - won - half)), min(1.0, float(lost - won + half)))


def to_input(pixels: Pixels, info: TensorInfo, preprocessing: Preprocessing) -> NDArray[Any]:
    """Raw pictures, uint8 `[N, H, W, 3]`, as an artifact's input tensor takes them.

    uint8: as they are; int8: minus 128; floats: normalised; int16: normalised and rounded to the input's scale.
    """
    if info.dtype == "uint8":
        return pixels
    if info.dtype == "int8":
        return (pixels.astype(np.int16) - 128).astype(np.int8)
    values = normalise(pixels, preprocessing)
    if info.dtype == "float32" or info.scale is None or info.zero_point is None:
        return values
    limits = np.iinfo(info.dtype)
    stored = np.round(values / np.float32(info.scale)) + info.zero_point
    clipped: NDArray[Any] = np.clip(stored, limits.min, limits.max).astype(info.dtype)
    return clipped


def to_probabilities(stored: NDArray[Any], info: TensorInfo) -> NDArray[np.float64]:
    """An artifact's output, `[N, classes]`, as probabilities; logits go through softmax."""
    values = stored.astype(np.float64)
    if info.scale is not None and info.zero_point is not None:
        values = (values - info.zero_point) * info.scale
    if info.name == "logits":
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    return values


def load_tflite(path: Path, *, builtin_only: bool) -> Predict:
    """One image at a time through LiteRT, with XNNPACK as apps have it or with the builtin kernels alone.

    Raises:
        VerificationError: the runtime refuses the file.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin_only else OpResolverType.AUTO
    try:
        interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        how = "the builtin kernels alone" if builtin_only else "XNNPACK"
        raise VerificationError(f"LiteRT with {how} refuses {path.name}: {' '.join(str(error).split())}") from error
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def predict(image: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_tensor(source, image)
        interpreter.invoke()
        result: NDArray[Any] = interpreter.get_tensor(target)
        return result

    return predict


def load_onnx(path: Path) -> Predict:
    """One image at a time through ONNX Runtime on the CPU.

    Raises:
        VerificationError: the runtime refuses the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise VerificationError(f"ONNX Runtime refuses {path.name}: {' '.join(str(error).split())}") from error
    name = session.get_inputs()[0].name

    def predict(image: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = session.run(None, {name: image})[0]
        return result

    return predict


def answers(
    predict: Predict, contents: Contents, pixels: Pixels, preprocessing: Preprocessing, tell: Callable[[], None]
) -> NDArray[np.float64]:
    """Class probabilities of pictures, `[N, classes]`.

    Args:
        predict: Of the file.
        contents: Of the file.
        pixels: Raw pictures, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        tell: Called after each picture.
    """
    rows = []
    for index in range(len(pixels)):
        rows.append(predict(to_input(pixels[index : index + 1], contents.input, preprocessing)))
        tell()
    return to_probabilities(np.concatenate(rows), contents.output)


def verify_artifact(
    report: Report, path: Path, precision: Precision, limits: Limits, preprocessing: Preprocessing, work: WorkFiles
) -> Verification:
    """Runs a file over the whole test split and judges it.

    Args:
        report: Receives the progress.
        path: The artifact.
        precision: What it claims to be.
        limits: What it must achieve.
        preprocessing: Of the network.
        work: Where test pictures, classes and the reference are.

    Raises:
        VerificationError: its runtime refuses to load it.
    """
    pixels: Pixels = np.load(work.test_pixels, mmap_mode="r")
    classes = np.load(work.test_classes)
    reference = np.load(work.reference_for(precision)).astype(np.float64)
    contents = read_contents(path.read_bytes(), precision)
    predict = load_onnx(path) if precision.format == "onnx" else load_tflite(path, builtin_only=False)

    some = range(0, len(pixels), max(1, len(pixels) // BUILTIN_IMAGES)) if precision.format == "tflite" else range(0)
    done = itertools.count(1)

    def tell() -> None:
        report(
            Progress(
                stage=f"verify {precision.name}.{precision.format}", done=next(done), total=len(pixels) + len(some)
            )
        )

    probabilities = answers(predict, contents, pixels, preprocessing, tell)
    top1, float_top1 = probabilities.argmax(axis=1), reference.argmax(axis=1)
    right, float_right = top1 == classes, float_top1 == classes
    builtin_error = None
    if some:
        builtin = answers(load_tflite(path, builtin_only=True), contents, pixels[some], preprocessing, tell)
        builtin_error = _largest(builtin - probabilities[some])
    agreement = float(np.mean(top1 == float_top1))
    error = _largest(probabilities - reference)
    drop, interval = float(float_right.mean() - right.mean()), paired_interval(float_right, right)
    faults = contents_faults(contents, precision, _intended(precision, work))
    checks = (
        Check(name="contents", value=None, limit=None, passed=not faults, detail="; ".join(faults)),
        Check(name="finite", value=None, limit=None, passed=bool(np.isfinite(probabilities).all()), detail=""),
        _at_most("max_abs_error", error, limits.max_abs_error),
        _at_most("mean_error", _mean(probabilities - reference), limits.max_mean_error),
        _at_least("top1_agreement", agreement, limits.min_top1_agreement),
        _at_most("top1_drop", drop, limits.max_top1_drop),
        _at_most("top1_drop_bound", interval[1], limits.max_top1_drop_bound),
        _at_most("builtin_error", builtin_error, limits.max_builtin_error if precision.format == "tflite" else None),
    )
    return Verification(
        images=len(pixels),
        top1=float(right.mean()),
        top1_drop=drop,
        top1_drop_ci95=interval,
        top1_agreement=agreement,
        max_abs_error=error,
        builtin_error=builtin_error,
        checks=tuple(check for check in checks if check is not None),
        reason=limits.reason,
    )


def _intended(precision: Precision, work: WorkFiles) -> Intended | None:
    """What the calibration was to make of a file; None if it needs none."""
    if not precision.calibrated:
        return None
    # Here, because it imports LiteRT's quantizer, which float files need not.
    from export.quantization.calibration import load_calibration

    found = load_calibration(work.calibration)
    floats = found.float_layers if precision.islands else frozenset[str]()
    return Intended(per_tensor=found.per_tensor, float_layers=floats)


def _mean(difference: NDArray[np.float64]) -> float | None:
    mean = float(np.abs(difference).max(axis=1).mean())
    return mean if math.isfinite(mean) else None


def _largest(difference: NDArray[np.float64]) -> float | None:
    largest = float(np.abs(difference).max())
    return largest if math.isfinite(largest) else None


def _at_most(name: str, value: float | None, limit: float | None) -> Check | None:
    if limit is None:
        return None
    return Check(name=name, value=value, limit=limit, passed=value is not None and value <= limit + 1e-12, detail="")


def _at_least(name: str, value: float, limit: float | None) -> Check | None:
    if limit is None:
        return None
    return Check(name=name, value=value, limit=limit, passed=value >= limit - 1e-12, detail="")
