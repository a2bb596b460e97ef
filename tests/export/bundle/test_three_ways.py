"""The manifest's preprocessing by independent implementations: ours, the Python snippet and MediaPipe.

The JavaScript one is in `test_in_chromium.py`, what may differ in `levels.py`; `docs/preprocessing.md` explains it.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from export.bundle.snippets import render_snippets
from export.contents import read_contents
from export.mediapipe_task import check_mediapipe, image_classifier
from export.precision import PRECISIONS
from export.verify import load_tflite, to_input, to_probabilities
from models.data import Pixels, prepare_picture
from models.data.decode import read_picture
from models.errors import NotInstalledError
from models.spec import Preprocessing
from models.worker import Report, run_in_worker
from tests.export.bundle.contracts import make_contract
from tests.export.bundle.levels import LEVELS
from tests.export.bundle.pictures import PICTURES, write_digits, write_picture
from tests.export.bundle.test_snippets import load
from tests.export.probe import make_probe

SIDE_PX = 128
CONTRACT = make_contract(side_px=SIDE_PX)


def prepared(path: Path) -> Pixels:
    """Our way, from file to network input."""
    return prepare_picture(read_picture(path), CONTRACT.preprocessing, SIDE_PX)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [write_picture(folder, name) for name in PICTURES]


def faults(way: str, files: Sequence[Path], theirs: Sequence[NDArray[Any]]) -> list[str]:
    checked = (LEVELS[way].fault(path.name, pixels, prepared(path)) for path, pixels in zip(files, theirs, strict=True))
    return [fault for fault in checked if fault is not None]


def test_the_python_snippet_is_as_ours(files: list[Path]) -> None:
    names = load(render_snippets(CONTRACT)["python/classify.py"])
    load_picture, prepare = names["load_picture"], names["to_input"]
    assert callable(load_picture)
    assert callable(prepare)
    assert faults("python", files, [prepare(load_picture(path))[0] for path in files]) == []


# MediaPipe


@pytest.fixture(scope="module")
def _mediapipe() -> None:
    try:
        run_in_worker(check_mediapipe)
    except NotInstalledError as error:
        pytest.skip(str(error))


def answers(_: Report, model: Path, classes: int, pictures: list[Pixels]) -> list[NDArray[np.float64]]:
    """MediaPipe's scores of pictures of any size; in a worker."""
    with image_classifier(model, classes) as classify:
        return [classify(picture) for picture in pictures]


def fed_by_mediapipe(pictures: list[Pixels], tmp_path: Path) -> list[NDArray[np.float64]]:
    """What it makes of upright opaque RGB pictures, in grey levels."""
    (tmp_path / "probe.tflite").write_bytes(make_probe("uint8", SIDE_PX))
    scores = run_in_worker(answers, tmp_path / "probe.tflite", 3 * SIDE_PX**2, pictures)
    return [one.reshape(SIDE_PX, SIDE_PX, 3) * 255 for one in scores]


def halved(picture: Pixels) -> Pixels:
    """At the network's size by bilinear steps of one half at most, as an app does it: four pixels, no average."""
    made = Image.fromarray(picture)
    while made.size != (SIDE_PX, SIDE_PX):
        width, height = (max(SIDE_PX, length // 2) if length >= 2 * SIDE_PX else SIDE_PX for length in made.size)
        shares = (made.width / width, 0, 0, 0, made.height / height, 0)
        made = made.transform((width, height), Image.Transform.AFFINE, shares, Image.Resampling.BILINEAR)
    return np.asarray(made)


WAYS: dict[str, Callable[[Pixels], Pixels]] = {
    "mediapipe": lambda picture: picture,
    "mediapipe after halving": halved,
}


@pytest.mark.usefixtures("_mediapipe")
@pytest.mark.parametrize("way", WAYS)
def test_mediapipe_is_as_near_as_the_documentation_says(way: str, files: list[Path], tmp_path: Path) -> None:
    fed = fed_by_mediapipe([WAYS[way](read_picture(path)) for path in files], tmp_path)
    assert faults(way, files, fed) == []


@pytest.mark.usefixtures("_mediapipe")
@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_mediapipe_and_we_name_the_same_class_of_golden_pictures_in_other_files(
    precision: str, bundle: Path, tmp_path: Path
) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    model = next(bundle / m["file"] for m in manifest["models"] if m["precision"] == precision)
    files = [p for golden in sorted((bundle / "golden/images").iterdir()) for p in write_digits(golden, tmp_path)]
    preprocessing = Preprocessing(mean=(127.5,) * 3, std=(127.5,) * 3)
    contents, predict = (
        read_contents(model.read_bytes(), PRECISIONS["tflite", precision]),
        load_tflite(model, builtin_only=False),
    )
    pixels = [prepare_picture(read_picture(path), preprocessing, SIDE_PX)[None] for path in files]
    ours = [to_probabilities(predict(to_input(p, contents.input, preprocessing)), contents.output)[0] for p in pixels]
    theirs = run_in_worker(answers, model, 10, [read_picture(path) for path in files])
    other = [p.name for p, a, b in zip(files, ours, theirs, strict=True) if a.argmax() != b.argmax()]
    # None on the machine this was written on: MediaPipe's aliasing may cost a near miss, no more.
    assert len(files) == 50
    assert len(other) <= 2, other


# What the levels are worth


WRONG: dict[str, Callable[[Path], Pixels]] = {
    "channels in the wrong order": lambda path: prepared(path)[:, :, ::-1],
    "cropped": lambda path: prepare_picture(
        read_picture(path), Preprocessing(mean=(0,) * 3, std=(1,) * 3, fit="crop"), SIDE_PX
    ),
    "black bars": lambda path: prepare_picture(
        read_picture(path), Preprocessing(mean=(0,) * 3, std=(1,) * 3, fit="pad"), SIDE_PX
    ),
    "inverted": lambda path: 255 - prepared(path),
    "mirrored": lambda path: prepared(path)[:, ::-1],
}


@pytest.mark.parametrize("way", LEVELS)
@pytest.mark.parametrize("mistake", WRONG)
def test_the_levels_catch_what_goes_wrong_in_apps(mistake: str, way: str, files: list[Path]) -> None:
    path = next(path for path in files if path.name == "odd.png")
    assert faults(way, [path], [WRONG[mistake](path)]) != []


def _as_if_held_otherwise(path: Path) -> Pixels:
    with Image.open(path) as file:
        return prepare_picture(file.convert("RGB"), CONTRACT.preprocessing, SIDE_PX)


def _over_black(path: Path) -> Pixels:
    with Image.open(path) as file:
        layer = ImageOps.exif_transpose(file).convert("RGBA")
    black = Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer).convert("RGB")
    return prepare_picture(black, CONTRACT.preprocessing, SIDE_PX)


@pytest.mark.parametrize("way", LEVELS)
@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("turned.jpg", _as_if_held_otherwise),
        ("mirrored.jpg", _as_if_held_otherwise),
        ("upside-down.png", _as_if_held_otherwise),
        ("transparent.png", _as_if_held_otherwise),
        ("transparent.png", _over_black),
        ("cut-out.png", _as_if_held_otherwise),
        ("grey-alpha.png", _over_black),
    ],
)
def test_the_levels_catch_an_ignored_rotation_and_transparency(
    name: str, mistake: Callable[[Path], Pixels], way: str, files: list[Path]
) -> None:
    path = next(path for path in files if path.name == name)
    assert faults(way, [path], [mistake(path)]) != []
