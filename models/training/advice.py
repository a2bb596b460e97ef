"""What a finished training suggests to try."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from models.imagenet.released import IMAGENET, RELEASES

FEW_PICTURES = 1000
"""To train on, below which a network trained from scratch that does badly is told of ImageNet's weights."""
POOR_TOP1 = 0.8
"""Below which it does badly."""


def suggest_start(record: Mapping[str, Any], dataset: str) -> str | None:
    """One line about a better start for a network that learned too little from few pictures; None where there is none.

    Args:
        record: `trained.json`.
        dataset: As it was given on the command line.
    """
    pictures, top1 = record["dataset"]["images"]["train"], record["accuracy"]["test_top1"]
    from_scratch = record["settings"]["fine_tune"] is None
    if not from_scratch or pictures >= FEW_PICTURES or top1 >= POOR_TOP1 or record["model"] not in RELEASES:
        return None
    return (
        f"{pictures} pictures are few to learn everything from; with ImageNet's weights as the start: make train "
        f"MODEL={record['model']} DATASET={shlex.quote(dataset)} FINE_TUNE={IMAGENET}"
    )
