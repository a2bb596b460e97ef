"""A folder of pictures goes through train, export and the benchmark's picture loading, by the README's commands."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device_bench.measuring.artifacts import exported_folder, find_exported, load_pictures
from export.precision import PRECISIONS
from models.data import load_dataset, preprocess
from models.data.folder import folder_slug
from models.errors import DataError
from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Preprocessing, Stage
from models.worker import Progress

ROOT = Path(__file__).parents[2]

# Adds a row to the zoo, as a new variant would be, and starts a command line.
WITH_A_TINY_ROW = """
import runpy, sys
from models import zoo
from tests.export.test_folder import TINY
zoo.MODELS[TINY.name] = TINY
if __name__ == "__main__":
    runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""

TINY = ModelSpec(
    name="tiny_1.0_32",
    family="tiny",
    width=1.0,
    resolution_px=32,
    stages=(
        Stage(block="conv", channels=16, stride=2),
        Stage(block="inverted_residual", channels=16, stride=2, expansion=2),
        Stage(block="conv", channels=32, kernel=1),
    ),
    preprocessing=MINUS_ONE_TO_ONE,
    dropout=0.0,
)


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reddish, greenish and bluish pictures, in many forms."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "my pictures é"
    rng = np.random.default_rng(0)
    turned = Image.Exif()
    turned[0x0112] = 6
    for channel, label in enumerate(("rot", "grün", "blau")):
        (root / label).mkdir(parents=True)
        for number in range(60):
            coarse = rng.integers(0, 120, (6, 8, 3))
            coarse[..., channel] += 120
            image = Image.fromarray(coarse.astype(np.uint8)).resize((80, 60), 3)
            path = root / label / f"{number} 'x'"
            match number % 4:
                case 0:
                    image.save(f"{path}.jpg", quality=90, exif=turned)
                case 1:
                    image.convert("RGBA").save(f"{path}.png")
                case 2:
                    image.save(f"{path}.webp")
                case 3:
                    image.save(f"{path}.bmp")
    return root


def run(tmp_path: Path, *words: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITH_A_TINY_ROW, *words, "--build-dir", tmp_path / "build", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_folder_goes_through_train_export_and_verify(folder: Path, tmp_path: Path) -> None:
    (folder / "rot" / "notes.txt").write_text("no picture")
    (folder / "rot" / "more.txt").write_text("no picture")
    words = ("--model", TINY.name, "--dataset", folder, "--allow-broken")
    trained = json.loads(run(tmp_path, "models", "train", *words, "--epochs", "15", "--fit", "crop"))
    assert trained["dataset"]["name"] == folder_slug(folder)
    assert trained["preprocessing"]["fit"] == "crop"
    assert trained["accuracy"]["test_top1"] > 0.8

    manifest = json.loads(run(tmp_path, "export", "run", *words))
    assert manifest["calibration"]["images"] == min(128, trained["dataset"]["images"]["train"])
    made = tmp_path / "build" / f"{TINY.name}-{folder_slug(folder)}"
    assert (made / "labels.txt").read_text("utf-8") == "blau\ngrün\nrot\n"
    assert manifest["weights"]["sha256"] == trained["weights"]["sha256"]
    assert manifest["weights"]["top1"] == trained["accuracy"]["test_top1"]
    # What was trained with decides how pictures are calibrated and verified with, not the row of the zoo.
    assert manifest["preprocessing"]["fit"] == "crop"
    assert len(manifest["artifacts"]) == len([row for row in PRECISIONS.values() if row.name != "int16x8"])
    assert all(artifact["verification"]["passed"] for artifact in manifest["artifacts"])
    assert str(folder) not in json.dumps(manifest), "no path of this machine goes with the files"

    # The benchmark takes the same pictures, and only from the same folder.
    text = f"allow-broken:{folder}"
    exported = find_exported(exported_folder(tmp_path / "build", TINY.name, "auto", text), "auto", text, ())
    assert exported is not None
    pictures = load_pictures(exported, TINY_AS_TRAINED, text, 20, ignore)
    data = load_dataset(text)
    chosen = np.random.default_rng(0).permutation(data.splits["test"])[:20]
    expected = preprocess([data.images[int(i)] for i in chosen], TINY_AS_TRAINED.preprocessing, 32)
    assert exported.preprocessing == TINY_AS_TRAINED.preprocessing
    assert np.array_equal(pictures.pixels, expected)
    with pytest.raises(DataError, match=r"were exported with data set .*; give it with --dataset$"):
        load_pictures(exported, TINY_AS_TRAINED, "digits", 20, ignore)
    (folder / "blau" / "0 'x'.jpg").unlink()
    with pytest.raises(DataError, match="is not what it was when"):
        load_pictures(exported, TINY_AS_TRAINED, text, 20, ignore)


TINY_AS_TRAINED = ModelSpec(
    name=TINY.name,
    family=TINY.family,
    width=TINY.width,
    resolution_px=TINY.resolution_px,
    stages=TINY.stages,
    preprocessing=Preprocessing(mean=(127.5,) * 3, std=(127.5,) * 3, fit="crop"),
    dropout=TINY.dropout,
)
