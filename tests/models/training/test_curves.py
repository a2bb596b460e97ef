"""The course of a training as JSON, as a picture, and for TensorBoard."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.training.chart import COLOURS, draw_chart, even_ticks
from models.training.curves import curves_of, write_curves
from models.training.events import SCALARS, EventLog


def row(epoch: int, **changes: Any) -> dict[str, Any]:
    plain = {
        "resolution_px": 32,
        "epoch": epoch,
        "loss": 2.0 / epoch,
        "train_top1": 0.4,
        "validation_top1": 1 - 0.5**epoch,
        "learning_rate": 1e-3,
        "seconds": 1.0,
    }
    return plain | changes


def record(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": "tiny_1.0_16",
        "dataset": {"name": "digits"},
        "settings": {"recipe": "scratch"},
        "history": list(rows),
    }


def places(image: Image.Image, colour: str) -> Any:
    """Rows and columns of the pixels of about that colour; edges are mixed with the paper."""
    wanted = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)])
    return np.argwhere(np.abs(np.asarray(image).astype(int) - wanted).max(axis=2) < 40)


def test_the_files_hold_a_figure_per_epoch_and_a_picture(tmp_path: Path) -> None:
    made = record(row(1), row(2, resolution_px=64), row(3, resolution_px=64))
    assert write_curves(tmp_path, made) == {"json": "curves.json", "png": "curves.png"}
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert curves == curves_of(made)
    assert (curves["epoch"], curves["resolution_px"], curves["loss"]) == ([1, 2, 3], [32, 64, 64], [2.0, 1.0, 2 / 3])
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size[0] == 900
    assert (tmp_path / "curves.png").stat().st_size < 100_000


@pytest.mark.parametrize("colour", COLOURS)
def test_both_lines_are_drawn_over_the_whole_width(colour: str) -> None:
    columns = places(draw_chart(curves_of(record(*map(row, range(1, 9))))), colour)[:, 1]
    assert columns.min() < 150
    assert columns.max() > 800


def test_higher_values_stand_higher() -> None:
    def heights(top1: float) -> Any:
        rows = (row(n, train_top1=n / 10, validation_top1=top1) for n in range(1, 9))
        found = places(draw_chart(curves_of(record(*rows))), COLOURS[1])
        # Left of the name of the line.
        return found[found[:, 1] < 600][:, 0]

    assert np.median(heights(0.7)) < np.median(heights(0.2)) - 50


@pytest.mark.parametrize("count", [1, 2, 61, 500])
@pytest.mark.parametrize("loss", [0.0, 1.0, 1e30])
def test_any_course_can_be_drawn(count: int, loss: float) -> None:
    rows = [row(n, loss=loss, train_top1=1.0, validation_top1=1.0, learning_rate=0.0) for n in range(1, count + 1)]
    assert draw_chart(curves_of(record(*rows))).size[0] == 900


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_ticks_enclose_the_range_evenly_and_are_few(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ticks = even_ticks(low, high)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + 1e-6 * step
    assert ticks[-1] >= high - 1e-6 * step
    assert 2 <= len(ticks) <= 8
    assert np.diff(ticks) == pytest.approx([step] * (len(ticks) - 1), rel=1e-5)


def events(folder: Path) -> list[tuple[str, int, float]]:
    """All scalars in a folder, read as TensorBoard reads them."""
    found = []
    for path in sorted(folder.glob("events*")):
        for record_ in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record_.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found.append((value.tag, event.step, float(tf.make_ndarray(value.tensor))))
    return found


def test_tensorboard_gets_every_figure_of_every_epoch_once(tmp_path: Path) -> None:
    first = EventLog(tmp_path)
    for number in (1, 2):
        first.add(row(number))
    # Killed here. The next run gives the rows again, and goes on.
    again = EventLog(tmp_path)
    for number in (1, 2, 3):
        again.add(row(number))
    again.close()
    found = events(tmp_path)
    assert [(tag, step) for tag, step, _ in found] == [(tag, step) for step in (1, 2, 3) for tag in SCALARS]
    assert [value for tag, _, value in found if tag == "loss"] == pytest.approx([2.0, 1.0, 2 / 3])


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    log = EventLog(None)
    log.add(row(1))
    log.close()
    assert list(tmp_path.iterdir()) == []
