"""Scenes of `shapes`: one shape of a class among clutter, the same bytes on every machine.

Random bits come from Philox, whose stream NumPy guarantees; all arithmetic is of the kinds that IEEE 754 rounds alike
everywhere (see `models.data.outlines`), element by element, so that no order of additions matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.data.dataset import Pixels
from models.data.outlines import OUTLINES, Outline, Plane, length, polygon

LABELS = tuple(OUTLINES)
Colour = tuple[float, float, float]


class Draws:
    """Random numbers of one scene."""

    def __init__(self, *, seed: int, stream: int, number: int) -> None:
        """Each seed (below 2**32), stream (below 2**32) and number (below 2**64) has its own."""
        self._bits = np.random.Philox(counter=0, key=seed + (stream << 32) + (number << 64))

    def below(self, count: int) -> int:
        """A whole number 0..count-1."""
        return int(self._bits.random_raw()) % count

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def chance(self, share: float) -> bool:
        """True for that share of calls."""
        return self.between(0.0, 1.0) < share

    def direction(self) -> tuple[float, float]:
        """Cosine and sine of an angle of the full circle, without functions that machines round differently."""
        t = self.between(-1.0, 1.0)
        cosine, sine = (1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)
        return (cosine, sine) if self.chance(0.5) else (-cosine, -sine)

    def colour(self) -> Colour:
        """Any."""
        red, green, blue = (self.between(0.0, 255.0) for _ in range(3))
        return red, green, blue

    def bytes(self, count: int) -> NDArray[np.uint8]:
        """Random bytes."""
        words: NDArray[np.uint64] = self._bits.random_raw(-(-count // 8))
        return words.astype("<u8").view(np.uint8)[:count]


class Canvas:
    """A picture in the making."""

    def __init__(self, size_px: int, draws: Draws) -> None:
        self.size_px, self.draws = size_px, draws
        steps = (np.arange(size_px) + 0.5) * (2.0 / size_px) - 1.0
        self.x, self.y = np.meshgrid(steps, -steps)
        self.rgb = np.zeros((size_px, size_px, 3))

    def coverage(self, distance: Plane) -> Plane:
        """Share of each pixel inside, 0..1, for distances in units of half the picture."""
        return np.clip(0.5 - distance * (self.size_px / 2.0), 0.0, 1.0)

    def paint(self, coverage: Plane, colour: NDArray[np.float64] | Colour) -> None:
        """Lays a colour, or one per pixel, over what is there."""
        self.rgb += (np.asarray(colour) - self.rgb) * coverage[:, :, None]

    def local(self, centre: tuple[float, float], radius: float, squeeze: float) -> tuple[Plane, Plane]:
        """Coordinates of something of that size, turned by a random angle and squeezed in its height."""
        cosine, sine = self.draws.direction()
        x, y = (self.x - centre[0]) / radius, (self.y - centre[1]) / radius
        return x * cosine + y * sine, (y * cosine - x * sine) / squeeze

    def pattern(self) -> Plane:
        """A texture, 0..1 per pixel: waves of value noise, stripes, checks or dots."""
        draws, kind = self.draws, self.draws.below(4)
        if kind == 0:
            return self.value_noise(3 + draws.below(5))
        x, y = self.local((draws.between(-1.0, 1.0), draws.between(-1.0, 1.0)), draws.between(0.09, 0.3), 1.0)
        u, v = np.abs(x - 2.0 * np.floor(x / 2.0) - 1.0), np.abs(y - 2.0 * np.floor(y / 2.0) - 1.0)
        if kind == 1:
            return u
        if kind == 2:
            return np.where((u < 0.5) == (v < 0.5), 1.0, 0.0)
        return np.where(u * u + v * v < 0.4, 1.0, 0.0)

    def value_noise(self, cells: int) -> Plane:
        """Random heights on a grid, 0..1, joined smoothly."""
        heights = self.draws.bytes((cells + 1) * (cells + 1)).reshape(cells + 1, cells + 1) / 255.0
        place = (np.arange(self.size_px) + 0.5) * (cells / self.size_px)
        cell = np.floor(place).astype(np.int64)
        part = place - cell
        part = part * part * (3.0 - 2.0 * part)
        rows = heights[cell] + (heights[cell + 1] - heights[cell]) * part[:, None]
        joined: Plane = rows[:, cell] + (rows[:, cell + 1] - rows[:, cell]) * part
        return joined

    def finished(self) -> Pixels:
        """The picture as bytes, uint8 `[size_px, size_px, 3]`."""
        return np.floor(np.clip(self.rgb, 0.0, 255.0) + 0.5).astype(np.uint8)


def render(label: int, *, size_px: int, seed: int, stream: int, number: int) -> Pixels:
    """Scene `number` of a stream (a split), with a shape of class `label`: uint8 `[size_px, size_px, 3]`, RGB."""
    draws = Draws(seed=seed, stream=stream, number=number)
    canvas = Canvas(size_px, draws)
    _background(canvas)
    for _ in range(draws.below(5)):
        _clutter(canvas, draws.between(0.06, 0.2))
    centre, radius = _shape(canvas, OUTLINES[LABELS[label]])
    if draws.chance(0.4):
        _occlude(canvas, centre, radius)
    _light(canvas)
    _blur(canvas)
    _noise(canvas)
    return canvas.finished()


def _background(canvas: Canvas) -> None:
    draws = canvas.draws
    canvas.paint(np.ones((canvas.size_px, canvas.size_px)), draws.colour())
    canvas.paint(canvas.value_noise(2 + draws.below(4)) * 0.8, draws.colour())
    if draws.chance(0.4):
        canvas.paint(canvas.pattern() * draws.between(0.1, 0.35), draws.colour())


def _clutter(canvas: Canvas, radius: float) -> None:
    """A small stick or splinter anywhere."""
    draws = canvas.draws
    x, y = canvas.local((draws.between(-1.0, 1.0), draws.between(-1.0, 1.0)), radius, 1.0)
    if draws.chance(0.5):
        along = x - np.clip(x, -1.0, 1.0)
        distance = length(along, y) - draws.between(0.15, 0.5)
    else:
        apex = draws.between(-1.0, 1.0)
        distance = polygon([(-1.0, draws.between(-0.6, 0.0)), (1.0, draws.between(-0.6, 0.0)), (apex, 0.6)])(x, y)
    canvas.paint(canvas.coverage(distance * radius), draws.colour())


def _shape(canvas: Canvas, outline: Outline) -> tuple[tuple[float, float], float]:
    """The shape of the class; returns its place and size."""
    draws = canvas.draws
    radius = draws.between(0.5, 0.85)
    room = 1.0 - radius
    centre = draws.between(-room, room), draws.between(-room, room)
    squeeze = draws.between(0.85, 1.0)
    x, y = canvas.local(centre, radius, squeeze)
    coverage = canvas.coverage(outline(x, y) * (radius * squeeze))
    colour = _contrasting(canvas, centre)
    if draws.chance(0.4):
        shift = max(1, round(canvas.size_px * draws.between(0.02, 0.06)))
        shadow = np.zeros_like(coverage)
        shadow[shift:, shift:] = coverage[:-shift, :-shift]
        canvas.paint(shadow * draws.between(0.3, 0.6), (0.0, 0.0, 0.0))
    fill = np.broadcast_to(np.asarray(colour), canvas.rgb.shape).copy()
    if draws.chance(0.6):
        other, strength = draws.colour(), draws.between(0.15, 0.45)
        fill += (np.asarray(other) - fill) * (canvas.pattern() * strength)[:, :, None]
    canvas.paint(coverage * draws.between(0.75, 1.0), fill)
    return centre, radius


def _contrasting(canvas: Canvas, centre: tuple[float, float]) -> Colour:
    """A colour that differs from what lies at the centre, by little at times."""
    column = min(max(int((centre[0] + 1.0) * canvas.size_px / 2.0), 0), canvas.size_px - 1)
    row = min(max(int((1.0 - centre[1]) * canvas.size_px / 2.0), 0), canvas.size_px - 1)
    there = [float(value) for value in canvas.rgb[row, column]]
    least = canvas.draws.between(150.0, 320.0)
    for _ in range(20):
        colour = canvas.draws.colour()
        if sum(abs(a - b) for a, b in zip(colour, there, strict=True)) >= least:
            return colour
    return (0.0, 0.0, 0.0) if sum(there) > 382.5 else (255.0, 255.0, 255.0)


def _occlude(canvas: Canvas, centre: tuple[float, float], radius: float) -> None:
    """A bar across a part of the shape, or a disc over its edge."""
    draws = canvas.draws
    x, y = canvas.local(centre, radius, 1.0)
    away = draws.between(0.35, 1.0)
    if draws.chance(0.5):
        distance = np.abs(y - away) - draws.between(0.06, 0.2)
    else:
        distance = length(x, y - away) - draws.between(0.15, 0.35)
    canvas.paint(canvas.coverage(distance * radius), draws.colour())


def _light(canvas: Canvas) -> None:
    """Brighter on one side, and a little more or less light on all."""
    cosine, sine = canvas.draws.direction()
    slope, level = canvas.draws.between(0.0, 0.35), canvas.draws.between(0.7, 1.15)
    canvas.rgb *= (level + slope * (canvas.x * cosine + canvas.y * sine))[:, :, None]


def _blur(canvas: Canvas) -> None:
    """Up to four passes of a 1-2-1 filter at 96 px, and as wide a blur at other sizes."""
    passes = round(canvas.draws.below(5) * canvas.size_px * canvas.size_px / 9216)
    for _ in range(passes):
        for axis in (0, 1):
            padded = np.pad(canvas.rgb, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
            before, after = (np.take(padded, range(s, s + canvas.size_px), axis=axis) for s in (0, 2))
            canvas.rgb = (before + 2.0 * canvas.rgb + after) * 0.25


def _noise(canvas: Canvas) -> None:
    """Of a sensor: sums of four bytes, which are nearly normal, with a standard deviation of up to 12 grey levels."""
    strength = canvas.draws.between(0.0, 0.08)
    grains = canvas.draws.bytes(canvas.rgb.size * 4).reshape(*canvas.rgb.shape, 4).astype(np.int64).sum(axis=3)
    canvas.rgb += (grains - 510) * strength
