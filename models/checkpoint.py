"""Trained weights on disk: `trained.keras` with `trained.json` beside it. No Keras here; `models.build` loads them."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import WeightsError
from models.files import format_json, output_errors, replace_file, sha256_file, write_file

KERAS_FILE = "trained.keras"
JSON_FILE = "trained.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """Weights and what is known of them."""

    model: str
    """Name in the zoo."""
    source: str
    """Data set name, `random`, `imagenet`, or the stem of a checkpoint given by path."""
    path: Path
    sha256: str
    """Of the `.keras` file."""
    seed: int | None
    """Of the training run; None if unknown."""
    record: dict[str, Any]
    """All of `trained.json`; empty for a checkpoint given without one."""


def run_folder(build_dir: Path, model: str, source: str) -> Path:
    """The folder of everything made from one network with one set of weights."""
    return build_dir / f"{model}-{source}"


def save_trained(made: Path, folder: Path, record: dict[str, Any], beside: Sequence[Path] = ()) -> TrainedModel:
    """Publishes a finished checkpoint and the files beside it: the record that vouches for the weights comes last.

    Raises:
        OutputError: the folder cannot be written.
    """
    digest = sha256_file(made)
    record = {"schema": SCHEMA, **record, "weights": {"file": KERAS_FILE, "sha256": digest}}
    with output_errors(folder):
        # Between the two renames there is a checkpoint without a record, which counts as none.
        (folder / JSON_FILE).unlink(missing_ok=True)
        for path in beside:
            replace_file(path, folder / path.name)
        replace_file(made, folder / KERAS_FILE)
    write_file(folder / JSON_FILE, format_json(record).encode())
    return _trained(folder, record, digest)


def make_reproducible(path: Path) -> None:
    """Writes a `.keras` archive anew without the time of day and the memory addresses that Keras puts into it.

    Equal weights then give equal bytes.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    members["metadata.json"] = json.dumps({**json.loads(members["metadata.json"]), "date_saved": ""}).encode()
    numbers: dict[bytes, int] = {}
    members["config.json"] = re.sub(
        rb'("shared_object_id": )(\d+)',
        lambda match: match[1] + str(numbers.setdefault(match[2], len(numbers) + 1)).encode(),
        members["config.json"],
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def load_trained(folder: Path) -> TrainedModel | None:
    """The finished training run in `folder`; None when there is none.

    Raises:
        WeightsError: the record cannot be read, or the weights are not those it vouches for.
    """
    path, record_path = folder / KERAS_FILE, folder / JSON_FILE
    if not (path.is_file() and record_path.is_file()):
        return None
    remedy = f"delete {folder} to train again, or name another checkpoint with --weights"
    try:
        record = json.loads(record_path.read_text("utf-8"))
        expected = str(record["weights"]["sha256"])
        trained = _trained(folder, record, expected)
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{record_path} cannot be read ({error!r}); {remedy}") from error
    digest = sha256_file(path)
    if digest != expected:
        raise WeightsError(
            f"{path} was changed or damaged since training: its sha256 is {digest[:12]}…, {record_path.name} says "
            f"{expected[:12]}…; {remedy}"
        )
    return trained


def check_keras_file(path: Path, *, otherwise: str = "auto, random or imagenet") -> None:
    """Refuses what cannot be a checkpoint, before anything heavy is started.

    Args:
        path: The file.
        otherwise: What could have been meant instead.

    Raises:
        WeightsError: the file is missing or is not a whole `.keras` archive.
    """
    try:
        exists, is_zip = path.is_file(), path.is_file() and zipfile.is_zipfile(path)
    except OSError as error:
        raise WeightsError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    if not exists:
        raise WeightsError(f"checkpoint {path} does not exist; give the path of a .keras file, or {otherwise}")
    if not path.stem.isprintable() or "\N{REPLACEMENT CHARACTER}" in path.stem:
        raise WeightsError(
            f"checkpoint {str(path)!r}: results go to a folder of its name, which is not printable; rename it"
        )
    if not is_zip:
        raise WeightsError(f"checkpoint {path} is damaged or not a .keras file (it is no zip archive); save it again")
    with zipfile.ZipFile(path) as archive:
        missing = sorted({"config.json", "model.weights.h5"} - set(archive.namelist()))
    if missing:
        raise WeightsError(
            f"checkpoint {path} is no .keras file: {' and '.join(missing)} missing in it; save it with Keras 3"
        )


def _trained(folder: Path, record: dict[str, Any], digest: str) -> TrainedModel:
    return TrainedModel(
        model=record["model"],
        source=_source(record),
        path=folder / KERAS_FILE,
        sha256=digest,
        seed=record["settings"]["seed"],
        record=record,
    )


def _source(record: dict[str, Any]) -> str:
    if not record["settings"]["phases"] and "origin" not in record:
        return "random"
    return f"{record['dataset']['name']}{'-qat' if 'quantization' in record else ''}"
