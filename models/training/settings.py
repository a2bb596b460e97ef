"""How a network is trained, as values. Standard library only."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Optimizer = Literal["adam", "adamw", "rmsprop", "sgd"]
Decay = Literal["cosine", "exponential"]
ClassWeights = Literal["none", "balanced"]
CLASS_WEIGHTS: tuple[ClassWeights, ...] = ("none", "balanced")
MixedPrecision = Literal["auto", "on", "off"]
MIXED_PRECISION: tuple[MixedPrecision, ...] = ("auto", "on", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Some epochs at one picture size, with a course of the learning rate of their own."""

    resolution_px: int
    epochs: int
    learning_rate: float
    """The highest: after the warm-up, before the decay."""
    batch: int
    shift: float = 0.0
    """Each picture is moved by up to this share of its size, anew in every epoch."""
    warmup_epochs: float = 0.0
    """In which the rate rises from nothing in a straight line."""
    decay: Decay = "cosine"
    final_share: float = 0.02
    """Of the learning rate, at the end of the phase."""
    frozen: bool = False
    """Whether the classifier alone learns."""

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of a step, counted from 0, of the `steps` of the whole phase."""
        warmup = steps * self.warmup_epochs / self.epochs
        if step < warmup:
            return self.learning_rate * (step + 1) / (math.ceil(warmup) + 1)
        gone = step / steps if not warmup else (step - warmup) / (steps - warmup)
        if self.decay == "exponential":
            return self.learning_rate * float(self.final_share**gone)
        share = self.final_share
        return self.learning_rate * (share + (1 - share) * (1 + math.cos(math.pi * gone)) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What is the same in all phases: the optimizer, what the loss asks for, and what is done to the pictures."""

    optimizer: Optimizer = "adam"
    momentum: float = 0.9
    """Of `rmsprop` and `sgd` (Nesterov's); of the others, how much of the gradient's mean is kept (beta 1)."""
    epsilon: float = 1e-7
    """Added to the gradients' spread before it divides; `sgd` has none."""
    weight_decay: float = 0.0
    """Share by which a step at learning rate 1 shrinks kernels; not biases, not batch normalization."""
    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes."""
    ema_momentum: float = 0.0
    """Of the moving average of all weights, which is what is validated and kept; 0 for none."""
    flip: bool = False
    """Mirrors every second picture, left to right."""
    colour: float = 0.0
    """Changes brightness, contrast and saturation by up to this share."""
    rand_augment: float = 0.0
    """Strength, 0..1, of two operations in turn that are drawn for each picture (arXiv:1909.13719)."""
    mixup: float = 0.0
    """Alpha of the beta distribution by which pairs of pictures are mixed (arXiv:1710.09412); 0 for none."""
    class_weights: ClassWeights = "none"
    """`balanced` weighs each class by the inverse of its share of the training pictures."""
    mixed_precision: MixedPrecision = "off"
    """Compute in float16 with weights in float32: `auto` on a GPU only."""


PLAIN = Method()
"""Adam, and nothing done to the pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Everything a training run depends on beside the network and the data."""

    seed: int
    phases: tuple[Phase, ...]
    """In order; the last is at the network's own size and alone decides which checkpoint is best. None of them: random
    weights."""
    method: Method = PLAIN
    recipe: str | None = None
    """Name of the row in `models.training.recipes` they come from; None if they were put together by hand."""
    source: str | None = None
    """Where the recipe comes from."""
    fine_tune: str | None = None
    """What it starts from: `imagenet` or the path of a `.keras` file; None for random weights."""

    quantization_aware: bool = False
    """Whether it learns as its int8 file computes, from all weights of the checkpoint `fine_tune` names."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)
