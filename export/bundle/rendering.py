"""Templates into text, with a guard: text that no language's filter made safe is an error, never output."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.bundle import literals
from export.bundle.literals import Literal

if TYPE_CHECKING:
    from jinja2 import Environment

FILTERS = {
    name: getattr(literals, name)
    for name in ("comment", "javascript", "kotlin", "markdown", "number", "python", "ruby", "swift", "web")
}


def render(template: str, **values: Any) -> str:
    """The text of a template in `templates/`.

    Raises:
        TypeError: a value would be written that no filter made safe.
    """
    return _environment().get_template(f"{template}.jinja").render(values)


@cache
def _environment() -> Environment:
    # Here, because `--help` need not pay for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        finalize=_only_safe,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - HTML is one language of many here; `_only_safe` guards all
    )
    environment.filters.update(FILTERS)
    return environment


def _only_safe(value: object) -> object:
    if type(value) not in (Literal, int):
        raise TypeError(f"{value!r} goes through no filter, which would make it safe where it stands")
    return value
