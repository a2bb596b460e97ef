"""The networks that exist. A new variant is a row, a new family a module with a stage table and `rows()`."""

from __future__ import annotations

import re
from dataclasses import replace

from models.errors import UnknownNameError
from models.spec import ModelSpec
from models.zoo import mobilenet_v1, mobilenet_v2, mobilenet_v3, mobilenet_v4, vgg
from models.zoo.conventions import variant_name

__all__ = ["MODELS", "is_name", "lookup", "variant_name"]

MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for family in (mobilenet_v1, mobilenet_v2, mobilenet_v3, mobilenet_v4, vgg)
    for spec in family.rows()
}


SIDES = range(32, 1025, 32)
"""Picture sizes in px that a network without a row of that size may be asked for: what all strides divide."""


def lookup(name: str) -> ModelSpec:
    """The row called `name`, or a row's network at another picture size, `<row>_<px>`.

    Raises:
        UnknownNameError: there is none; the message names the nearest, or what the family offers.
    """
    if name in MODELS:
        return MODELS[name]
    if resized := _at_another_size(name):
        return resized
    see = "`.venv/bin/python -m models list` shows all"
    families = {spec.family for spec in MODELS.values() if f"{name}_".startswith(f"{spec.family}_")}
    if families:
        family = max(families, key=len)
        members = [spec for spec in MODELS.values() if spec.family == family]
        widths = ", ".join(str(w) for w in sorted({spec.width for spec in members}))
        sizes = ", ".join(str(r) for r in sorted({spec.resolution_px for spec in members}))
        see = f"{family} has widths {widths} and resolutions {sizes}{_other_sizes(members)}; {see}"
    raise UnknownNameError("model", name, MODELS, see=see)


def _at_another_size(name: str) -> ModelSpec | None:
    """The network of a row, whose kernels do not depend on the size of the picture; nobody has published figures."""
    match = re.fullmatch(r"(.+)_([1-9][0-9]{1,3})", name)
    spec = MODELS.get(match[1]) if match else None
    if not match or not spec or spec.pooling == "flatten":
        return None
    side = int(match[2])
    # Names without a size are those of 224 px.
    if side not in SIDES or side == 224 or spec.resolution_px != 224:
        return None
    return replace(spec, name=name, resolution_px=side, published=None)


def is_name(name: str) -> bool:
    """Whether `lookup` knows it."""
    return name in MODELS or _at_another_size(name) is not None


def _other_sizes(family: list[ModelSpec]) -> str:
    if not any(spec.resolution_px == 224 and spec.pooling != "flatten" for spec in family):
        return ""
    return f", and others by name: multiples of {SIDES.step} up to {SIDES[-1]}"
