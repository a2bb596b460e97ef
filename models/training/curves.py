"""The course of a training as JSON and as a picture. Needs no TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.files import format_json, write_file

JSON_FILE, PNG_FILE = "curves.json", "curves.png"
SERIES = ("loss", "train_top1", "validation_top1", "learning_rate", "resolution_px", "seconds")


def curves_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of `trained.json`'s history, one list per figure, the same length each."""
    history = record["history"]
    return {
        "schema": 1,
        "model": record["model"],
        "dataset": record["dataset"]["name"],
        "recipe": record["settings"]["recipe"],
        "epoch": list(range(1, len(history) + 1)),
        **{name: [row[name] for row in history] for name in SERIES},
    }


def write_curves(folder: Path, record: Mapping[str, Any]) -> dict[str, str]:
    """Writes both files; returns their names.

    Raises:
        OutputError: the folder cannot be written.
    """
    from models.training.chart import draw_chart

    curves = curves_of(record)
    picture = io.BytesIO()
    draw_chart(curves).save(picture, "PNG", optimize=True)
    write_file(folder / JSON_FILE, format_json(curves).encode())
    write_file(folder / PNG_FILE, picture.getvalue())
    return {"json": JSON_FILE, "png": PNG_FILE}
