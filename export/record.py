"""What a manifest has on record, checked before it is relied on: files of an export pass through many hands."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from export.artifact import MANIFEST_FILE, Artifact, Manifest
from export.contents import read_contents
from export.precision import PRECISIONS
from export.quantization.decision import RECORD, recorded_decision
from export.quantization.settings import NAIVE, QuantizationSettings
from models.errors import BrokenFileError, DataError, UsageError
from models.presets import checked_preprocessing
from models.spec import Preprocessing

AGAIN = "make the folder again with `make export`"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a value must be, in words too."""

    words: str
    fits: Callable[[Any], bool]


_TEXT = _Kind("a text", lambda value: isinstance(value, str) and bool(value))
# A bool is an int in Python, but no number in JSON.
_COUNT = _Kind("a whole number from 1 up", lambda value: type(value) is int and value > 0)
_SEED = _Kind("a whole number from 0 up", lambda value: type(value) is int and value >= 0)

_KINDS = (
    ("model", "name", _TEXT),
    ("weights", "source", _TEXT),
    ("weights", "dataset", _TEXT),
    ("weights", "dataset_sha256", _TEXT),
    ("labels", "count", _COUNT),
    ("calibration", "images", _COUNT),
    ("calibration", "seed", _SEED),
    ("calibration", "sha256", _TEXT),
)


def check_manifest(manifest: Manifest, folder: Path) -> None:
    """Returns if everything that pictures and files are found by is of its kind.

    Args:
        manifest: Of the export.
        folder: Where it stands.

    Raises:
        BrokenFileError: the manifest says something that no export writes.
    """
    for part, key, kind in _KINDS:
        value = getattr(manifest, part).get(key)
        if not kind.fits(value):
            raise BrokenFileError(
                f"{folder / MANIFEST_FILE}: {part}.{key} is {reprlib.repr(value)}, allowed is {kind.words}; {AGAIN}"
            )
    manifest_preprocessing(manifest)
    calibration_settings(manifest)


def manifest_preprocessing(manifest: Manifest) -> Preprocessing:
    """What the files take.

    Raises:
        BrokenFileError: the manifest states no preprocessing that can be.
    """
    names = Preprocessing.__slots__
    try:
        return checked_preprocessing({key: value for key, value in manifest.preprocessing.items() if key in names})
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise BrokenFileError(f"the manifest's preprocessing is not understood ({error}); {AGAIN}") from error


def calibration_settings(manifest: Manifest) -> QuantizationSettings:
    """The levers that the 8-bit files were made with.

    Raises:
        BrokenFileError: a value that no setting has, or a decision on equalization that none makes.
    """
    # Before there were other methods, none was recorded.
    if "ranges" not in manifest.calibration:
        return NAIVE
    try:
        settings = QuantizationSettings.from_json(manifest.calibration)
        recorded_decision(manifest.calibration)
    except UsageError as error:
        raise BrokenFileError(str(error)) from error
    except ValueError as error:
        raise BrokenFileError(
            f"calibration.{RECORD} is what no export writes ({reprlib.repr(str(error))}); {AGAIN}"
        ) from error
    return settings


def as_stored(artifact: Artifact, folder: Path) -> Artifact:
    """The record of a file with the input and output that the file itself states.

    Raises:
        BrokenFileError: it cannot be read, or takes no picture.
    """
    path = folder / artifact.file
    try:
        contents = read_contents(path.read_bytes(), PRECISIONS[artifact.format, artifact.precision])
    except OSError as error:
        raise BrokenFileError(f"{path} cannot be read: {error.strerror}; {AGAIN}") from error
    except Exception as error:
        raise BrokenFileError(f"{path} is no file that can be read ({reprlib.repr(str(error))}); {AGAIN}") from error
    if len(contents.input.shape) != 4 or not contents.output.shape:
        raise BrokenFileError(
            f"{path} takes {contents.input.shape} and gives {contents.output.shape}, allowed are a picture "
            f"[1, height, width, 3] and a score per class; {AGAIN}"
        )
    return replace(artifact, input=contents.input, output=contents.output)
