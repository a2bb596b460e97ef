"""What the rules look at."""

from __future__ import annotations

from dataclasses import dataclass

from export.diagnosis.subject import Subject
from export.diagnosis.values import Accuracy, ActivationReading, Calibration, Confidence, RangeGuess, WeightReading
from export.precision import PRECISIONS
from models.spec import Preprocessing
from models.weights import RANDOM


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFault:
    """Outputs and names that do not belong together."""

    offset: int | None
    """By how many places, where it is the same for all; None: some classes stand for each other."""
    evidence: tuple[str, ...]
    of_file: bool
    """Whether the names in `labels.txt` are wrong, and not what the network learned."""
    mended_top1: float | None = None
    """Of the float file, with the classes in the order that it learned; None if that is not what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherInput:
    """A normalisation under which the float file is more accurate than under its own."""

    name: str
    preprocessing: Preprocessing
    images: int
    own_top1: float
    top1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All readings of one examination."""

    subject: Subject
    preprocessing: Preprocessing
    """Of the float file."""
    accuracy: Accuracy
    confidence: Confidence
    calibration: Calibration
    layer_images: int
    weights: tuple[WeightReading, ...]
    activations: tuple[ActivationReading, ...]
    """In the order of computation."""
    guesses: tuple[RangeGuess, ...]
    labels: LabelFault | None
    other_input: OtherInput | None

    @property
    def harmed(self) -> bool:
        """Whether the int8 file loses more than its precision may."""
        limits = PRECISIONS["tflite", self.subject.int8_file.precision].limits
        if self.subject.manifest.weights["source"] == RANDOM:
            return False
        least, most = limits.min_top1_agreement, limits.max_top1_drop
        drop = self.accuracy.float_top1 - self.accuracy.int8_top1
        lost = most is not None and drop > most and self.accuracy.drop_ci95[0] > 0
        return lost or (least is not None and self.accuracy.agreement < least)
