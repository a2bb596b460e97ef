"""`ModelInfo`: what a TFLite file says of itself. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import ConversionError
from models.spec import ModelSpec, Preprocessing

UNTRAINED = "random"
"""Source of weights that nothing has trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What a file says of itself. Texts may be anything; they are put on one line, without control characters."""

    name: str
    description: str
    version: str
    input_description: str
    mean: float
    """Of the normalisation of float inputs, in grey levels; readers know one for all channels only."""
    std: float
    author: str | None = None
    license: str | None = None
    score_threshold: float | None = None
    """Below which MediaPipe drops a class, 0..1, if the app does not say otherwise."""


def compose_info(
    spec: ModelSpec, *, source: str, weights_sha256: str, author: str | None = None, license_name: str | None = None
) -> ModelInfo:
    """What to write into the files of one export; their version is that of the weights.

    Args:
        spec: The network, with the class count of the data set and the preprocessing of the files.
        source: Where the weights come from: the name of a data set, `random`, `own`.
        weights_sha256: Of the checkpoint.
        author: Whoever answers for the files; None if nobody said.
        license_name: What the files may be used under; None if nobody said.

    Raises:
        ConversionError: the preprocessing needs more than one mean or std, which has no place in metadata.
    """
    given = spec.preprocessing
    if len(set(given.mean)) > 1 or len(set(given.std)) > 1 or given.channel_order != "RGB":
        raise ConversionError(
            f"TFLite metadata has one mean and std for RGB, not {given.mean} and {given.std} for "
            f"{given.channel_order}; give the preprocessing of the files (export.deployed)"
        )
    origin = "untrained, for latency only" if source == UNTRAINED else f"weights: {source}"
    return ModelInfo(
        name=spec.name,
        description=f"Says which of {spec.num_classes} classes a picture shows ({origin})",
        version=weights_sha256[:12],
        input_description=describe_input(given, spec.resolution_px),
        mean=given.mean[0],
        std=given.std[0],
        author=author,
        license=license_name,
    )


def describe_input(preprocessing: Preprocessing, size_px: int) -> str:
    """The contract for the picture, in words."""
    fits = {
        "stretch": "the whole picture, stretched",
        "crop": f"the middle square ({preprocessing.crop_share:.1%} of the shorter side), scaled",
        "pad": "the whole picture, scaled and set between black bars",
    }
    return (
        f"RGB, {fits[preprocessing.fit]} to {size_px} x {size_px} px ({preprocessing.resize}, antialiased); floats are "
        f"(byte - {preprocessing.mean[0]:g}) / {preprocessing.std[0]:g}, uint8 the bytes, int8 the bytes - 128"
    )
