"""Pictures as batches of raw network input: prepared by many threads, ahead of their use, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.data.dataset import Dataset, DecodedImages, Images, Pixels, Split
from models.data.keeping import KeptPictures, room_for
from models.data.preparing import check_preprocessing, least_side_px, prepare_picture
from models.spec import Preprocessing

HELD_BYTES = 512 * 2**20
"""A split that is smaller when prepared is held in memory; of a larger one the first epoch keeps a copy on the disk."""

BATCHES_AHEAD = 3
"""That are in the making while one is used: enough to keep all cores busy behind one slow picture."""

Indices = NDArray[np.int64]


def thread_count() -> int:
    """One per core this process may use. Pillow decodes and resizes outside of Python's lock."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LazyPixels:
    """Like an array, uint8 `[N, size_px, size_px, 3]`, whose pictures are read and prepared when they are taken."""

    images: Images
    indices: Indices
    """Numbers of the pictures in `images`, `[N]`."""
    preprocessing: Preprocessing
    size_px: int
    kept: KeptPictures | None = None
    """Where they are kept once they were made; None: they are made anew each time."""

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def nbytes(self) -> int:
        """Of all of it."""
        return len(self) * self.size_px * self.size_px * 3

    def __getitem__(self, which: slice | Indices) -> Pixels:
        """Those pictures, in that order.

        Raises:
            DataError: a picture can no longer be read.
        """
        chosen = np.arange(len(self))[which]
        return next(self.batches([chosen]))

    def batches(self, parts: Iterable[Indices]) -> Iterator[Pixels]:
        """A batch per part, in order, made by all cores while the ones before are used.

        Raises:
            DataError: a picture can no longer be read.
        """
        check_preprocessing(self.preprocessing)
        # Twice the cores, because files are waited for, and Python's lock is.
        pool = ThreadPoolExecutor(2 * thread_count(), thread_name_prefix="pictures")
        making: deque[tuple[Pixels, list[Future[None]]]] = deque()
        try:
            for part in parts:
                batch = np.empty((len(part), self.size_px, self.size_px, 3), np.uint8)
                making.append((batch, [pool.submit(self._fill, batch[n], int(i)) for n, i in enumerate(part)]))
                if len(making) > BATCHES_AHEAD:
                    yield _finished(*making.popleft())
            while making:
                yield _finished(*making.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _fill(self, row: Pixels, position: int) -> None:
        if self.kept is None:
            self._prepare(row, position)
        elif not self.kept.read(position, row):
            self._prepare(row, position)
            self.kept.keep(position, row)

    def _prepare(self, row: Pixels, position: int) -> None:
        images, index = self.images, int(self.indices[position])
        least_px = least_side_px(self.preprocessing, self.size_px)
        image = images.decoded(index, least_px) if isinstance(images, DecodedImages) else images[index]
        row[:] = prepare_picture(image, self.preprocessing, self.size_px)


def _finished(batch: Pixels, pictures: list[Future[None]]) -> Pixels:
    for picture in pictures:
        picture.result()
    return batch


def lazy_pixels(dataset: Dataset, indices: Indices, preprocessing: Preprocessing, size_px: int) -> LazyPixels:
    """Those pictures as raw network input, none of them read yet."""
    return LazyPixels(images=dataset.images, indices=indices, preprocessing=preprocessing, size_px=size_px)


def open_pixels(
    dataset: Dataset, split: Split, preprocessing: Preprocessing, size_px: int, *, held_bytes: int = HELD_BYTES
) -> Pixels | LazyPixels:
    """A split as raw network input: prepared now if it is small enough to be held, else when it is first needed.

    Raises:
        DataError: a picture can no longer be read, the preprocessing is not known.
    """
    lazy = lazy_pixels(dataset, dataset.splits[split], preprocessing, size_px)
    if lazy.nbytes <= held_bytes:
        return lazy[:]
    return replace(lazy, kept=room_for(len(lazy), size_px * size_px * 3))


def batches(pixels: Pixels | LazyPixels, order: Indices, count: int) -> Iterator[Pixels]:
    """The pictures in that order, `count` at a time; the last batch may be smaller.

    Raises:
        DataError: a picture can no longer be read.
    """
    return batches_of(pixels, [order[start : start + count] for start in range(0, len(order), count)])


def batches_of(pixels: Pixels | LazyPixels, parts: Sequence[Indices]) -> Iterator[Pixels]:
    """The pictures of each part in turn.

    Raises:
        DataError: a picture can no longer be read.
    """
    return (pixels[part] for part in parts) if isinstance(pixels, np.ndarray) else pixels.batches(parts)
