"""Pictures per second as training reads them, beside Keras' readers on the same folder, epoch by epoch in turn.

    .venv/bin/python -m benchmarks.data_throughput [DIR] [--size 224] [--rounds 5] [--images 600] [--width 500]

All read every picture of a folder as float32 batches of 32. Without DIR, JPEG files of blurred noise are made, by
default of the size of ImageNet's photographs. The files lie in the system's page cache: what is timed is computing.

- `ours examine`: what comes once, before the first training on a folder: damage, duplicates, hashes.
- `ours first`: the first epoch over a split too large for memory: decoded, shrunk with antialiasing, kept on the disk.
- `ours later`: the epochs after it, read from there. `ours held`: from memory, for a split of up to `HELD_BYTES`.
- `keras`: every epoch of `keras.utils.image_dataset_from_directory`, which shrinks without antialiasing.
- `keras cached`: its epochs after the first with `.cache()`, float32 in memory.
- `antialiased`: every epoch of the same tf.data steps with `tf.image.resize(antialias=True)`: like for like.

Wall-clock rates on a machine that does other work mean little; ratios are made within a round, where ways alternate.
Processor time per picture hardly depends on other work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from models.data.dataset import Pixels
from models.data.folder import FolderImages
from models.data.keeping import room_for
from models.data.preparing import normalise
from models.data.reading import LazyPixels, batches, thread_count
from models.data.scan import scan_files
from models.data.tree import list_tree
from models.errors import OutputError
from models.spec import MINUS_ONE_TO_ONE

BATCH = 32
EPOCHS = 10
"""Of the training whose reading the last lines compare."""

Epoch = Callable[[], int]
"""Reads all pictures and returns how many."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a picture, in one epoch."""

    wall_s: float
    processor_s: float


def make_photographs(root: Path, count: int, width: int) -> None:
    """JPEG files, four wide by three high, in two classes."""
    height = width * 3 // 4
    rng = np.random.default_rng(0)
    for number in range(count):
        noise = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((width, height), 3)
        picture = Image.blend(coarse, noise.filter(ImageFilter.GaussianBlur(1.5)), 0.5)
        path = root / f"class {number % 2}" / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        picture.save(path, quality=95)


def our_ways(root: Path, size_px: int) -> dict[str, Epoch]:
    """Epochs as `models.train` reads them."""
    images = FolderImages(root=root, paths=tuple(file.path for file in list_tree(root).files))
    order = np.arange(len(images))
    lazy = LazyPixels(images=images, indices=order, preprocessing=MINUS_ONE_TO_ONE, size_px=size_px)

    def anew() -> LazyPixels:
        kept = room_for(len(lazy), size_px * size_px * 3)
        if kept is None:
            raise OutputError("no room on the disk to keep the pictures; free some, or set XDG_CACHE_HOME to a folder")
        return replace(lazy, kept=kept)

    def epoch(pixels: Pixels | LazyPixels) -> int:
        return sum(len(normalise(batch, MINUS_ONE_TO_ONE)) for batch in batches(pixels, order, BATCH))

    def examine() -> int:
        with tempfile.TemporaryDirectory() as cache:
            return len(scan_files(root, list_tree(root).files, Path(cache) / "data", lambda _: None)[0])

    kept, held = anew(), lazy[:]
    epoch(kept)
    return {
        "ours examine": examine,
        "ours first": lambda: epoch(anew()),
        "ours later": lambda: epoch(kept),
        "ours held": lambda: epoch(held),
    }


def keras_ways(root: Path, size_px: int) -> dict[str, Epoch]:
    """Epochs as Keras' documentation shows them, and with what its reader has no option for."""
    import keras
    import tensorflow as tf

    size = (size_px, size_px)
    plain = keras.utils.image_dataset_from_directory(
        str(root), image_size=size, batch_size=BATCH, shuffle=False, verbose=False
    )

    def shrunk(path: Any) -> Any:
        picture = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(picture, size, antialias=True)

    paths = tf.data.Dataset.from_tensor_slices(plain.file_paths)
    smooth = paths.map(shrunk, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH)

    def epoch(data: Iterable[Any]) -> Epoch:
        return lambda: sum(len(pictures.numpy()) for pictures in data)

    pictures = plain.map(lambda pictures, _: pictures)
    return {
        "keras": epoch(pictures.prefetch(tf.data.AUTOTUNE)),
        "keras cached": epoch(pictures.cache().prefetch(tf.data.AUTOTUNE)),
        "antialiased": epoch(smooth.prefetch(tf.data.AUTOTUNE)),
    }


def timed(epoch: Epoch) -> Cost:
    """What a picture costs in that epoch."""
    wall, processor = time.perf_counter(), time.process_time()
    count = epoch()
    return Cost((time.perf_counter() - wall) / count, (time.process_time() - processor) / count)


def print_summary(costs: dict[str, list[Cost]]) -> None:
    """Medians, ratios within a round, and the reading of a whole training."""
    for name, row in costs.items():
        wall, processor = (statistics.median(getattr(cost, key) for cost in row) for key in ("wall_s", "processor_s"))
        print(f"{name:<13}{1 / wall:7.0f} images/s  {1000 * processor:6.2f} ms of processor time per picture")
    print("how many times as fast, by the clock and by processor time, medians of the rounds:")
    rows = [
        ("ours first", "keras"),
        ("ours first", "antialiased"),
        ("ours later", "keras"),
        ("ours later", "keras cached"),
        ("ours held", "keras cached"),
    ]
    for one, other in rows:
        print(f"{one} / {other}: {ratios(training(costs, one, one, 1), training(costs, other, other, 1))}")
    ours = training(costs, "ours first", "ours later", EPOCHS)
    for later in ("keras", "keras cached"):
        theirs = training(costs, "keras", later, EPOCHS)
        print(f"{EPOCHS} epochs of ours / of keras, later ones {later}: {ratios(ours, theirs)}")


def training(costs: dict[str, list[Cost]], first: str, later: str, epochs: int) -> list[Cost]:
    """Of a picture in so many epochs, per round."""
    return [
        Cost(a.wall_s + (epochs - 1) * b.wall_s, a.processor_s + (epochs - 1) * b.processor_s)
        for a, b in zip(costs[first], costs[later], strict=True)
    ]


def ratios(ours: list[Cost], theirs: list[Cost]) -> str:
    """How many times theirs costs what ours does: by the clock, by processor time."""
    pairs = list(zip(ours, theirs, strict=True))
    wall = statistics.median(other.wall_s / one.wall_s for one, other in pairs)
    processor = statistics.median(other.processor_s / one.processor_s for one, other in pairs)
    return f"{wall:.2f} {processor:.2f}"


def main() -> None:
    """Prints a row per round, then the medians and their ratios."""
    parser = argparse.ArgumentParser(description="picture throughput against Keras' folder reader")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--width", type=int, default=500)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as made:
        root = arguments.folder or Path(made)
        if arguments.folder is None:
            make_photographs(root, arguments.images, arguments.width)
        ways = our_ways(root, arguments.size) | keras_ways(root, arguments.size)
        print(f"{thread_count()} cores, {arguments.size} px, images/s")
        costs: dict[str, list[Cost]] = {name: [] for name in ways}
        for number in range(arguments.rounds + 1):
            row = {name: timed(epoch) for name, epoch in ways.items()}
            what = f"round {number}" if number else "warm-up"
            print(f"{what:<8} " + "  ".join(f"{name} {1 / cost.wall_s:.0f}" for name, cost in row.items()), flush=True)
            if number:
                for name, cost in row.items():
                    costs[name].append(cost)
    print_summary(costs)


if __name__ == "__main__":
    main()
