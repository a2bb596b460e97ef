"""Images per second of our calibration beside TFLiteConverter's, on the same network and pictures.

    .venv/bin/python benchmarks/calibration_speed.py [--model NAME] [--images N] [--rounds N] [--threads N]

The network has random weights: speed does not depend on them. The converter's own calibrator is called as
TFLiteConverter calls it (`calibrate` on its float model), so that neither conversion nor quantization is counted; ours
is `export.quantization.observe`, histograms and start of its interpreters included. Both run in turn in one process,
and a round's ratio is of neighbours; whatever else the machine does, it does to both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import keras
import numpy as np
from tensorflow.lite.python.optimize.calibrator import Calibrator

from export.quantization import observe as ours_module
from export.quantization.observe import THREADS, observe
from export.to_float import to_tflite
from models.build import build, fold_batch_norm
from models.data import Pixels, normalise
from models.zoo import lookup


def main() -> None:
    """Prints a row per round, then the median of the ratios."""
    parser = argparse.ArgumentParser(description="calibration, ours and TFLiteConverter's")
    parser.add_argument("--model", default="mobilenet_v2_1.0")
    parser.add_argument("--images", type=int, default=128, help="as an export takes them (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=THREADS, help="of ours (default: %(default)s)")
    arguments = parser.parse_args()
    ours_module.THREADS = arguments.threads
    spec = lookup(arguments.model)
    keras.utils.set_random_seed(0)
    source = to_tflite(fold_batch_norm(build(spec), spec), spec, "probabilities")
    pixels: Pixels = np.random.default_rng(0).integers(
        0, 256, (arguments.images, spec.resolution_px, spec.resolution_px, 3), np.uint8
    )

    def theirs() -> None:
        def samples() -> Iterator[list[np.ndarray]]:
            for image in pixels:
                yield [normalise(image[None], spec.preprocessing)]

        Calibrator(source).calibrate(samples)

    def ours() -> None:
        observe(source, pixels, spec.preprocessing, lambda _: None)

    ours()
    ratios = []
    for number in range(arguments.rounds):
        order = (ours, theirs) if number % 2 else (theirs, ours)
        seconds = {task: _seconds(task) for task in order}
        rates = [arguments.images / seconds[task][0] for task in (ours, theirs)]
        cpu = [1e3 * seconds[task][1] / arguments.images for task in (ours, theirs)]
        ratios.append((rates[0] / rates[1], cpu[1] / cpu[0]))
        print(
            f"ours {rates[0]:.1f} images/s, TFLiteConverter {rates[1]:.1f}: {ratios[-1][0]:.2f} times; "
            f"CPU ms per image {cpu[0]:.1f} and {cpu[1]:.1f}: {ratios[-1][1]:.2f} times",
            flush=True,
        )
    wall, work = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(
        f"median {wall:.2f} times by wall clock, {work:.2f} by CPU time; {spec.name}, threads of ours: "
        f"{arguments.threads}"
    )


def _seconds(task: Callable[[], None]) -> tuple[float, float]:
    """By the wall clock, and of processor time."""
    started, used = time.monotonic(), time.process_time()
    task()
    return time.monotonic() - started, time.process_time() - used


if __name__ == "__main__":
    main()
