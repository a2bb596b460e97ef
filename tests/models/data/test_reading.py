"""Batches made ahead by threads: the same pictures as one by one, in order, in bounded memory, with errors told."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models.data.keeping
from models.data import Dataset, LazyPixels, Pixels, batches, lazy_pixels, load_digits, open_pixels, preprocess
from models.data.reading import BATCHES_AHEAD
from models.errors import DataError
from models.spec import MINUS_ONE_TO_ONE


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_digits()


def expected(digits: Dataset, indices: object, size_px: int = 12) -> Pixels:
    images = tuple(digits.images[int(i)] for i in np.asarray(indices))
    return preprocess(images, MINUS_ONE_TO_ONE, size_px)


def test_a_small_split_is_held_and_a_large_one_is_not(digits: Dataset) -> None:
    size = 180 * 12 * 12 * 3
    held = open_pixels(digits, "validation", MINUS_ONE_TO_ONE, 12, held_bytes=size)
    lazy = open_pixels(digits, "validation", MINUS_ONE_TO_ONE, 12, held_bytes=size - 1)
    assert isinstance(held, np.ndarray)
    assert isinstance(lazy, LazyPixels)
    assert (lazy.nbytes, len(lazy)) == (size, len(held)) == (held.nbytes, 180)
    assert np.array_equal(held, expected(digits, digits.splits["validation"]))
    assert np.array_equal(lazy[:], held)
    assert np.array_equal(lazy[np.array([3, 1, 3])], held[[3, 1, 3]])


@settings(deadline=None)
@given(st.lists(st.integers(0, 49), max_size=60), st.integers(1, 13))
def test_batches_are_the_same_pictures_in_the_same_order_whether_held_or_not(order: list[int], count: int) -> None:
    digits = load_digits_once()
    lazy = lazy_pixels(digits, np.arange(100, 150), MINUS_ONE_TO_ONE, 8)
    turns = np.array(order, dtype=np.int64)
    for pixels in (lazy, lazy[:]):
        made = list(batches(pixels, turns, count))
        assert [len(batch) for batch in made] == [min(count, len(order) - n) for n in range(0, len(order), count)]
        assert not order or np.array_equal(np.concatenate(made), expected(digits, 100 + turns, 8))


_once: list[Dataset] = []


def load_digits_once() -> Dataset:
    if not _once:
        _once.append(load_digits())
    return _once[0]


class Counted:
    """A thousand grey pictures that count how often they are read; one may be broken."""

    def __init__(self, broken: int = -1) -> None:
        self.reads, self.broken, self.lock = 0, broken, threading.Lock()

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> Pixels:
        with self.lock:
            self.reads += 1
        if index == self.broken:
            raise DataError(f"picture {index} changed")
        return np.full((4, 4, 3), index % 256, np.uint8)


def test_no_more_than_some_batches_are_made_ahead(digits: Dataset) -> None:
    images = Counted()
    lazy = lazy_pixels(replace(digits, images=images), np.arange(1000), MINUS_ONE_TO_ONE, 4)
    running = batches(lazy, np.arange(1000), 10)
    assert images.reads == 0
    first = next(running)
    assert images.reads <= (BATCHES_AHEAD + 1) * 10
    assert first[:, 0, 0, 0].tolist() == list(range(10))
    running.close()  # type: ignore[attr-defined]
    assert images.reads <= (BATCHES_AHEAD + 1) * 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


def test_a_large_split_is_prepared_in_the_first_epoch_and_read_from_the_disk_in_later_ones(digits: Dataset) -> None:
    images = Counted()
    split = replace(digits, images=images, splits={"train": np.arange(1000)})
    pixels = open_pixels(split, "train", MINUS_ONE_TO_ONE, 6, held_bytes=0)
    assert images.reads == 0
    orders = [np.random.default_rng(seed).permutation(1000) for seed in range(3)]
    epochs = [np.concatenate(list(batches(pixels, order, 64))) for order in orders]
    assert images.reads == 1000
    for order, made in zip(orders, epochs, strict=True):
        assert np.array_equal(made, preprocess([images[int(n)] for n in order], MINUS_ONE_TO_ONE, 6))


def test_without_room_on_the_disk_every_epoch_prepares_anew(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.data.keeping, "FREE_SHARE", 0.0)
    images = Counted()
    split = replace(digits, images=images, splits={"train": np.arange(1000)})
    pixels = open_pixels(split, "train", MINUS_ONE_TO_ONE, 6, held_bytes=0)
    first, second = (np.concatenate(list(batches(pixels, np.arange(1000), 64))) for _ in range(2))
    assert images.reads == 2000
    assert np.array_equal(first, second)


def test_a_picture_that_cannot_be_read_any_more_ends_the_reading_and_the_threads(digits: Dataset) -> None:
    lazy = lazy_pixels(replace(digits, images=Counted(broken=25)), np.arange(1000), MINUS_ONE_TO_ONE, 4)
    running = batches(lazy, np.arange(1000), 10)
    assert len(next(running)) == len(next(running)) == 10
    with pytest.raises(DataError, match=r"^picture 25 changed$"):
        next(running)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


def test_an_unknown_preprocessing_is_refused_before_a_picture_is_read(digits: Dataset) -> None:
    images = Counted()
    lazy = lazy_pixels(replace(digits, images=images), np.arange(5), replace(MINUS_ONE_TO_ONE, fit="zoom"), 4)
    with pytest.raises(DataError, match="cannot execute the preprocessing"):
        lazy[:]
    assert images.reads == 0
