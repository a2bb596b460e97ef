"""The networks that exist. A new variant is a row, a new family a module with a stage table and `rows()`."""

from __future__ import annotations

from models.errors import UnknownNameError
from models.spec import ModelSpec
from models.zoo import mobilenet_v1, mobilenet_v2, mobilenet_v3, mobilenet_v4, vgg
from models.zoo.conventions import variant_name

__all__ = ["MODELS", "lookup", "variant_name"]

MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for family in (mobilenet_v1, mobilenet_v2, mobilenet_v3, mobilenet_v4, vgg)
    for spec in family.rows()
}


def lookup(name: str) -> ModelSpec:
    """The row called `name`.

    Raises:
        UnknownNameError: there is none; the message names the nearest, or what the family offers.
    """
    if name in MODELS:
        return MODELS[name]
    see = "`python -m models list` shows all"
    families = {spec.family for spec in MODELS.values() if f"{name}_".startswith(f"{spec.family}_")}
    if families:
        family = max(families, key=len)
        members = [spec for spec in MODELS.values() if spec.family == family]
        widths = ", ".join(str(w) for w in sorted({spec.width for spec in members}))
        sizes = ", ".join(str(r) for r in sorted({spec.resolution_px for spec in members}))
        see = f"{family} has widths {widths} and resolutions {sizes}; {see}"
    raise UnknownNameError("model", name, MODELS, see=see)
