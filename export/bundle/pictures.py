"""Golden pictures become golden inputs: the proof that a manifest states its preprocessing as it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.bundle.contract import Contract, bundled_contract
from export.bundle.shipped.verify_bundle import Difference, shown
from export.bundle.snippets import describe_feed, describe_fit
from models.errors import DataError

GREY_LEVELS = 1.05
"""Between a golden input and the same picture prepared here: another Pillow may round a byte the other way, and int16
rounds once more. Another picture, filter, fit, mean or order of channels is off by tens."""


def check_pictures(folder: Path, manifest: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """The contract in the manifest, carried out on the golden pictures, gives the golden inputs.

    Raises:
        Difference: it does not.
    """
    contract = bundled_contract(manifest, model)
    _check_words(contract, manifest, model)
    largest = 0.0
    for vector in model["golden"]["vectors"]:
        difference = _grey_levels_apart(folder, contract, vector)
        if not difference <= GREY_LEVELS:
            raise Difference(
                f"{shown(vector['image'])}, prepared as the manifest says, is up to {difference:.3g} grey levels from "
                f"{shown(vector['input'])}, allowed is {GREY_LEVELS:g}"
            )
        largest = max(largest, difference)
    count = len(model["golden"]["vectors"])
    return f"{shown(model['file'])}: {count} golden pictures give its golden inputs, within {largest:.2g} grey levels"


def _check_words(contract: Contract, manifest: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """What the manifest says to people is what it says in numbers."""
    pairs = {
        "feed": (describe_feed(contract), model["input"]["feed"]),
        "meaning": ("logits" if contract.gives_logits else "probabilities", model["output"]["meaning"]),
        "mediapipe": (contract.fits_mediapipe, model["mediapipe"]),
        "fit": (describe_fit(contract), manifest["preprocessing"]["steps"][1]),
    }
    for what, (wanted, said) in pairs.items():
        if said != wanted:
            raise Difference(f"the manifest says {shown(said)} as {what} of {contract.file}, its numbers {wanted}")


def _grey_levels_apart(folder: Path, contract: Contract, vector: Mapping[str, Any]) -> float:
    """Largest difference of any value."""
    import numpy as np

    from export.verify import to_input
    from models.data import prepare_picture
    from models.data.decode import read_picture

    try:
        picture = read_picture(folder / vector["image"])
        pixels = prepare_picture(picture, contract.preprocessing, contract.side_px)[None]
    except DataError as error:
        raise Difference(f"{shown(vector['image'])} {shown(error)}") from error
    with np.errstate(all="ignore"):
        here = to_input(pixels, contract.input, contract.preprocessing).astype(np.float64)
    there = np.load(folder / vector["input"], allow_pickle=False).astype(np.float64)
    levels = {"float32": contract.std, "int16": contract.std * (contract.input.scale or 1.0)}
    return float(np.abs(here - there).max()) * abs(levels.get(contract.input.dtype, 1.0))
