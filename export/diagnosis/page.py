"""The diagnosis as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import base64
import math
from pathlib import Path

from export.diagnosis.values import Confidence, Diagnosis
from models.pages import page_templates, safe

_FOLDER = Path(__file__).parent


def format_page(found: Diagnosis) -> str:
    """The whole page."""
    from markupsafe import Markup

    return (
        page_templates(_FOLDER)
        .get_template("page.html.jinja")
        .render(
            found=found,
            style=Markup((_FOLDER / "page.css").read_text("utf-8")),  # noqa: S704 - our own file
            pictures=[base64.b64encode(flip.png).decode() for flip in found.flips],
            dots=_dots(found.confidence),
            safe=safe,
        )
    )


def _dots(confidence: Confidence) -> list[tuple[str, float, float, float]]:
    """Accuracy over confidence of both files, as circles of a drawing; their areas are the bins' pictures."""
    width, total = 1 / len(confidence.bins), sum(row[1] for row in confidence.bins)
    dots = []
    for kind, count, share in (("int8", 3, 4), ("float", 1, 2)):
        for row in confidence.bins:
            pictures, right = row[count], row[share]
            if pictures and right is not None:
                x, y = row[0] + width / 2, right
                dots.append((kind, 40 + 340 * x, 220 - 200 * y, 2 + 12 * math.sqrt(pictures / total)))
    return dots
