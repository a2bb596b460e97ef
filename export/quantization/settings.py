"""`QuantizationSettings`: which levers an export pulls to keep the accuracy of 8-bit files. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from models.errors import UsageError

RangeMethod = Literal["min-max", "percentile", "mse", "entropy"]
RANGE_METHODS: tuple[RangeMethod, ...] = get_args(RangeMethod)

METHODS: Mapping[RangeMethod, str] = MappingProxyType(
    {
        "min-max": "min-max over all images",
        "percentile": "99.99 % of the values over all images",
        "mse": "least squared error of 8 bits over all images",
        "entropy": "least divergence of 8 bits over all images",
    }
)
"""Each in the words of a model card."""

_SWITCHES = {"exact": "exact", "equalize": "equalize", "bias": "bias_correction"}
"""Words of the command line, each of which `no-` turns off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationSettings:
    """The levers. What the defaults are worth, and each lever alone, `docs/quantization.md` says."""

    ranges: RangeMethod = "mse"
    """How the range of an activation follows from what it held over the representative data set."""
    exact: bool = True
    """Bounds that the network's mathematics gives stand above what was observed."""
    equalize: bool = False
    """Channels are rescaled between layers until their kernels are of like size; the float function stays the same.

    It saves networks with unlike channels and costs others 0.3 to 1.4 dB, so it is asked for.
    """
    bias_correction: bool = True
    """Biases make up for what the rounding of kernels adds to the mean of each channel."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


DEFAULTS = QuantizationSettings()
NAIVE = QuantizationSettings(ranges="min-max", exact=False, equalize=False, bias_correction=False)
"""What converters do."""


def settings_words() -> str:
    """All words that `parse_settings` knows."""
    return ", ".join((*RANGE_METHODS, *(word for name in _SWITCHES for word in (name, f"no-{name}"))))


def parse_settings(words: str) -> QuantizationSettings:
    """The default settings, changed by comma-separated words: a method for ranges, a lever, or `no-` and a lever.

    Raises:
        UsageError: an unknown word.
    """
    settings = QuantizationSettings()
    for word in filter(None, (part.strip() for part in words.split(","))):
        lever = word.removeprefix("no-")
        method = next((known for known in RANGE_METHODS if known == word), None)
        if method:
            settings = replace(settings, ranges=method)
        elif lever in _SWITCHES:
            switch: dict[str, Any] = {_SWITCHES[lever]: lever == word}
            settings = replace(settings, **switch)
        else:
            raise UsageError(f"unknown quantization setting {word!r}; known are {settings_words()}")
    return settings
