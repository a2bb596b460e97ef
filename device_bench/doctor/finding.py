"""`Finding`: one thing looked for on this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "missing", "wrong", "unknown"]
"""`missing`: it is not there; `wrong`: it is, but cannot be used so; `unknown`: it could not be found out in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, and what helps."""

    name: str
    state: State
    found: str
    """In words; text from outside in it is not safe for a terminal."""
    needed_by: str
    """The commands that it is for."""
    remedy: str | None = None
    """What to install or to do; None if nothing."""
    required: bool = False
    """Whether `make export` needs it."""

    @property
    def blocks(self) -> bool:
        """Whether the main job cannot run for it. What is not known blocks nothing: the job would say so itself."""
        return self.required and self.state in ("missing", "wrong")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)
