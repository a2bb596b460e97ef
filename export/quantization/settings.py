"""`QuantizationSettings`: which levers an export pulls to keep the accuracy of 8-bit files. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from models.errors import UsageError

RangeMethod = Literal["min-max", "percentile", "mse", "entropy", "learned"]
LEARNED_RANGES: RangeMethod = "learned"
RANGE_METHODS: tuple[RangeMethod, ...] = tuple(name for name in get_args(RangeMethod) if name != LEARNED_RANGES)
"""What can be asked for."""

METHODS: Mapping[RangeMethod, str] = MappingProxyType(
    {
        "min-max": "min-max over all images",
        "percentile": "99.99 % of the values over all images",
        "mse": "least squared error of 8 bits over all images",
        "entropy": "least divergence of 8 bits over all images",
        "learned": "learned in quantization-aware training",
    }
)
"""Each in the words of a model card."""

Equalize = Literal[True, False, "auto"]
"""Every group of channels; none; or those that are expected to gain, if the int8 file is then measured to be better."""

_SWITCHES = {
    "exact": "exact",
    "equalize": "equalize",
    "bias": "bias_correction",
    "round": "rounding",
    "per-tensor": "per_tensor",
}
"""Words of the command line, each of which `no-` turns off."""

_VALUES = ("equalize=auto", "float=N", "float=BLOCK+BLOCK")
"""Words with a value, as help shows them."""

MAX_FLOAT_BLOCKS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationSettings:
    """The levers. What the defaults are worth, and each lever alone, `docs/quantization.md` says."""

    ranges: RangeMethod = "mse"
    """How the range of an activation follows from what it held over the representative data set."""
    exact: bool = True
    """Bounds that the network's mathematics gives stand above what was observed."""
    equalize: Equalize = "auto"
    """Channels are rescaled between layers until their kernels are of like size; the float function stays the same.

    It saves networks with unlike channels and costs others 0.3 to 1.4 dB, so it is measured.
    """
    bias_correction: bool = True
    """Biases make up for what the rounding of kernels adds to the mean of each channel."""
    rounding: bool = False
    """Weights are rounded up or down so that each layer's output errs least, not each weight."""
    per_tensor: bool = False
    """One scale per kernel, for NPUs that know no other, instead of one per output channel."""
    float_blocks: int | tuple[str, ...] | None = None
    """Of the mixed files: how many blocks stay float, the most sensitive ones, or which. None: as many as pay."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        value = asdict(self)
        return {**value, "float_blocks": list(self.float_blocks)} if isinstance(self.float_blocks, tuple) else value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> QuantizationSettings:
        """Value from `to_json`'s form; keys of something else are passed over, and what is missing is the default.

        Raises:
            UsageError: a value that no setting has.
        """
        known: dict[str, Any] = {}
        for name in cls.__slots__:
            if name in value:
                given = value[name]
                known[name] = tuple(given) if isinstance(given, list) else given
                if not _ALLOWED[name](known[name]):
                    raise UsageError(
                        f"quantization setting {name} is {given!r}, which no export writes; make the folder again "
                        "with `make export`"
                    )
        return cls(**known)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_blocks(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(isinstance(name, str) and name for name in value)
    # A bool is an int, but no number of blocks.
    return value is None or (type(value) is int and 1 <= value <= MAX_FLOAT_BLOCKS)


_ALLOWED: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "ranges": lambda value: isinstance(value, str) and value in METHODS,
        "exact": _is_switch,
        "equalize": lambda value: _is_switch(value) or value == "auto",
        "bias_correction": _is_switch,
        "rounding": _is_switch,
        "per_tensor": _is_switch,
        "float_blocks": _is_blocks,
    }
)

DEFAULTS = QuantizationSettings()
NAIVE = QuantizationSettings(ranges="min-max", exact=False, equalize=False, bias_correction=False, rounding=False)
"""What converters do."""
LEARNED = replace(NAIVE, ranges=LEARNED_RANGES)
"""What quantization-aware training learned with."""


def began_with(settings: QuantizationSettings) -> QuantizationSettings:
    """The levers that give ranges from pictures: learned ones began with those of least squared error."""
    return DEFAULTS if settings.ranges == LEARNED_RANGES else settings


def settings_words() -> str:
    """All words that `parse_settings` knows."""
    switches = (word for name in _SWITCHES for word in (name, f"no-{name}"))
    return ", ".join((*RANGE_METHODS, *switches, *_VALUES))


def parse_settings(words: str) -> QuantizationSettings:
    """The default settings, changed by comma-separated words: a method for ranges, a lever, or `no-` and a lever.

    Raises:
        UsageError: an unknown word.
    """
    settings = QuantizationSettings()
    for word in filter(None, (part.strip() for part in words.split(","))):
        settings = replace(settings, **_change(word))
    return settings


def _change(word: str) -> dict[str, Any]:
    """The field that a word changes, and to what."""
    lever, value = word.removeprefix("no-"), word.partition("=")[2]
    if word in RANGE_METHODS:
        return {"ranges": word}
    if lever in _SWITCHES:
        return {_SWITCHES[lever]: lever == word}
    if word == "equalize=auto":
        return {"equalize": "auto"}
    if word.startswith("float=") and value:
        # Digits beyond any number of blocks are not read, lest they be thousands.
        blocks = int(value[:5]) if value.isdecimal() else tuple(value.split("+"))
        if _is_blocks(blocks):
            return {"float_blocks": blocks}
    raise UsageError(f"unknown quantization setting {word!r}; known are {settings_words()}")
