"""The diagnosis as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import base64
from pathlib import Path

from export.diagnosis.values import Confidence, Diagnosis

_FOLDER = Path(__file__).parent


def format_page(found: Diagnosis) -> str:
    """The whole page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja").render(
        found=found,
        style=Markup((_FOLDER / "page.css").read_text("utf-8")),  # noqa: S704 - our own file
        pictures=[base64.b64encode(flip.png).decode() for flip in found.flips],
        curves=_curves(found.confidence),
        safe=safe,
    )


def safe(text: object, most: int = 120) -> str:
    """Text from outside, of bounded length and without what steers a terminal or turns the direction of writing."""
    cleaned = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return cleaned if len(cleaned) <= most else f"{cleaned[: most - 1]}…"


def _curves(confidence: Confidence) -> tuple[str, str]:
    """Accuracy over confidence of both files, as points of a drawing."""

    def points(column: int) -> str:
        width = 1 / len(confidence.bins)
        places = [(row[0] + width / 2, row[column]) for row in confidence.bins]
        return " ".join(f"{40 + 340 * x:.1f},{220 - 200 * y:.1f}" for x, y in places if y is not None)

    return points(2), points(4)
