"""How a network is trained: settings as values, and the default by progressive resizing. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from models.cost import model_cost
from models.errors import UsageError
from models.spec import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Some epochs at one picture size, with a cosine decay of the learning rate over them."""

    resolution_px: int
    epochs: int
    learning_rate: float
    batch: int
    shift: float = 0.0
    """Each picture is moved by up to this share of its size, anew in every epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Everything a training run depends on beside the network and the data."""

    seed: int
    phases: tuple[Phase, ...]
    """In order; the last is at the network's own size and alone decides which checkpoint is best."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


_SMALL_FIRST = (
    Phase(resolution_px=32, epochs=6, learning_rate=3e-3, batch=32),
    Phase(resolution_px=64, epochs=4, learning_rate=2e-3, batch=32),
    Phase(resolution_px=96, epochs=3, learning_rate=1e-3, batch=16),
    Phase(resolution_px=160, epochs=1, learning_rate=1e-3, batch=16),
)


def default_settings(spec: ModelSpec, *, seed: int = 0, epochs: int | None = None) -> TrainSettings:
    """Progressive resizing: many cheap epochs on small pictures, few on large ones.

    An epoch at 32 px costs a fiftieth of one at 224 px (Howard's fast.ai entry to DAWNBench, 2018, made the method
    known). Picture sizes grow slowly because strokes that are four pixels wide in one phase are seven in the next.

    Args:
        spec: The network.
        seed: Of the initial weights and the order of the pictures.
        epochs: At the network's own size, instead of the default.

    Raises:
        UsageError: epochs below 1.
    """
    if epochs is not None and epochs < 1:
        raise UsageError(f"--epochs {epochs}: at least 1 epoch is needed")
    smaller = [phase for phase in _SMALL_FIRST if phase.resolution_px < 0.8 * spec.resolution_px]
    # As many epochs as cost what one of V2-1.4 at 224 px does: thin networks need them, and there they are cheap.
    affordable = min(max(1, round(580e6 / model_cost(spec).mult_adds)), 8)
    last = Phase(resolution_px=spec.resolution_px, epochs=epochs or affordable, learning_rate=7e-4, batch=16)
    if affordable < 4:
        return TrainSettings(seed=seed, phases=(*smaller, last))
    # Many epochs are a training of their own, no last touch. Shifted pictures make thin networks surer of themselves:
    # without them V1-0.25 at 128 px hesitates over a dozen of 359 test pictures, and 8 bits decide. He et al. moved
    # CIFAR-10 by an eighth too (section 4.2, arXiv:1512.03385).
    last = replace(last, learning_rate=3e-3, batch=32)
    return TrainSettings(seed=seed, phases=tuple(replace(phase, shift=1 / 8) for phase in (*smaller, last)))
