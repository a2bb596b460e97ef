"""Golden pictures: each class once if that can be, only what all files get right, an error if that is too little."""

import json
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.bundle import golden
from export.bundle.golden import LEAST, MAX_TRIED, MOST, Golden, Subject, golden_stage
from models.data import Dataset
from models.errors import DataError, VerificationError
from tests.export.bundle.contracts import make_contract
from tests.export.conftest import silent

Judge = Callable[[NDArray[np.uint8]], int]
SIDE = 24


def make_data(classes: int, per_class: int) -> Dataset:
    """Pictures of one grey level each, by which a stub knows their class."""
    numbers = np.repeat(np.arange(classes), per_class)
    images = tuple(np.full((40 + n % 5, 50, 3), number, np.uint8) for n, number in enumerate(numbers))
    everything = np.arange(len(images))
    splits = {"train": everything[:0], "validation": everything[:0], "test": everything}
    return Dataset(
        name="levels", source="grey levels", labels=tuple(f"level {n}" for n in range(classes)), images=images,
        classes=numbers.astype(np.int64), splits=MappingProxyType(splits),  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Golden]:
    """Runs the stage on a network that says of a picture what `judge` says, as sure of it as asked for."""

    def run(data: Dataset, judge: Judge, *, sure: float = 0.9, **changes: Any) -> Golden:
        count = len(data.labels)
        contract = make_contract("float32", side_px=SIDE, classes=count, precision="float32")

        def predict(image: NDArray[np.float32]) -> NDArray[np.float32]:
            pixels = np.round(image * 127.5 + 127.5).astype(np.uint8)
            scores = np.full((1, count), (1 - sure) / (count - 1), np.float32)
            scores[0, judge(pixels)] = sure
            return scores

        monkeypatch.setattr(golden, "load_dataset", lambda *_: data)
        monkeypatch.setattr(golden, "load_tflite", lambda *_, **__: predict)
        subject = Subject(path=Path("unused"), contract=contract)
        value = {"digest": data.digest, "names": data.labels} | changes
        return golden_stage(silent, "levels", value["digest"], value["names"], (subject,), tmp_path)

    return run


def right(pixels: NDArray[np.uint8]) -> int:
    return int(pixels[0, 0, 0, 0])


@pytest.mark.parametrize(("classes", "count"), [(2, LEAST), (7, LEAST), (10, 10), (16, MOST), (100, MOST)])
def test_there_is_a_picture_of_each_class_as_far_as_that_goes(
    classes: int, count: int, make: Callable[..., Golden]
) -> None:
    made = make(make_data(classes, 3), right)
    shown = [image["class_index"] for image in made.images]
    assert len(shown) == count
    assert len(set(shown)) == min(classes, count)
    # Of many, the first and the last are among them.
    assert {0, classes - 1} <= set(shown)


def test_a_class_that_is_hard_to_get_right_is_waited_for(make: Callable[..., Golden]) -> None:
    seen: list[int] = []

    def hard(pixels: NDArray[np.uint8]) -> int:
        seen.append(right(pixels))
        return 0 if seen[-1] == 3 and seen.count(3) < 4 else seen[-1]

    shown = [image["class_index"] for image in make(make_data(10, 6), hard).images]
    assert sorted(shown) == list(range(10))


def test_the_same_picture_serves_again_at_another_size_if_there_are_few(make: Callable[..., Golden]) -> None:
    images = make(make_data(2, 1), right).images
    assert len(images) == LEAST
    assert len({(image["width_px"], image["height_px"]) for image in images}) == LEAST
    assert all(image["width_px"] % 2 == image["height_px"] % 2 == 1 for image in images)


def test_pictures_that_a_network_is_sure_of_come_first(make: Callable[..., Golden]) -> None:
    assert len(make(make_data(10, 3), right, sure=0.9).images) == 10
    # Sure of nothing: what it gets right by a little is better than none.
    assert len(make(make_data(10, 3), right, sure=0.1005).images) == 10


def test_a_network_that_gets_nothing_right_cannot_be_bundled(make: Callable[..., Golden]) -> None:
    with pytest.raises(VerificationError, match=f"float32 get only 0 of {MAX_TRIED} test pictures right") as caught:
        make(make_data(3, 200), lambda pixels: (right(pixels) + 1) % 3)
    assert "at least 8 are needed to prove a bundle; train longer, or choose other precisions" in str(caught.value)


def test_names_out_of_order_and_other_pictures_are_refused(make: Callable[..., Golden]) -> None:
    data = make_data(4, 3)
    with pytest.raises(DataError, match="the class names are out of order: name 1 is 'level 3'"):
        make(data, right, names=data.labels[::-1])
    with pytest.raises(DataError, match=r"are not those that the files were verified on \(sha256 .*; export again"):
        make(data, right, digest="0" * 64)


def test_translated_names_stand_beside_the_pictures(make: Callable[..., Golden], tmp_path: Path) -> None:
    data = make_data(4, 3)
    made = make(data, right, names=("null", "eins", "zwei", "drei"))
    assert {(image["class_index"], image["label"]) for image in made.images} == {
        (0, "null"), (1, "eins"), (2, "zwei"), (3, "drei"),
    }  # fmt: skip
    json.dumps(made.vectors)
    top = made.vectors["float32"][0]["top5"]
    assert [row["index"] for row in top] == [made.images[0]["class_index"], *sorted({0, 1, 2, 3} - {top[0]["index"]})]
    tensor = np.load(tmp_path / made.vectors["float32"][0]["input"], allow_pickle=False)
    assert (tensor.dtype, tensor.shape) == (np.float32, (1, SIDE, SIDE, 3))
