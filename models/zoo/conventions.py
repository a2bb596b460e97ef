"""What all families share: names of variants, and published figures."""

from __future__ import annotations

from collections.abc import Mapping

from models.spec import Published


def variant_name(family: str, width: float, resolution_px: int) -> str:
    """`<family>_<width>`, with `_<resolution>` unless it is the papers' default of 224.

    A network that exists in one width and at one resolution only is called as its family.
    """
    return f"{family}_{width}" if resolution_px == 224 else f"{family}_{width}_{resolution_px}"


Figures = Mapping[tuple[float, int], tuple[float, float]]
"""(mult-adds, parameters) in millions as printed, by width and resolution."""
Accuracies = Mapping[tuple[float, int], float]
"""ImageNet top-1 in percent as stated, by width and resolution."""


def published(
    width: float, resolution_px: int, *, printed: Figures, paper: str, top1: Accuracies, release: str
) -> Published | None:
    """What paper and release say of a variant; None if neither knows it.

    Args:
        width: Of the variant.
        resolution_px: Of the variant.
        printed: The paper's figures.
        paper: What the figures are from.
        top1: The release's accuracies.
        release: What the accuracies are from.
    """
    key = width, resolution_px
    mult_adds, parameters = printed.get(key, (None, None))
    accuracy = top1.get(key)
    sources = dict.fromkeys([paper] * (key in printed) + [release] * (key in top1))
    return Published(
        source="; ".join(sources),
        mult_adds=None if mult_adds is None else mult_adds * 1e6,
        parameters=None if parameters is None else parameters * 1e6,
        top1=None if accuracy is None else accuracy / 100,
    ) if sources else None  # fmt: skip
