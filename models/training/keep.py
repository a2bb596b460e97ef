"""Where an unfinished training stands: one file, whole or not at all, that a further run goes on from."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.files import output_errors, replace_file

FOLDER = "training"
"""Inside the folder of the run; gone when the training is finished."""
FILE = "unfinished.zip"
SCHEMA = 1
_STATE = "state.json"
_PARTIAL = f".{FILE}.partial"

# What reading a file that is cut off, changed or of another kind raises.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, RecursionError)


@dataclass(slots=True, kw_only=True)
class Position:
    """How far a training is."""

    phase: int = 0
    """Number of the phase, from 0."""
    epochs: int = 0
    """Finished ones of that phase."""
    step: int = 0
    """Steps finished in the whole training."""
    seconds: float = 0.0
    """Spent so far, in all runs."""
    best_top1: float | None = None
    """On the validation split, in the last phase."""
    start_top1: float | None = None
    """On the validation split before the first step, where that counts."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """A row per finished epoch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unfinished:
    """A training between two epochs."""

    run: Mapping[str, Any]
    """What it is a training of: network, data, settings, versions. Only the same run goes on from it."""
    position: Position
    random: Mapping[str, Any]
    """State of NumPy's generator."""
    arrays: Mapping[str, NDArray[Any]]
    """All variables, and the best weights."""


def save_unfinished(folder: Path, unfinished: Unfinished) -> None:
    """Replaces what an earlier epoch left.

    Raises:
        OutputError: the folder cannot be written.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # One process at a time works in the folder of a run, so that the name can be fixed and is overwritten.
        partial = folder / _PARTIAL
        try:
            _write(partial, unfinished)
            replace_file(partial, folder / FILE)
        finally:
            # On a full disk it would take the room that the next attempt needs.
            partial.unlink(missing_ok=True)
            with suppress(OSError):
                # Not empty, unless this was the first.
                folder.rmdir()


def _write(path: Path, unfinished: Unfinished) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        state = {
            "schema": SCHEMA,
            "run": unfinished.run,
            "position": asdict(unfinished.position),
            "random": unfinished.random,
            "arrays": list(unfinished.arrays),
        }
        archive.writestr(_STATE, json.dumps(state))
        for number, array in enumerate(unfinished.arrays.values()):
            with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_position(folder: Path) -> tuple[Mapping[str, Any], Position] | None:
    """What is unfinished in a folder and how far it is; None where there is nothing that can be read."""
    try:
        with zipfile.ZipFile(folder / FILE) as archive:
            state = _read_state(archive)
            return state["run"], Position(**state["position"])
    except _DAMAGE:
        return None


def read_unfinished(folder: Path) -> bytes:
    """The file as it is; empty where there is none."""
    try:
        return (folder / FILE).read_bytes()
    except OSError:
        return b""


def load_unfinished(folder: Path) -> Unfinished | None:
    """What an earlier run left; None if it left nothing.

    Raises:
        ValueError: the file is damaged; says how.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            state = _read_state(archive)
            arrays = {
                name: np.lib.format.read_array(io.BytesIO(archive.read(f"{number}.npy")), allow_pickle=False)
                for number, name in enumerate(state["arrays"])
            }
        return Unfinished(
            run=state["run"], position=Position(**state["position"]), random=state["random"], arrays=arrays
        )
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged ({' '.join(str(error).split())[:120]})") from error


def _read_state(archive: zipfile.ZipFile) -> dict[str, Any]:
    state = json.loads(archive.read(_STATE))
    if state["schema"] != SCHEMA:
        raise ValueError(f"its schema is {state['schema']}, not {SCHEMA}")
    return dict(state)


def forget(folder: Path) -> None:
    """Removes what is unfinished.

    Raises:
        OutputError: the folder cannot be written.
    """
    with output_errors(folder):
        for name in (FILE, _PARTIAL):
            (folder / name).unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What is not the same in two runs, as `settings seed 0 is now 1`."""
    found = []
    for key in {**before, **now}:
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{prefix}{key} ")
        elif old != new:
            found.append(f"{prefix}{key} {_short(old)} is now {_short(new)}")
    return found


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else f"{text[:20]}..."
