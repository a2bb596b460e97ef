"""What steps of equalizing factors and their reserve below a ReLU6 are worth: a table for docs/quantization.md.

    .venv/bin/python -m benchmarks.equalization_factors NAME=PATH.keras ... [--dataset shapes:test=10000]
        [--images 1000]

NAME is a network of the zoo, PATH its trained weights. Each row rescales the groups of the network's stress twin that
are expected to gain, and compares its float file and its int8 file with the twin's float file on test pictures. Run it
from the repository's root.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import export.equalized as equalized
import export.quantization.equalize as factors
from benchmarks.peers.answers import answers
from benchmarks.peers.measures import sqnr_db
from export.precision import PRECISIONS
from export.quantization.calibration import calibrate
from export.quantization.settings import DEFAULTS
from export.quantize import make_tflite
from export.to_float import to_tflite
from models.build import fold_batch_norm
from models.data import Dataset, lazy_pixels, load_dataset, stratified_sample
from models.load import into_network, read_checkpoint
from models.worker import Progress
from models.zoo import lookup
from tests.export.quantization.twins import stress

HEADS = ("twin", "steps per octave", "reserve", "of pictures", "float moves by at most", "SQNR, dB", "disagrees")
WAYS = ((1, 1.5, 64), (4, 1.5, 64), (1, 3.0, 128), (4, 3.0, 128))
"""Steps per octave, reserve, and pictures that the sizes of channels are measured on."""


def main() -> None:
    """Prints a Markdown table row for row."""
    parser = argparse.ArgumentParser(description="steps of equalizing factors")
    parser.add_argument("networks", nargs="+", metavar="NAME=PATH.keras")
    parser.add_argument("--dataset", default="shapes:test=10000", help="default: %(default)s")
    parser.add_argument("--images", type=int, default=1000, help="test pictures (default: %(default)s)")
    arguments = parser.parse_args()
    data = load_dataset(arguments.dataset)
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}", flush=True)
    for given in arguments.networks:
        name, path = given.split("=", 1)
        for row in rows(name, Path(path), data, arguments.images):
            print(row, flush=True)


def rows(name: str, checkpoint: Path, data: Dataset, images: int) -> Iterator[str]:
    """A row for each way."""
    spec = replace(lookup(name), num_classes=len(data.labels))
    chosen = stratified_sample(data.classes, data.splits["train"], 128, 0)
    pixels, test = (
        lazy_pixels(data, numbers, spec.preprocessing, spec.resolution_px)[:]
        for numbers in (chosen, data.splits["test"][:images])
    )
    twin = fold_batch_norm(into_network(checkpoint, read_checkpoint(checkpoint), spec), spec)
    stress(twin, spec, pixels)
    weights = equalized.read_weights(twin, spec)
    wanted = answers(to_tflite(twin, spec, "logits"), test, spec.preprocessing)
    settings = replace(DEFAULTS, equalize=False)
    for steps, reserve, count in WAYS:
        factors.STEPS_PER_OCTAVE, factors.CLIP_MARGIN, equalized.IMAGES = steps, reserve, count
        equalized.write_weights(twin, weights)
        equalized.equalize(twin, spec, pixels, where_it_pays=True)
        tflite = to_tflite(twin, spec, "logits")
        made_of = calibrate(tflite, pixels, spec.preprocessing, settings, silent)
        found = answers(make_tflite(tflite, PRECISIONS["tflite", "int8_npu"], made_of), test, spec.preprocessing)
        moved = np.abs(answers(tflite, test, spec.preprocessing) - wanted).max() / np.abs(wanted).max()
        disagrees = np.mean(found.argmax(axis=1) != wanted.argmax(axis=1))
        yield (
            f"| `{name}` | {steps} | {reserve:g} | {count} | {moved:.1e} | {sqnr_db(wanted, found):.1f} "
            f"| {disagrees:.1%} |"
        )


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


if __name__ == "__main__":
    main()
