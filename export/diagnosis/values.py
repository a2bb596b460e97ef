"""What the doctor finds: frozen values. Accuracies and shares are 0..1, signal to noise ratios in decibels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightReading:
    """A kernel of the int8 file against the float file's."""

    name: str
    layer: str
    operator: str
    sqnr_db: float | None
    """Of the whole kernel; None: no error at all, or nothing but zeros."""
    worst_channel_db: float | None
    per_channel: bool
    """Whether each output channel has a scale of its own."""
    spread: float
    """Largest absolute weight of the strongest output channel over that of the median one."""
    bias_error_steps: float
    """Largest difference of the biases, in steps of the layer's output; 0 without a bias."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationReading:
    """A computed tensor of the int8 file against the float file's, on test pictures."""

    name: str
    operator: str
    sqnr_db: float | None
    """With all that was lost before it; None: no error at all, or nothing but zeros."""
    loss_db: float | None
    """SQNR that this layer loses: that of its worst input less its own; below 0, it gains."""
    own_db: float | None
    """Of rounding and clipping to its own range alone, the values before it being exact."""
    best_db: float | None
    """The same with the best of the ranges tried for these pictures."""
    stored: tuple[float, float]
    """Range that the file can express."""
    observed: tuple[float, float]
    """Least and greatest value of the float file."""
    clipped_share: float
    """Share of the values that lie outside the stored range."""
    fixed: bool
    """Its range is given by the operator (softmax, sigmoid) or taken over from its input, so nobody estimated it."""
    channels: int
    dead_channels: tuple[int, ...]
    """That vary in the float file by many steps, and not at all in the int8 file."""
    strongest_channel: int | None
    """None for a tensor without channels."""
    channel_ratio: float | None
    """Span of the strongest channel over that of the next one."""
    drowned_share: float
    """Share of the varying channels whose whole span is less than four steps."""

    @property
    def gap_db(self) -> float:
        """What another range would gain."""
        return 0.0 if self.own_db is None or self.best_db is None else self.best_db - self.own_db


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeGuess:
    """How well ranges measured on some pictures explain those in the file."""

    pictures: str
    kind: str
    """`pictures`, `noise`, or the name of another normalisation of the pictures."""
    distance: float
    """Mean over the telling tensors of the factor between the spans, as |log2|: 0 is equal, 1 is twice or half."""
    differing: int
    """Telling tensors whose span differs by more than 5 %."""
    telling: int
    """Tensors whose spans differ between the kinds of pictures tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChange:
    """One class on the test pictures."""

    index: int
    name: str
    images: int
    float_top1: float
    int8_top1: float
    drop_ci95: tuple[float, float]
    """Paired 95 % interval of float less int8."""
    regressed: bool
    """Whether the loss is more than chance, all classes considered (exact McNemar test, Holm's correction, 5 %)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How far the files' scores can be believed."""

    float_ece: float
    """Expected calibration error: mean gap between confidence and accuracy over 15 equal bins."""
    int8_ece: float
    drift_ci95: tuple[float, float]
    """Bootstrap interval of int8 less float."""
    float_mean: float
    """Mean confidence in the class named."""
    int8_mean: float
    ties: float
    """Share of pictures for which int8 gives its two best classes the same score."""
    bins: tuple[tuple[float, int, float | None, int, float | None], ...]
    """Per bin: lower edge; pictures and accuracy of float; pictures and accuracy of int8 (None: empty)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A picture that the two files name differently."""

    number: int
    """In the data set."""
    true: str
    float_top: tuple[tuple[str, float], ...]
    """Up to three names with their probabilities."""
    int8_top: tuple[tuple[str, float], ...]
    verdict: str
    """`lost` (only float is right), `won` (only int8 is) or `both wrong`."""
    png: bytes
    """The network's input, as bytes of a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Both files on the same test pictures."""

    images: int
    float_top1: float
    int8_top1: float
    drop_ci95: tuple[float, float]
    agreement: float
    """Share of pictures with the same top-1 class."""
    flips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A cause with what speaks for it."""

    cause: str
    title: str
    evidence: tuple[str, ...]
    layers: tuple[str, ...]
    command: str
    """What to try next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The representative data set on record."""

    images: int
    known: bool
    """Whether the data set gives the very pictures on record."""
    reason: str
    """Why not."""
    exact: bool
    """Whether the pictures on record must give the stored ranges: all of them are measured, by the method on record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All of it."""

    model: str
    weights: str
    dataset: str
    precision: str
    float_sha256: str
    int8_sha256: str
    layer_images: int
    """Test pictures on which the layers were compared."""
    accuracy: Accuracy
    confidence: Confidence
    calibration: Calibration
    findings: tuple[Finding, ...]
    """The one to begin with first; empty: healthy."""
    weights_read: tuple[WeightReading, ...]
    """The worst first."""
    activations: tuple[ActivationReading, ...]
    """That which loses most first."""
    guesses: tuple[RangeGuess, ...]
    """The best first; that of the pictures alone: it fits, so nothing else was tried."""
    classes: tuple[ClassChange, ...]
    """The largest loss first."""
    flips: tuple[Flip, ...]
    """Some of them, the lost ones first."""
    unmatched: tuple[str, ...]
    """Tensors of the int8 file that the float file does not have."""

    @property
    def healthy(self) -> bool:
        """Whether no cause was found."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, without the pictures."""
        value = asdict(self)
        for flip in value["flips"]:
            del flip["png"]
        return {"schema": SCHEMA, "healthy": self.healthy, **value}
