"""The classes of `shapes`: outlines as signed distances.

Only additions, multiplications, divisions, square roots, comparisons: IEEE 754 rounds them alike on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
Outline = Callable[[Plane, Plane], Plane]
"""Distance to the outline, negative inside, for coordinates in which the shape fills the unit circle; y points up."""


def length(x: Plane, y: Plane) -> Plane:
    """Distance from the origin."""
    return np.sqrt(x * x + y * y)


def polygon(corners: Sequence[tuple[float, float]]) -> Outline:
    """The outline through those corners."""

    def distance(x: Plane, y: Plane) -> Plane:
        nearest = np.full(x.shape, np.inf)
        inside = np.zeros(x.shape, bool)
        for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
            ex, ey = bx - ax, by - ay
            wx, wy = x - ax, y - ay
            along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0.0, 1.0)
            dx, dy = wx - ex * along, wy - ey * along
            nearest = np.minimum(nearest, dx * dx + dy * dy)
            # A ray to the right crosses this edge.
            inside ^= ((ay > y) != (by > y)) & ((wx * ey < ex * wy) == (ey < 0))
        signed: Plane = np.where(inside, -np.sqrt(nearest), np.sqrt(nearest))
        return signed

    return distance


def disc(x: Plane, y: Plane) -> Plane:
    """The unit circle."""
    return length(x, y) - 1.0


def ellipse(x: Plane, y: Plane) -> Plane:
    """Half as high as wide; the distance is scaled, not exact."""
    return (length(x, 2.0 * y) - 1.0) * 0.5


def ring(x: Plane, y: Plane) -> Plane:
    """A circle with a round hole."""
    return np.abs(length(x, y) - 0.75) - 0.25


def semicircle(x: Plane, y: Plane) -> Plane:
    """The upper half."""
    return np.maximum(length(x, y + 0.4) - 1.0, -0.4 - y)


def crescent(x: Plane, y: Plane) -> Plane:
    """A circle bitten by another."""
    return np.maximum(length(x, y) - 1.0, 0.8 - length(x - 0.55, y))


def heart(x: Plane, y: Plane) -> Plane:
    """A square on its corner with a disc on each upper edge."""
    discs = length(np.abs(x) - 0.325, y - 0.175) - 0.4596
    return np.minimum(_HEART_SQUARE(x, y), discs)


_HEART_SQUARE = polygon([(0.0, -0.8), (0.65, -0.15), (0.0, 0.5), (-0.65, -0.15)])

# fmt: off
OUTLINES: Mapping[str, Outline] = MappingProxyType(
    {
        "arrow": polygon(
            [(-0.9, -0.25), (0.1, -0.25), (0.1, -0.65), (0.95, 0.0), (0.1, 0.65), (0.1, 0.25), (-0.9, 0.25)]
        ),
        "chevron": polygon([(-0.7, -0.8), (-0.1, -0.8), (0.7, 0.0), (-0.1, 0.8), (-0.7, 0.8), (0.1, 0.0)]),
        "circle": disc,
        "crescent": crescent,
        "cross": polygon(
            [(-0.28, -0.9), (0.28, -0.9), (0.28, -0.28), (0.9, -0.28), (0.9, 0.28), (0.28, 0.28), (0.28, 0.9),
             (-0.28, 0.9), (-0.28, 0.28), (-0.9, 0.28), (-0.9, -0.28), (-0.28, -0.28)]
        ),
        "ellipse": ellipse,
        "heart": heart,
        "hexagon": polygon([(1.0, 0.0), (0.5, 0.866), (-0.5, 0.866), (-1.0, 0.0), (-0.5, -0.866), (0.5, -0.866)]),
        "kite": polygon([(0.0, -0.95), (0.6, 0.3), (0.0, 0.85), (-0.6, 0.3)]),
        "letter L": polygon([(-0.6, 0.85), (-0.6, -0.75), (0.65, -0.75), (0.65, -0.25), (-0.1, -0.25), (-0.1, 0.85)]),
        "letter T": polygon(
            [(-0.8, 0.75), (-0.8, 0.25), (-0.26, 0.25), (-0.26, -0.85), (0.26, -0.85), (0.26, 0.25), (0.8, 0.25),
             (0.8, 0.75)]
        ),
        "pentagon": polygon([(0.0, 1.0), (-0.951, 0.309), (-0.588, -0.809), (0.588, -0.809), (0.951, 0.309)]),
        "ring": ring,
        "semicircle": semicircle,
        "square": polygon([(-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75)]),
        "star": polygon(
            [(0.0, 1.0), (-0.247, 0.34), (-0.951, 0.309), (-0.399, -0.13), (-0.588, -0.809), (0.0, -0.42),
             (0.588, -0.809), (0.399, -0.13), (0.951, 0.309), (0.247, 0.34)]
        ),
        "triangle": polygon([(0.0, 1.0), (-0.866, -0.5), (0.866, -0.5)]),
    }
)
# fmt: on
