"""The ladder's rungs as values: what is tried, and what was found. No TensorFlow, no I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from export.quantization.settings import DEFAULTS, NAIVE, QuantizationSettings
from models.errors import DataError

FLOAT = "float"
"""The checkpoint that a rung starts from, unless it is the one of quantization-aware training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way to make the int8 file."""

    name: str
    settings: QuantizationSettings
    precision: str = "int8"
    """Or `int8_mixed`, with float islands."""
    checkpoint: str = FLOAT
    """Or `qat`."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "settings": self.settings.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RungResult:
    """What a rung's TFLite file achieved on the test split. Accuracies and shares are 0..1."""

    name: str
    size_bytes: int
    top1: float
    drop: float
    """Accuracy of the Keras float model less that of the file."""
    drop_ci95: tuple[float, float]
    """Paired 95 % interval."""
    agreement: float
    mean_error: float
    """Mean over the pictures of the largest difference of any class probability; finer than the drop."""
    relative_latency: float
    """Of the float32 file's, on this desktop, one thread: an estimate, phones differ."""

    def meets(self, max_drop: float) -> bool:
        """Whether the drop is proven to be within the budget."""
        return self.drop_ci95[1] <= max_drop

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "drop_ci95": list(self.drop_ci95)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RungResult:
        """Value from `to_json`'s form.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        known = {key: value[key] for key in cls.__slots__}
        low, high = known["drop_ci95"]
        numbers = [number for key, number in known.items() if key not in ("name", "drop_ci95")]
        if not isinstance(known["name"], str) or not all(map(_is_number, (*numbers, low, high))):
            raise ValueError(f"{known} is no result of a rung")
        return cls(**{**known, "drop_ci95": (float(low), float(high))})


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Climbed:
    """The rungs that were tried, and the one that was taken."""

    max_drop: float
    tried: tuple[RungResult, ...]
    taken: Rung
    met: bool
    """Whether that rung keeps the budget; if not, none does, and it is the one that comes nearest."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {
            "max_drop": self.max_drop,
            "met": self.met,
            "taken": self.taken.name,
            "rungs": [result.to_json() for result in self.tried],
        }


def _ranges(settings: QuantizationSettings) -> QuantizationSettings:
    return replace(settings, ranges=DEFAULTS.ranges, exact=True)


Lever = tuple[str, Callable[[QuantizationSettings], QuantizationSettings]]
"""A name, and how it changes the settings."""

LEVERS: tuple[Lever, ...] = (
    ("ranges", _ranges),
    ("equalize", lambda settings: replace(settings, equalize=True)),
    ("bias", lambda settings: replace(settings, bias_correction=True)),
    ("rounding", lambda settings: replace(settings, rounding=True)),
)
"""In the order they are tried. None of them costs size or latency."""

FIRST = Rung(name="per-channel", settings=NAIVE)
"""What every converter does."""


def smallest_provable_drop(images: int) -> float:
    """Upper bound of the drop's interval for a file that names the same class as the float model for every picture.

    With fewer pictures no file whatever can be proven to lose less; the formula is that of
    `export.verify.paired_interval` without any difference.
    """
    share = 1 / (images + 2)
    return 1.959964 * math.sqrt(2 * share / (images + 2))


def check_provable(max_drop: float, images: int) -> None:
    """Refuses a budget that the test split is too small to prove.

    Raises:
        DataError: it is.
    """
    least = smallest_provable_drop(images)
    if max_drop < least:
        # From n on, 1.96 * sqrt(2) / (n + 2) is within the budget.
        needed = math.ceil(1.959964 * math.sqrt(2) / max_drop) if max_drop else None
        pictures = f"at least {needed} test pictures" if needed else "another budget"
        raise DataError(
            f"--max-drop {100 * max_drop:g}: {images} test pictures prove a drop of {100 * least:.2f} points at best, "
            f"even of a file without any difference; take --max-drop {math.ceil(1e4 * least) / 100:g} or {pictures}"
        )
