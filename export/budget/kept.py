"""Results of rungs, kept beside the export, so that an interrupted climb goes on and a repeated one is short."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.budget.rungs import Rung, RungResult
from models.files import format_json, write_file

FILE = "ladder.json"
MOST = 200
"""Results in a file; the oldest go."""


class KeptResults:
    """The results in a folder, by the content of all they depend on."""

    def __init__(self, folder: Path, origin: Mapping[str, Any]) -> None:
        """Those of one origin.

        Args:
            folder: Of the export.
            origin: Weights, data, pictures for calibration, output and programs, as plain JSON values.
        """
        self._path, self._origin = folder / FILE, dict(origin)
        self._results = _read(self._path)

    def find(self, rung: Rung) -> RungResult | None:
        """What this very rung achieved, if it is known."""
        try:
            return RungResult.from_json(self._results[self._key(rung)])
        except (KeyError, TypeError, ValueError):
            return None

    def keep(self, rung: Rung, result: RungResult) -> None:
        """Writes a result down, whole.

        Raises:
            OutputError: the folder cannot be written.
        """
        self._results[self._key(rung)] = result.to_json()
        newest = dict(list(self._results.items())[-MOST:])
        write_file(self._path, format_json({"schema": 1, "results": newest}).encode())

    def _key(self, rung: Rung) -> str:
        value = {"rung": rung.to_json(), "origin": self._origin}
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """What is kept; nothing where there is no file, or one that cannot be read: it is only a saving of time."""
    try:
        results = json.loads(path.read_text("utf-8"))["results"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return results if isinstance(results, dict) else {}
