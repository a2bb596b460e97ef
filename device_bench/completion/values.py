"""Values of options and make variables, from the tables that the commands themselves read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import get_args


def _models() -> Iterable[str]:
    from models.zoo import MODELS

    return MODELS


def _datasets() -> Iterable[str]:
    from models.data import DATASETS

    return DATASETS


def _recipes() -> Iterable[str]:
    from models.training.recipes import RECIPES

    return RECIPES


def _presets() -> Iterable[str]:
    from models.presets import PRESETS

    return PRESETS


def _precisions() -> Iterable[str]:
    from export.precision import PRECISIONS

    return dict.fromkeys(row.name for row in PRECISIONS.values())


def _formats() -> Iterable[str]:
    from export.precision import FORMATS

    return FORMATS


def _delegates() -> Iterable[str]:
    from device_bench.case import Delegate

    return get_args(Delegate)


def _runners() -> Iterable[str]:
    from device_bench.case import RunnerName

    return get_args(RunnerName)


def _policies() -> Iterable[str]:
    from device_bench.state.cpus import POLICIES

    return POLICIES


def _engines() -> Iterable[str]:
    from device_bench.baseline.engines import ENGINES

    return ENGINES


def _conditions() -> Iterable[str]:
    from device_bench.comparing.names import CONDITIONS

    return CONDITIONS


VALUES: Mapping[str, Callable[[], Iterable[str]]] = MappingProxyType(
    {
        "model": _models,
        "dataset": _datasets,
        "recipe": _recipes,
        "preprocessing": _presets,
        "precision": _precisions,
        "format": _formats,
        "delegate": _delegates,
        "runner": _runners,
        "affinity": _policies,
        "engine": _engines,
        "across": _conditions,
        "weights": lambda: ("auto", "imagenet", "random"),
        "output": lambda: ("probabilities", "logits"),
        "device": lambda: ("all", "local"),
    }
)
"""By the option's name without dashes, which is the variable's in small letters."""

LISTS = frozenset(["precision", "format", "delegate", "runner", "engine", "across"])
"""Those that take several, with commas between them."""


def complete_value(name: str, typed: str, known: Iterable[str] | None = None) -> list[str]:
    """Values of an option that begin as typed; of a list, its last one.

    Args:
        name: As in `VALUES`.
        typed: What stands there.
        known: All values, where they are not in `VALUES`.
    """
    if known is None:
        known = VALUES[name]() if name in VALUES else ()
    before, comma, last = typed.rpartition(",") if name in LISTS else ("", "", typed)
    taken = set(before.split(","))
    return [f"{before}{comma}{value}" for value in known if value.startswith(last) and value not in taken]
