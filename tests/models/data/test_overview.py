"""`python -m models data`: counts, broken files and a contact sheet, for people and as JSON."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.cli import one_line
from models.data import load_dataset, load_digits
from models.data.folder import folder_slug
from models.data.sheet import CELL_PX, COLUMNS, GAP_PX, LABEL_PX, draw_sheet
from tests.models.data.pictures import blobs, make_folder, save

ROOT = Path(__file__).parents[3]


def show(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "models", "data", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    root = make_folder(tmp_path / "flowers", {"rose [red]": 20, "daisy\u00e9": 10})
    (root / "daisy\u00e9" / "notes\x1b[31m.txt").write_text("")
    (root / "README.txt").write_text("")
    return root


def test_a_folder_is_shown_with_its_classes_problems_and_sheet(flowers: Path, tmp_path: Path) -> None:
    done = show(flowers, "--allow-broken", "--build-dir", tmp_path / "build")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["daisy\u00e9", "7", "1", "2"] in rows
    assert ["rose", "[red]", "14", "2", "4"] in rows
    assert ["all", "2", "21", "3", "6"] in rows
    assert "broken: daisy\u00e9/notes [31m.txt: is empty" in done.stdout
    assert "left out: README.txt: lies in no class folder" in done.stdout
    sheet = tmp_path / "build" / "data" / f"{folder_slug(flowers)}.png"
    assert str(sheet) in done.stdout
    with Image.open(sheet) as image:
        assert image.size == (LABEL_PX + COLUMNS * (CELL_PX + GAP_PX) + GAP_PX, 2 * (CELL_PX + GAP_PX) + GAP_PX)


def test_a_folder_with_too_many_broken_files_is_listed_and_then_refused(flowers: Path, tmp_path: Path) -> None:
    done = show(flowers, "--json", "--build-dir", tmp_path / "build")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: 1 of 31 files in {flowers} are no usable pictures")
    overview = json.loads(done.stdout)
    assert overview["schema"] == 1
    assert overview["broken"] == [{"path": "daisy\u00e9/notes\x1b[31m.txt", "reason": "is empty"}]
    assert overview["classes"][1] == {"label": "rose [red]", "train": 20, "validation": 0, "test": 0}
    assert one_line(overview["failure"]) == done.stderr.splitlines()[-1].removeprefix("error: ")
    assert (overview["sheet"], overview["sha256"]) == (None, None)
    assert not (tmp_path / "build").exists()


def test_duplicates_and_leaks_are_told(tmp_path: Path) -> None:
    make_folder(tmp_path / "leaky" / "train", {"a": 10, "b": 10})
    make_folder(tmp_path / "leaky" / "val", {"a": 3, "b": 3}, start=30)
    make_folder(tmp_path / "leaky" / "test", {"a": 3, "b": 3}, start=8)
    words = (tmp_path / "leaky", "--sheet", tmp_path / "sheet.png")
    overview = json.loads(show(*words, "--json").stdout)
    assert (overview["duplicates"], overview["leaks"]) == (6, 6)
    assert "6 test pictures equal or nearly equal one trained on" in show(*words).stdout
    assert (tmp_path / "sheet.png").is_file()


@pytest.mark.parametrize("name", ["missing", "./missing", "shapes:size=1"])
def test_what_is_no_data_set_is_one_line_and_exit_code_2(name: str) -> None:
    done = show(name)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_the_sheet_shows_pictures_of_the_class_of_their_row() -> None:
    digits = load_digits()
    sheet = np.asarray(draw_sheet(digits))
    step = CELL_PX + GAP_PX
    for label in range(10):
        cell = sheet[GAP_PX + label * step :, LABEL_PX:][:CELL_PX, :CELL_PX]
        own = np.flatnonzero(digits.classes == label).tolist()
        large = [np.asarray(Image.fromarray(digits.images[i]).resize((CELL_PX, CELL_PX), 3)) for i in own]
        assert any(np.array_equal(cell, picture) for picture in large)


def test_pictures_are_whole_and_undistorted_in_the_sheet(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "wide", {"a": 10, "b" * 40: 10})
    for number, path in enumerate(sorted(root.glob("a/*"))):
        save(path, blobs(number, width=192, height=48))
    sheet = np.asarray(draw_sheet(load_dataset(str(root))))
    cell = sheet[GAP_PX:, LABEL_PX:][:CELL_PX, :CELL_PX]
    inked = (cell != 255).any(axis=(1, 2))
    assert 22 <= inked.sum() <= 26
    assert (cell[inked] != 255).any(axis=(0, 2)).all()
