"""How far an implementation of the manifest's preprocessing may be from ours, in grey levels, and what that catches."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What is allowed of the difference of two pictures at the network's size, in grey levels."""

    mean: float
    most: float
    sharp_mean: float
    """In place of `mean` for a page of text: nothing depends more on how a picture is scaled."""
    reason: str

    def fault(self, name: str, theirs: ArrayLike, ours: ArrayLike) -> str | None:
        """What is wrong with a picture; None if nothing is."""
        difference = np.abs(np.asarray(theirs, np.float64) - np.asarray(ours, np.float64))
        mean, most = difference.mean(), difference.max()
        if mean <= (self.sharp_mean if name == "text.png" else self.mean) and most <= self.most:
            return None
        return f"{name}: mean {mean:.2f}, largest {most:.0f} grey levels"


LEVELS = MappingProxyType(
    {
        "python": Level(mean=0, most=0, sharp_mean=0, reason="The same library, called by other code."),
        "javascript": Level(
            mean=0.3,
            most=1,
            sharp_mean=0.3,
            reason="Another decoder, compositor and resize: each rounds a step of one grey level its own way. A turned "
            "picture, which the browser turns by drawing it, has 0.2 on average.",
        ),
        "mediapipe": Level(
            mean=6,
            most=220,
            sharp_mean=50,
            reason="It takes four pixels where ours averages all: edges alias (docs/preprocessing.md). A wrong order "
            "of channels, an ignored rotation and a crop move a scene by 15 to 60 on average.",
        ),
        "mediapipe after halving": Level(
            mean=5,
            most=110,
            sharp_mean=20,
            reason="Bilinear steps of one half at most average nearly as ours does.",
        ),
    }
)
"""By implementation."""
