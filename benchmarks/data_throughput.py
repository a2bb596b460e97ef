"""Pictures per second as training reads them, beside `keras.utils.image_dataset_from_directory` on the same folder.

    .venv/bin/python benchmarks/data_throughput.py [DIR] [--size 224] [--rounds 5] [--images 600] [--width 500]

Both read, decode and resize every picture of a folder to float32 batches of 32, in turn, round by round; ours
antialiases when it shrinks and normalises, Keras' does neither. Without DIR, JPEG files of blurred noise are made, by
default of the size of ImageNet's photographs. `held` is a split small enough to be held (`HELD_BYTES`), as training
reads it from the second epoch on.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from models.data.folder import FolderImages
from models.data.preparing import normalise
from models.data.reading import LazyPixels, batches, thread_count
from models.data.tree import list_tree
from models.spec import MINUS_ONE_TO_ONE

BATCH = 32


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


def ours(root: Path, size_px: int) -> Callable[[], int]:
    """One epoch as `models.train` reads it."""
    images = FolderImages(root=root, paths=tuple(file.path for file in list_tree(root).files))
    order = np.arange(len(images))
    pixels = LazyPixels(images=images, indices=order, preprocessing=MINUS_ONE_TO_ONE, size_px=size_px)
    return lambda: sum(len(normalise(batch, MINUS_ONE_TO_ONE)) for batch in batches(pixels, order, BATCH))


def held(root: Path, size_px: int) -> Callable[[], int]:
    """A later epoch over a split that is held."""
    images = FolderImages(root=root, paths=tuple(file.path for file in list_tree(root).files))
    order = np.arange(len(images))
    pixels = LazyPixels(images=images, indices=order, preprocessing=MINUS_ONE_TO_ONE, size_px=size_px)[:]
    return lambda: sum(len(normalise(batch, MINUS_ONE_TO_ONE)) for batch in batches(pixels, order, BATCH))


def keras_way(root: Path, size_px: int) -> Callable[[], int]:
    """One epoch as Keras' documentation shows it."""
    import keras
    import tensorflow as tf

    data = keras.utils.image_dataset_from_directory(
        str(root), image_size=(size_px, size_px), batch_size=BATCH, shuffle=False, verbose=False
    ).prefetch(tf.data.AUTOTUNE)
    return lambda: sum(len(pictures.numpy()) for pictures, _ in data)


def main() -> None:
    """Prints a row per round, then the medians and their ratio."""
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
        ways = {
            "ours": ours(root, arguments.size),
            "keras": keras_way(root, arguments.size),
            "held": held(root, arguments.size),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        print(f"{thread_count()} cores, {arguments.size} px, images/s")
        for number in range(arguments.rounds + 1):
            for name, epoch in ways.items():
                started = time.perf_counter()
                count = epoch()
                rates[name].append(count / (time.perf_counter() - started))
            what = f"round {number}" if number else "warm-up"
            print(f"{what:<9}" + "  ".join(f"{name} {rate[-1]:7.0f}" for name, rate in rates.items()), flush=True)
    print("median   " + "  ".join(f"{name} {statistics.median(rate[1:]):7.0f}" for name, rate in rates.items()))
    for name in ("ours", "held"):
        ratios = [a / b for a, b in zip(rates[name][1:], rates["keras"][1:], strict=True)]
        print(f"{name} / keras, median of the rounds: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
