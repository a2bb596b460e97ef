"""Whether values from files are what their types say: a hostile or foreign file must not reach the writers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def check_types(row: Any) -> None:
    """Raises ValueError if a text, number or truth value anywhere in a frozen row is of another kind, or not finite."""
    for field in fields(row):
        value, kind = getattr(row, field.name), str(field.type)
        if value is None and "None" in kind:
            continue
        _check(value, kind.removesuffix(" | None"), f"{type(row).__name__}.{field.name}")


def _check(value: Any, kind: str, where: str) -> None:
    if is_dataclass(value):
        check_types(value)
    elif kind.startswith("Mapping["):
        _check_mapping(value, kind, where)
    elif kind.startswith("tuple["):
        if not isinstance(value, tuple):
            raise ValueError(f"{where} is no tuple but {type(value).__name__}")
        kinds = kind.removeprefix("tuple[").removesuffix("]").split(", ")
        _demand(kinds[-1] == "..." or len(value) == len(kinds), value, where)
        for item in value:
            _check(item, kinds[0], where)
    elif kind == "bool":
        _demand(isinstance(value, bool), value, where)
    elif kind in ("int", "float"):
        known = isinstance(value, int if kind == "int" else (int, float)) and not isinstance(value, bool)
        _demand(known and _is_finite(value), value, where)
    else:
        _demand(isinstance(value, str), value, where)


def _is_finite(value: float) -> bool:
    # JSON's integers have no limit; those of nobody else are larger.
    return abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)


def _check_mapping(value: Any, kind: str, where: str) -> None:
    _demand(isinstance(value, Mapping), value, where)
    of = kind.removesuffix("]").split(", ")[1]
    for key, item in value.items():
        _check(key, "str", where)
        _check(item, of, where)


def _demand(sound: bool, value: Any, where: str) -> None:
    if not sound:
        raise ValueError(f"{where} is {value!r:.60}")
