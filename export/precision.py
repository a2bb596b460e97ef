"""What can be exported. A new precision is a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from models.errors import UnknownNameError

Format = Literal["tflite", "onnx"]
FORMATS: tuple[Format, ...] = ("tflite", "onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What verification must find on the held-out test split, against the Keras float model. None: not limited."""

    max_abs_error: float | None
    """Largest difference of any class probability on any image."""
    max_mean_error: float | None
    """Mean over the images of the largest difference of any class probability."""
    min_top1_agreement: float | None
    """Share of images with the same top-1 class, 0..1."""
    max_top1_drop: float | None
    """Loss of top-1 accuracy, 0..1."""
    max_builtin_error: float | None
    """Largest difference of any probability between XNNPACK and the builtin kernels (TFLite only)."""
    reason: str
    """What the limits allow, and what they still catch."""
    max_top1_drop_bound: float | None = None
    """Upper end of the 95 % interval of that loss, 0..1: somebody's budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """One kind of file: how numbers are stored and computed in it, and what it must achieve."""

    format: Format
    name: str
    calibrated: bool
    """Needs activation ranges from the representative data set."""
    weight_dtype: str
    """Type of all constants but the biases, which keep a wider one."""
    activation_dtype: str
    """Type of every computed tensor between input and output."""
    input_dtype: str
    output_dtype: str
    default: bool
    limits: Limits
    islands: bool = False
    """Blocks of it stay float, those that the calibration found to lose most by 8 bits."""
    use: str
    """Where a person would use it."""

    @property
    def has_bytes(self) -> bool:
        """Whether it computes with 8 bits by ranges from the representative data set."""
        return self.calibrated and self.activation_dtype in ("int8", "uint8")


_FLOAT32 = Limits(
    max_abs_error=1e-4, max_mean_error=None, min_top1_agreement=0.998, max_top1_drop=0.002, max_builtin_error=1e-4,
    reason="Only the order of float additions differs, which moves a probability by 1e-6 to 1e-5. A wrong padding, a "
    "batch norm not folded or another preprocessing moves it by 1e-2 and more.",
)  # fmt: skip
_FLOAT16 = Limits(
    max_abs_error=2e-2, max_mean_error=None, min_top1_agreement=0.998, max_top1_drop=0.002, max_builtin_error=1e-4,
    reason="Weights keep 11 significant bits: probabilities move by 1e-3 and only ties may flip. Overflow to infinity "
    "beyond 65504, or weights lost below 6e-8, shows at once.",
)  # fmt: skip
_DYNAMIC_RANGE = Limits(
    max_abs_error=None, max_mean_error=0.1, min_top1_agreement=0.97, max_top1_drop=0.006, max_builtin_error=None,
    reason="Activations are rounded anew to 8 bits for every image, and builtin kernels and XNNPACK round them "
    "differently. Drop and mean error are limited as for int8.",
)  # fmt: skip
_INT8 = Limits(
    max_abs_error=None, max_mean_error=0.1, min_top1_agreement=0.97, max_top1_drop=0.006, max_builtin_error=0.1,
    reason="0.6 points is the usual loss of 8-bit MobileNetV2 after training (0.5 to 1.2 are published); per-tensor "
    "weights, a wrong input scale or calibration on noise cost 2 to 70. Single images may flip both ways, which moves "
    "the mean error to 0.01 or 0.03; an output read at a quarter of its scale, which no top-1 would show, moves it to "
    "0.3. Kernels "
    "round a step of 1/256 differently here and there; one that misreads a scale is off by far more than 0.1.",
)  # fmt: skip
_INT16X8 = Limits(
    max_abs_error=None, max_mean_error=0.1, min_top1_agreement=0.98, max_top1_drop=0.004, max_builtin_error=5e-3,
    reason="Only the weights are rounded to 8 bits, 16-bit activations add next to nothing; so it must lose less than "
    "int8 may. XNNPACK leaves this type to the builtin kernels, so both runs must be the same.",
)  # fmt: skip

_ROWS = (
    Precision(
        format="tflite", name="float32", calibrated=False, weight_dtype="float32", activation_dtype="float32",
        input_dtype="float32", output_dtype="float32", default=True, limits=_FLOAT32,
        use="reference; CPU where accuracy is all",
    ),
    Precision(
        format="tflite", name="float16", calibrated=False, weight_dtype="float16", activation_dtype="float32",
        input_dtype="float32", output_dtype="float32", default=True, limits=_FLOAT16,
        use="phone GPUs; half the size",
    ),
    Precision(
        format="tflite", name="dynamic_range", calibrated=False, weight_dtype="int8", activation_dtype="float32",
        input_dtype="float32", output_dtype="float32", default=True, limits=_DYNAMIC_RANGE,
        use="CPU without calibration data",
    ),
    Precision(
        format="tflite", name="int8", calibrated=True, weight_dtype="int8", activation_dtype="int8",
        input_dtype="uint8", output_dtype="uint8", default=True, limits=_INT8,
        use="phone CPUs; takes raw camera bytes",
    ),
    Precision(
        format="tflite", name="int8_npu", calibrated=True, weight_dtype="int8", activation_dtype="int8",
        input_dtype="int8", output_dtype="int8", default=True, limits=_INT8,
        use="NPUs and DSPs that take int8 only",
    ),
    Precision(
        format="tflite", name="int8_mixed", calibrated=True, weight_dtype="int8", activation_dtype="int8",
        input_dtype="uint8", output_dtype="uint8", default=False, limits=_INT8, islands=True,
        use="where int8 loses too much; some blocks in float",
    ),
    Precision(
        format="tflite", name="int16x8", calibrated=True, weight_dtype="int8", activation_dtype="int16",
        input_dtype="int16", output_dtype="int16", default=False, limits=_INT16X8,
        use="where int8 loses too much; slow on CPUs",
    ),
    Precision(
        format="onnx", name="float32", calibrated=False, weight_dtype="float32", activation_dtype="float32",
        input_dtype="float32", output_dtype="float32", default=True, limits=_FLOAT32,
        use="ONNX Runtime, desktop and phone",
    ),
    Precision(
        format="onnx", name="float16", calibrated=False, weight_dtype="float16", activation_dtype="float16",
        input_dtype="float32", output_dtype="float32", default=True, limits=_FLOAT16,
        use="GPUs and NPUs; slower than float32 on CPUs",
    ),
    Precision(
        format="onnx", name="int8", calibrated=True, weight_dtype="int8", activation_dtype="uint8",
        input_dtype="float32", output_dtype="float32", default=True, limits=_INT8,
        use="ONNX Runtime on CPUs (QDQ)",
    ),
    Precision(
        format="onnx", name="int8_mixed", calibrated=True, weight_dtype="int8", activation_dtype="uint8",
        input_dtype="float32", output_dtype="float32", default=False, limits=_INT8, islands=True,
        use="the same blocks in float as the TFLite file",
    ),
)  # fmt: skip

PRECISIONS: Mapping[tuple[Format, str], Precision] = MappingProxyType({(row.format, row.name): row for row in _ROWS})


def for_random_weights(limits: Limits) -> Limits:
    """The limits for a network that nothing has trained: no accuracy, and numbers may differ three times as much.

    No training has separated the classes, so any rounding decides between them, and roundings add up.
    """
    return replace(
        limits,
        min_top1_agreement=None,
        max_top1_drop=None,
        max_abs_error=_thrice(limits.max_abs_error),
        max_mean_error=_thrice(limits.max_mean_error),
        max_builtin_error=_thrice(limits.max_builtin_error),
        reason=f"Random weights have no accuracy to lose; numbers may differ three times as much. {limits.reason}",
    )


def for_budget(limits: Limits, max_drop: float) -> Limits:
    """The limits of an 8-bit file that somebody has given a budget of lost accuracy, 0..1, which replaces ours."""
    return replace(
        limits,
        min_top1_agreement=None,
        max_top1_drop=None,
        max_top1_drop_bound=max_drop,
        reason=f"With 95 % confidence it loses at most the {100 * max_drop:g} points asked for. {limits.reason}",
    )


def _thrice(limit: float | None) -> float | None:
    return None if limit is None else 3 * limit


def select_precisions(names: Sequence[str] | None, formats: Sequence[str] | None) -> tuple[Precision, ...]:
    """Rows asked for, in table order: those named (else the default ones) in the formats named (else all).

    Raises:
        UnknownNameError: no such format, or no such precision in the formats asked for.
    """
    for name in formats or ():
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
    rows = [row for row in _ROWS if not formats or row.format in formats]
    if not names:
        return tuple(row for row in rows if row.default)
    known = {row.name for row in rows}
    for name in names:
        if name not in known:
            raise UnknownNameError("precision", name, known, see=f"formats: {', '.join(formats or FORMATS)}")
    return tuple(row for row in rows if row.name in names)
