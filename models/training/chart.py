"""A training's curves as a picture, drawn with Pillow: loss, accuracy, and the learning rate, one above the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

WIDTH_PX, PANEL_PX, LEFT_PX, RIGHT_PX, TOP_PX, GAP_PX, BOTTOM_PX = 900, 200, 78, 24, 72, 46, 46
SCALE = 2
"""Drawn this much larger, and shrunk: Pillow's lines have no smooth edges."""
INK, FAINT, LINE, PAPER = "#1f2933", "#7b8794", "#e4e7eb", "#ffffff"
COLOURS = ("#2563eb", "#d97706")

Figures = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One of the diagrams."""

    title: str
    lines: Mapping[str, Figures]
    """By name; a figure per epoch."""
    percent: bool = False
    logarithmic: bool = False


def draw_chart(curves: Mapping[str, Any]) -> Image.Image:
    """The picture for what `curves_of` gives."""
    panels = (
        Panel(title="loss", lines={"training": curves["loss"]}),
        Panel(
            title="top-1",
            lines={"training": curves["train_top1"], "validation": curves["validation_top1"]},
            percent=True,
        ),
        Panel(title="learning rate", lines={"": curves["learning_rate"]}, logarithmic=True),
    )
    height = TOP_PX + len(panels) * (PANEL_PX + GAP_PX) - GAP_PX + BOTTOM_PX
    image = Image.new("RGB", (WIDTH_PX * SCALE, height * SCALE), PAPER)
    draw = _Pen(ImageDraw.Draw(image))
    recipe = f", recipe {curves['recipe']}" if curves["recipe"] else ""
    draw.text(LEFT_PX, 16, f"{curves['model']} on {curves['dataset']}{recipe}", INK, 17)
    for number, panel in enumerate(panels):
        _draw_panel(draw, panel, TOP_PX + number * (PANEL_PX + GAP_PX), curves["resolution_px"])
    _draw_epochs(draw, len(curves["epoch"]), height - BOTTOM_PX)
    return image.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)


class _Pen:
    """Draws in final pixels."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self.draw = draw

    def text(self, x: float, y: float, text: str, colour: str, size: int, anchor: str = "lt") -> None:
        font = ImageFont.load_default(size * SCALE)
        printable = "".join(letter if letter.isprintable() else "?" for letter in text)
        self.draw.text((x * SCALE, y * SCALE), printable, fill=colour, font=font, anchor=anchor)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self.draw.line(scaled, fill=colour, width=round(width * SCALE), joint="curve")

    def dot(self, x: float, y: float, colour: str, radius: float) -> None:
        box = [(x - radius) * SCALE, (y - radius) * SCALE, (x + radius) * SCALE, (y + radius) * SCALE]
        self.draw.ellipse(box, fill=colour)


def _x(number: float, count: int) -> float:
    """Of an epoch, counted from 0: in the middle of its share of the width."""
    return LEFT_PX + (WIDTH_PX - LEFT_PX - RIGHT_PX) * (number + 0.5) / count


def _draw_panel(draw: _Pen, panel: Panel, top: float, sizes_px: Figures) -> None:
    every = [value for values in panel.lines.values() for value in values]
    ticks = _log_ticks(every) if panel.logarithmic else even_ticks(min(every), max(every))
    low, high = (_height(ticks[n], panel) for n in (0, -1))

    def y(value: float) -> float:
        return top + PANEL_PX * (1 - (_height(value, panel) - low) / (high - low))

    draw.text(LEFT_PX, top - 9, panel.title, INK, 13, "ls")
    for tick in ticks:
        draw.line([(LEFT_PX, y(tick)), (WIDTH_PX - RIGHT_PX, y(tick))], LINE)
        draw.text(LEFT_PX - 10, y(tick), _format_tick(tick, panel), FAINT, 12, "rm")
    _draw_sizes(draw, sizes_px, top)
    count = len(sizes_px)
    right = WIDTH_PX - RIGHT_PX
    for colour, (name, values) in reversed(list(zip(COLOURS, panel.lines.items(), strict=False))):
        points = [(_x(number, count), y(value)) for number, value in enumerate(values)]
        draw.line(points, colour, 2)
        for x, height in points if count <= 60 else points[-1:]:
            draw.dot(x, height, colour, 2.5)
        if len(panel.lines) > 1:
            draw.text(right, top - 9, name, colour, 12, "rs")
            right -= 90


def _draw_sizes(draw: _Pen, sizes_px: Figures, top: float) -> None:
    """Where the picture size changes, and what it is."""
    count = len(sizes_px)
    begins = [number for number in range(count) if number == 0 or sizes_px[number] != sizes_px[number - 1]]
    for number in begins if len(begins) > 1 else ():
        x = _x(number - 0.5, count)
        draw.line([(x, top), (x, top + PANEL_PX)], "#cbd2d9")
        if top == TOP_PX:
            draw.text(x + 4, top + 4, f"{sizes_px[number]:g} px", FAINT, 11)


def _height(value: float, panel: Panel) -> float:
    return math.log10(max(value, 1e-12)) if panel.logarithmic else value


def even_ticks(low: float, high: float) -> list[float]:
    """About five round numbers, evenly spaced, that enclose the range."""
    size = max(abs(low), abs(high))
    if high - low <= max(1e-6 * size, 1e-30):
        # As good as flat.
        margin = 0.5 * size if size > 1e-30 else 0.5
        low, high = low - margin, high + margin
    rough = (high - low) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(values: Figures) -> list[float]:
    """Powers of ten that enclose the range."""
    low, high = (math.log10(max(value, 1e-12)) for value in (min(values), max(values)))
    first, last = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    every = max(1, (last - first) // 5)
    return [10.0**power for power in range(first, last + every, every)]


def _format_tick(tick: float, panel: Panel) -> str:
    if panel.percent:
        return f"{100 * tick:.3g} %"
    return f"{tick:.0e}" if panel.logarithmic else f"{tick:.4g}"


def _draw_epochs(draw: _Pen, count: int, top: float) -> None:
    every = max(1, math.ceil(count / 20))
    for number in range(0, count, every):
        draw.text(_x(number, count), top + 8, str(number + 1), FAINT, 12, "mt")
    draw.text(LEFT_PX, top + 26, "epoch", FAINT, 12)
