"""`Decision`: whether `equalize=auto` rescaled a network's channels, and what that rests on. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LEAST_GAIN_DB = 1.0
"""By how much the equalized network's int8 file must be nearer to float. The gain measured on a few pictures is half a
decibel (root mean square) away from that on a thousand others; stress twins gain 9 to 30."""
RECORD = "equalized"
"""Its key in a manifest's `calibration`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was measured, and what follows from it."""

    groups: int
    """Of channels that are expected to gain by rescaling."""
    sqnr_db: float | None = None
    """Of the logits of an int8 file of the network as it is; None: not measured."""
    equalized_sqnr_db: float | None = None
    """The same with these groups rescaled."""

    @property
    def taken(self) -> bool:
        """Whether the files are those of the equalized network."""
        if self.sqnr_db is None or self.equalized_sqnr_db is None:
            return False
        return self.equalized_sqnr_db - self.sqnr_db >= LEAST_GAIN_DB

    @property
    def words(self) -> str:
        """For a person."""
        if self.sqnr_db is None or self.equalized_sqnr_db is None:
            return f"{self.groups} groups of channels to gain, not measured" if self.groups else "nothing to gain"
        return (
            f"{self.groups} groups of channels: {self.sqnr_db:.1f} dB as it is, {self.equalized_sqnr_db:.1f} dB "
            f"equalized; {'equalized' if self.taken else 'left as it is'}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "taken": self.taken}

    @classmethod
    def from_json(cls, value: Any) -> Decision:
        """Value from `to_json`'s form.

        Raises:
            ValueError: it is none, or says what does not follow from its figures.
        """
        if not isinstance(value, Mapping) or value.keys() != {*cls.__slots__, "taken"}:
            raise ValueError(f"{value!r} is no decision")
        groups, *measured = (value[name] for name in cls.__slots__)
        if type(groups) is not int or groups < 0:
            raise ValueError(f"{groups!r} groups")
        if measured != [None, None] and not (groups and all(map(_is_number, measured))):
            raise ValueError(f"{measured!r} dB for {groups} groups")
        found = cls(groups=groups, sqnr_db=measured[0], equalized_sqnr_db=measured[1])
        if value["taken"] is not found.taken:
            raise ValueError(f"taken is {value['taken']!r} with {found.words}")
        return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def recorded_decision(calibration: Mapping[str, Any]) -> Decision | None:
    """The decision in an export's `calibration` on record; None where none was needed.

    Raises:
        ValueError: there is one that no export writes.
    """
    if RECORD not in calibration:
        return None
    if calibration.get("equalize") != "auto":
        raise ValueError(f"a decision with equalize {calibration.get('equalize')!r}")
    return Decision.from_json(calibration[RECORD])


def is_equalized(calibration: Mapping[str, Any]) -> bool:
    """Whether the files of an export with this `calibration` on record may have rescaled channels."""
    try:
        decision = recorded_decision(calibration)
    except ValueError:
        return True
    return calibration.get("equalize") is True or (decision is not None and decision.taken)
