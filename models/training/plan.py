"""`plan_training`: what a training is to do, by its recipe and what was asked for. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from models.blocks import is_normalized, plan_layers
from models.checkpoint import check_keras_file
from models.cost import model_cost
from models.errors import UnknownNameError, UsageError
from models.spec import ModelSpec
from models.training.recipes import FINE_TUNE, IMAGENET, QAT, RECIPES, Recipe
from models.training.settings import ClassWeights, MixedPrecision, Phase, TrainSettings

LEAVE_OUT = "leave --fine-tune out"
"""What to do without the weights that it names."""

MOST = 1_000_000
"""Epochs, and pictures in a step: a hundred times what anybody published."""
FROZEN_EPOCHS = 3
"""In which a new classifier learns alone, unless told otherwise."""
HIGHEST_RATE = 100.0
"""A hundred times what anybody published."""

SMALL_DATASETS = ("digits",)
"""Of a thousand pictures or so, which `progressive` was made for."""
MIRRORED_DATASETS = ("cifar10", "shapes")
"""Whose pictures mean the same when they are mirrored. Digits do not, and of a folder only its owner knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a person asked for; None leaves it to the recipe."""

    recipe: str | None = None
    epochs: int | None = None
    batch: int | None = None
    flip: bool | None = None
    fine_tune: str | None = None
    frozen_epochs: int | None = None
    learning_rate: float | None = None
    """The highest of the course, which keeps its shape."""
    class_weights: ClassWeights = "none"
    mixed_precision: MixedPrecision = "auto"


def default_recipe(dataset: str, *, fine_tune: bool = False) -> str:
    """Name of the recipe for a data set, as it is called on the command line."""
    if fine_tune:
        return FINE_TUNE
    return "progressive" if dataset in SMALL_DATASETS else "scratch"


def plan_training(spec: ModelSpec, dataset: str, *, seed: int = 0, wishes: Wishes | None = None) -> TrainSettings:
    """The settings of a training: those of the recipe, with what was asked for in their place.

    Args:
        spec: The network.
        dataset: As it is called on the command line.
        seed: Of the initial weights, the order of the pictures and what is done to them.
        wishes: What to do otherwise.

    Raises:
        UnknownNameError: there is no such recipe.
        UsageError: epochs or batch out of range, or wishes that contradict each other.
        WeightsError: the weights to start from are not there, or no checkpoint.
    """
    wishes = wishes or Wishes()
    check_numbers(wishes)
    recipe = _choose(dataset, wishes)
    _check_start(spec, wishes.fine_tune)
    phases = _growing(spec, recipe, wishes) if recipe.grows else _steady(spec, recipe, wishes)
    if recipe.name in _FOR_NORMALIZED and not is_normalized(plan_layers(spec)):
        phases = tuple(replace(phase, learning_rate=phase.learning_rate * UNNORMALIZED_SHARE) for phase in phases)
    phases = at_rate(phases, wishes.learning_rate)
    mirrored = dataset.partition(":")[0] in MIRRORED_DATASETS if wishes.flip is None else wishes.flip
    method = replace(
        recipe.method,
        flip=mirrored and (recipe.method.flip or wishes.flip is True),
        class_weights=wishes.class_weights,
        mixed_precision=wishes.mixed_precision,
    )
    return TrainSettings(
        seed=seed, phases=phases, method=method, recipe=recipe.name, source=recipe.source, fine_tune=wishes.fine_tune
    )


def check_numbers(wishes: Wishes) -> None:
    """Refuses numbers that no training can have.

    Raises:
        UsageError: epochs, batch or learning rate out of range.
    """
    for name, value in (("--epochs", wishes.epochs), ("--batch-size", wishes.batch)):
        if value is not None and not 1 <= value <= MOST:
            raise UsageError(f"{name} {value}: 1 to {MOST} is possible")
    rate = wishes.learning_rate
    # Not a number is not above zero, either.
    if rate is not None and not 0 < rate <= HIGHEST_RATE:
        raise UsageError(f"--learning-rate {rate:g}: above 0 and up to {HIGHEST_RATE:g} is possible")


def at_rate(phases: tuple[Phase, ...], rate: float | None) -> tuple[Phase, ...]:
    """The phases with this highest rate, the others in proportion; as they are where none was asked for."""
    if rate is None:
        return phases
    highest = max(phase.learning_rate for phase in phases)
    return tuple(replace(phase, learning_rate=rate * (phase.learning_rate / highest)) for phase in phases)


def _choose(dataset: str, wishes: Wishes) -> Recipe:
    name = wishes.recipe or default_recipe(dataset, fine_tune=wishes.fine_tune is not None)
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES, see="`.venv/bin/python -m models recipes` lists them")
    if name == FINE_TUNE and wishes.fine_tune is None:
        raise UsageError(f"--recipe {FINE_TUNE} goes with --fine-tune: name the weights, imagenet or a .keras file")
    if name == QAT:
        raise UsageError(f"--recipe {QAT} is what --qat does; give --qat instead")
    if wishes.frozen_epochs is not None and wishes.fine_tune is None:
        raise UsageError("--frozen-epochs is for --fine-tune; name the weights with --fine-tune, or leave it out")
    if wishes.frozen_epochs is not None and name != FINE_TUNE:
        raise UsageError(f"--frozen-epochs is for recipe {FINE_TUNE}, by {name} all kernels learn; leave one out")
    return RECIPES[name]


def _check_start(spec: ModelSpec, choice: str | None) -> None:
    """Refuses weights that cannot be started from, as far as that shows without reading them."""
    if choice == IMAGENET:
        from models.imagenet import find_release

        find_release(spec, otherwise=LEAVE_OUT)
    elif choice is not None:
        check_keras_file(Path(choice), otherwise="imagenet")


def _steady(spec: ModelSpec, recipe: Recipe, wishes: Wishes) -> tuple[Phase, ...]:
    """All epochs at the network's own picture size."""
    epochs = wishes.epochs or recipe.epochs or 1
    phase = recipe.phase(spec.resolution_px, epochs, wishes.batch or recipe.batch)
    if recipe.name != FINE_TUNE:
        return (phase,)
    frozen = min(FROZEN_EPOCHS, epochs - 1) if wishes.frozen_epochs is None else wishes.frozen_epochs
    if not 0 <= frozen < epochs:
        raise UsageError(
            f"--frozen-epochs {frozen} of {epochs}: from 0 to {epochs - 1} is possible, the kernels need one too; "
            "raise --epochs or lower it"
        )
    thawed = replace(phase, epochs=epochs - frozen, learning_rate=phase.learning_rate / 10)
    return (replace(phase, epochs=frozen, frozen=True), thawed) if frozen else (thawed,)


_FOR_NORMALIZED = ("progressive", "scratch", "steady")
"""Recipes whose rate was found on networks with batch normalization."""
UNNORMALIZED_SHARE = 1 / 3
"""Of the rate, for networks without batch normalization: with all of it the loss of `vgg_small` on digits begins above
that of guessing. With a third it reaches 98.6 % top-1 in its four epochs."""

_SMALL_FIRST = (
    Phase(resolution_px=32, epochs=6, learning_rate=3e-3, batch=32),
    Phase(resolution_px=64, epochs=4, learning_rate=2e-3, batch=32),
    Phase(resolution_px=96, epochs=3, learning_rate=1e-3, batch=16),
    Phase(resolution_px=160, epochs=1, learning_rate=1e-3, batch=16),
)


def _growing(spec: ModelSpec, recipe: Recipe, wishes: Wishes) -> tuple[Phase, ...]:
    """Smaller pictures first, which costs little and spares the network the slow beginning at its own size.

    An epoch at 32 px costs a fiftieth of one at 224 px. Picture sizes grow slowly because strokes that are four pixels
    wide in one phase are seven in the next.
    """
    # As many epochs as cost what one of V2-1.4 at 224 px does: thin networks need them, and there they are cheap.
    affordable = min(max(1, round(580e6 / model_cost(spec).mult_adds)), 8)
    epochs = wishes.epochs or recipe.epochs or affordable
    last = recipe.phase(spec.resolution_px, epochs, recipe.batch)
    if recipe.epochs is None and affordable >= 4:
        # Many epochs are a training of their own, no last touch. Shifted pictures make thin networks surer of
        # themselves: without them V1-0.25 at 128 px hesitates over a dozen of 359 test pictures, and 8 bits decide. He
        # et al. moved CIFAR-10 by an eighth too (section 4.2, arXiv:1512.03385).
        last = replace(last, learning_rate=3e-3, batch=32, shift=1 / 8)
    smaller = [phase for phase in _SMALL_FIRST if phase.resolution_px < 0.8 * spec.resolution_px]
    phases = (*(replace(phase, shift=last.shift) for phase in smaller), last)
    return tuple(replace(phase, batch=wishes.batch) for phase in phases) if wishes.batch else phases
