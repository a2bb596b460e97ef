"""What quantization-aware training is worth, against calibrated int8 of the same checkpoint, on all test pictures.

    .venv/bin/python -m benchmarks.qat MODEL ... --dataset shapes:test=10000 [--build-dir DIR] [--steps 31]

For each network: its float training, the quantization-aware one and both exports are made if they are not there, by the
commands of the README. Then every test picture goes through the float network, both int8 files and the twin that was
trained, and steps of both kinds of training are timed in turn. Run it from the repository's root.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from export.artifact import artifact_path
from export.contents import read_contents
from export.precision import PRECISIONS
from export.verify import load_tflite, paired_interval, to_input
from models.build import build
from models.checkpoint import TrainedModel, load_trained, run_folder
from models.data import Dataset, Pixels, batches, dataset_slug, lazy_pixels, load_dataset, normalise
from models.load import load_checkpoint
from models.qat.network import build_twin, take_ranges, take_weights
from models.qat.plan import qat_folder
from models.spec import ModelSpec
from models.training.augment import Batch
from models.training.learner import Learner
from models.training.settings import PLAIN
from models.zoo import lookup

INT8 = PRECISIONS["tflite", "int8"]
BATCH = 32
Classes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A network twice: as it was trained in float, and as it went on in 8 bits."""

    spec: ModelSpec
    plain: TrainedModel
    learned: TrainedModel


def main() -> None:
    """Prints a Markdown table row for row, as they are found."""
    parser = argparse.ArgumentParser(description="what quantization-aware training is worth")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--dataset", default="shapes:test=10000", help="default: %(default)s")
    parser.add_argument("--build-dir", type=Path, default=Path("build"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=31, help="of either kind that are timed (default: %(default)s)")
    arguments = parser.parse_args()
    heads = (
        "network", "float top-1", "calibrated: drop, points (95 %)", "QAT: drop, points (95 %)",
        "QAT against calibrated", "epochs", "twin and file agree", "same logits", "step, x float",
    )  # fmt: skip
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    data = load_dataset(arguments.dataset)
    for name in arguments.models:
        pair = prepare(name, arguments.dataset, arguments.build_dir, data)
        print(row(pair, data, arguments.steps), flush=True)


def prepare(name: str, dataset: str, build_dir: Path, data: Dataset) -> Pair:
    """Both trainings and exports, made if need be."""
    spec, slug = replace(lookup(name), num_classes=len(data.labels)), dataset_slug(dataset)
    command = [sys.executable, "-m"]
    common = [f"--model={name}", f"--dataset={dataset}", f"--build-dir={build_dir}"]
    plain, aware = run_folder(build_dir, name, slug), qat_folder(build_dir, name, slug)
    for folder, more in ((plain, []), (aware, ["--qat"])):
        if load_trained(folder) is None:
            subprocess.run([*command, "models", "train", *common, *more], check=True, stdout=sys.stderr)
    for folder, weights in ((plain, "auto"), (aware, "qat")):
        if not artifact_path(folder, name, INT8).is_file():
            more = [f"--weights={weights}", "--format=tflite", "--precision=float32,int8", "--output=logits"]
            # A file that failed its limits is a result.
            done = subprocess.run([*command, "export", "run", *common, *more], check=False, stdout=sys.stderr)
            if done.returncode not in (0, 1):
                raise SystemExit(f"the export of {folder} ended with {done.returncode}")
    found = [load_trained(folder) for folder in (plain, aware)]
    if found[0] is None or found[1] is None:
        raise SystemExit(f"{name}: a training left nothing")
    return Pair(spec=spec, plain=found[0], learned=found[1])


def row(pair: Pair, data: Dataset, steps: int) -> str:
    """One network as a row of Markdown."""
    spec, test = pair.spec, data.splits["test"]
    pixels = lazy_pixels(data, test, spec.preprocessing, spec.resolution_px)[:]
    classes = data.classes[test]
    model = load_checkpoint(pair.plain.path, spec)
    twin = build_twin(spec)
    take_weights(twin, load_checkpoint(pair.learned.path, spec), spec)
    take_ranges(twin, {name: tuple(ends) for name, ends in pair.learned.record["quantization"]["ranges"].items()})
    files = [
        run_file(artifact_path(kept.path.parent, spec.name, INT8), spec, pixels) for kept in (pair.plain, pair.learned)
    ]
    exact, own = predict(model, spec, pixels), predict(twin, spec, pixels)
    right = [scores.argmax(axis=1) == classes for scores in (exact, *files)]
    # The twin's logits are those of the file up to the width of their steps in float32.
    same = np.isclose(own, files[1], rtol=1e-5, atol=1e-5).all(axis=1)
    float_epochs = len(pair.plain.record["history"])
    cells = (
        f"`{spec.name}`",
        f"{right[0].mean():.2%}",
        drop(right[0], right[1]),
        drop(right[0], right[2]),
        drop(right[1], right[2]),
        f"{len(pair.learned.record['history'])} after {float_epochs}",
        f"{np.mean(own.argmax(axis=1) == files[1].argmax(axis=1)):.2%}",
        f"{same.mean():.2%}",
        step_ratio(spec, pixels[:BATCH], classes[:BATCH], steps),
    )
    return f"| {' | '.join(cells)} |"


def drop(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> str:
    """In points, with its paired interval."""
    low, high = paired_interval(before, after)
    return f"{100 * (before.mean() - after.mean()):.2f} ({100 * low:.2f} to {100 * high:.2f})"


def predict(model: keras.Model, spec: ModelSpec, pixels: Pixels) -> NDArray[np.float64]:
    """Logits of a Keras network, `[N, classes]`."""
    parts = batches(pixels, np.arange(len(pixels)), BATCH)
    found = [np.asarray(model.predict_on_batch(normalise(part, spec.preprocessing))) for part in parts]
    return np.concatenate(found).astype(np.float64)


def run_file(path: Path, spec: ModelSpec, pixels: Pixels) -> NDArray[np.float64]:
    """What an int8 file gives with XNNPACK, as numbers, `[N, classes]`."""
    info = read_contents(path.read_bytes(), INT8)
    run, fed = load_tflite(path, builtin_only=False), to_input(pixels, info.input, spec.preprocessing)
    found = np.concatenate([run(fed[number : number + 1]) for number in range(len(fed))]).astype(np.float64)
    return (found - (info.output.zero_point or 0)) * (info.output.scale or 1.0)


def step_ratio(spec: ModelSpec, pixels: Pixels, classes: Classes, steps: int) -> str:
    """Time of a step in 8 bits over that of a float one, the median of pairs that take turns."""
    batch = Batch(images=normalise(pixels, spec.preprocessing), targets=classes, weights=None)
    learners: list[Learner] = []
    for model in (build(spec), _twin_to_time(spec)):
        learner = Learner(model, PLAIN, steps=steps)
        learner.freeze(False)
        # The first step is tracing.
        learner.step(batch, 1e-5)
        learners.append(learner)
    times = np.array([[_timed(learner, batch) for learner in learners] for _ in range(steps)])
    ratios = times[:, 1] / times[:, 0]
    low, high = np.percentile(ratios, (25, 75))
    return f"{np.median(ratios):.2f} ({low:.2f} to {high:.2f})"


def _twin_to_time(spec: ModelSpec) -> Any:
    twin = build_twin(spec)
    take_weights(twin, build(spec), spec)
    for layer in twin.layers:
        if hasattr(layer, "start"):
            layer.start((0.0 if layer.bound[0] == 0 else -6.0, 6.0))
    return twin


def _timed(learner: Learner, batch: Batch) -> float:
    started = time.perf_counter()
    learner.step(batch, 1e-5)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
