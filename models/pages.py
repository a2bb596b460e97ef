"""What HTML pages of all commands share: templates that escape whatever they are given, and text made harmless."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.cli import one_line

if TYPE_CHECKING:
    from jinja2 import Environment


def page_templates(folder: Path) -> Environment:
    """The HTML templates in a folder; a value that is missing is an error, and all text is escaped."""
    # Here, because `--help` need not pay for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def safe(text: object, longest: int = 200) -> str:
    """Text from outside on one line, without control and direction marks, and not longer than a person reads."""
    line = one_line(str(text))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
