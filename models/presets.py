"""Preprocessings by name, for networks that the zoo does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from models.errors import UnknownNameError, UsageError
from models.spec import MINUS_ONE_TO_ONE, Preprocessing

PRESETS: Mapping[str, Preprocessing] = MappingProxyType(
    {
        "minus-one-to-one": MINUS_ONE_TO_ONE,
        "zero-to-one": Preprocessing(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
        # The network rescales by itself, as keras.applications' V3 does.
        "bytes": Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        # 255 times (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), as torchvision's networks were trained.
        "imagenet": Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
    }
)
MAX_FILE_BYTES = 10_000


def parse_preprocessing(text: str) -> Preprocessing:
    """The preprocessing a word of the command line stands for: a preset, or the path of a JSON file.

    The file holds what `Preprocessing.to_json` gives: `mean` and `std` in grey levels, three numbers each, and if they
    differ from the defaults `channel_order`, `resize`, `fit` and `crop_share`.

    Raises:
        UsageError: neither; or the file does not hold that.
        DataError: it asks for a filter, fit or order of channels that does not exist.
    """
    if text in PRESETS:
        return PRESETS[text]
    if not text.endswith(".json"):
        raise UnknownNameError("preprocessing", text, PRESETS, see="or give the path of a .json file")
    try:
        with Path(text).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise UsageError(f"preprocessing {text} is larger than {MAX_FILE_BYTES} bytes; it needs mean and std only")
        return checked_preprocessing(json.loads(content))
    except OSError as error:
        raise UsageError(f"preprocessing {text} cannot be read: {error.strerror}; give {_choices()}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(
            f"preprocessing {text} is not understood ({error}); write "
            '{"mean": [127.5, 127.5, 127.5], "std": [127.5, 127.5, 127.5]}, in grey levels 0..255'
        ) from error


def checked_preprocessing(value: Any) -> Preprocessing:
    """The preprocessing that a JSON value of unknown origin states.

    Raises:
        KeyError, TypeError, ValueError: it states none.
        DataError: it asks for a filter, fit or order of channels that does not exist.
    """
    if not isinstance(value, dict):
        raise TypeError("no JSON object")
    for name in ("mean", "std"):
        numbers = value[name]
        # NaN compares with nothing, so that it fails here too.
        fits = isinstance(numbers, list | tuple) and len(numbers) == 3
        if not fits or not all(type(n) in (int, float) and -1e6 < n < 1e6 for n in numbers):
            raise ValueError(f"{name} is not three numbers")
    if not all(n > 0 for n in value["std"]):
        raise ValueError("std must be above 0")
    # Here, because it knows the filters by Pillow, which takes a moment.
    from models.data.preparing import check_preprocessing

    made = Preprocessing.from_json({**value, **{name: [float(n) for n in value[name]] for name in ("mean", "std")}})
    check_preprocessing(made)
    return made


def _choices() -> str:
    return f"{', '.join(PRESETS)}, or the path of a .json file"
