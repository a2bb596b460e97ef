"""Targets and variables of the Makefile, read from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_bench.completion.values import complete_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Makefile:
    """What can be typed after `make`."""

    variables: Mapping[str, tuple[str, ...]]
    """Of each target, by its name: those that its recipe reads."""
    switches: frozenset[str]
    """Variables that are given as 1."""


def read_makefile(path: Path) -> Makefile:
    """The targets that `make help` lists.

    Raises:
        OSError: it cannot be read.
    """
    text = path.read_text("utf-8").replace("\\\n", " ")
    given = re.findall(r"^GIVEN :=(.*)$", text, re.MULTILINE)
    switches = re.findall(r"^\$\(foreach name,([A-Z_ ]+),\$\(eval override", text, re.MULTILINE)
    names = " ".join(given).split()
    recipes = re.findall(r"^([a-z-]+):.*## .*\n((?:\t.*\n?)*)", text, re.MULTILINE)
    return Makefile(
        variables={target: tuple(n for n in names if re.search(rf"\b{n}\b", recipe)) for target, recipe in recipes},
        switches=frozenset(" ".join(switches).split()),
    )


def complete_make(makefile: Makefile, words: Sequence[str], typed: str) -> list[str]:
    """What may stand for `typed` after the words of a `make` command."""
    name, is_variable, value = typed.partition("=")
    if is_variable:
        known = ("1",) if name in makefile.switches else None
        return [f"{name}={found}" for found in complete_value(name.lower(), value, known)]
    targets = [word for word in words if word in makefile.variables]
    taken = {word.partition("=")[0] for word in words if "=" in word}
    variables = dict.fromkeys(name for target in targets for name in makefile.variables[target] if name not in taken)
    offered = [f"{variable}=" for variable in variables] if targets else list(makefile.variables)
    return [word for word in offered if word.startswith(typed)]
