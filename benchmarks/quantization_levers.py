"""What each lever of 8-bit quantization is worth, alone and together: a table for docs/quantization.md.

    .venv/bin/python -m benchmarks.quantization_levers CHECKPOINT ... [--dataset digits] [--images 128] [--logits]
        [--test 2000] [--levers NAME ...] [--plain]

A CHECKPOINT is `NAME@SIDE=PATH.keras`: a network of the zoo, at which side in pixels, and its weights. Each is measured
as it is and as its stress twin, which computes the same with channels rescaled by 2^U(-4,4). Pictures are those of the
validation and test splits, or with `--test N` the first N of the test split; calibration takes pictures of the training
split. `--levers` chooses rows by a part of their name, `--plain` leaves the twins out. CPU is the processor time of a
picture, Python included; seconds are the processor time of the calibration. Run it from the repository's root.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from export.contents import read_contents
from export.precision import PRECISIONS
from export.quantization.calibration import Calibration, calibrate
from export.quantization.settings import DEFAULTS, NAIVE, Equalize, QuantizationSettings
from export.quantize import make_tflite
from export.quantize_onnx import make_onnx
from export.to_float import tflite_for
from export.to_onnx import to_onnx
from export.verify import load_onnx, load_tflite, paired_interval, to_input
from models.build import fold_batch_norm
from models.data import Pixels, lazy_pixels, load_dataset, stratified_sample
from models.load import into_network, read_checkpoint
from models.spec import ModelSpec
from models.worker import Progress
from models.zoo import lookup
from tests.export.quantization.twins import stress

COLUMNS = (
    "network", "float top-1", "levers", "SQNR dB", "agrees", "drop, points (95 %)", "ONNX agrees", "size, kB",
    "CPU, us", "s",
)  # fmt: skip
MIXED, WIDE = "int8_mixed", "int16x8"
AS_IS = replace(DEFAULTS, equalize=False)
ALL = QuantizationSettings(ranges="min-max", exact=True, equalize=True, bias_correction=True)
VARIANTS: Mapping[str, QuantizationSettings] = {
    "nothing (min-max)": NAIVE,
    "exact bounds": replace(NAIVE, exact=True),
    "percentile": replace(NAIVE, ranges="percentile"),
    "mse": replace(NAIVE, ranges="mse"),
    "entropy": replace(NAIVE, ranges="entropy"),
    "equalize": replace(NAIVE, equalize=True),
    "bias": replace(NAIVE, bias_correction=True),
    "min-max,exact,equalize,bias": ALL,
    "percentile,exact,equalize,bias": replace(ALL, ranges="percentile"),
    "mse,exact,equalize,bias": replace(ALL, ranges="mse"),
    "defaults": AS_IS,
    "defaults, equalize": replace(AS_IS, equalize=True),
    "defaults, equalize=auto": DEFAULTS,
    "defaults, round": replace(AS_IS, rounding=True),
    "defaults, no-bias, round": replace(AS_IS, rounding=True, bias_correction=False),
    "per-tensor": replace(AS_IS, per_tensor=True),
    "per-tensor, round": replace(AS_IS, per_tensor=True, rounding=True),
    "per-tensor, equalize": replace(AS_IS, per_tensor=True, equalize=True),
    "per-tensor, equalize, round": replace(AS_IS, per_tensor=True, equalize=True, rounding=True),
    "per-tensor, no-bias": replace(AS_IS, per_tensor=True, bias_correction=False),
    MIXED: AS_IS,
    WIDE: AS_IS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Raw network input, uint8 `[N, H, W, 3]`."""

    calibration: Pixels
    held_out: Pixels
    classes: NDArray[np.int64]


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


def main() -> None:
    """Prints a Markdown table row for row, as they are found."""
    parser = argparse.ArgumentParser(description="the levers, each alone")
    parser.add_argument("checkpoints", nargs="+", metavar="NAME@SIDE=PATH")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--images", type=int, default=128, help="for calibration (default: %(default)s)")
    parser.add_argument("--logits", action="store_true", help="let the files end with logits")
    parser.add_argument("--test", type=int, metavar="N", help="of the test split alone, so many pictures")
    parser.add_argument("--levers", nargs="+", default=[""], metavar="NAME", help="rows whose name has it (all)")
    parser.add_argument("--plain", action="store_true", help="no twins")
    arguments = parser.parse_args()
    output = "logits" if arguments.logits else "probabilities"
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    wanted = {name: settings for name, settings in VARIANTS.items() if any(part in name for part in arguments.levers)}
    for given in arguments.checkpoints:
        name, path = given.split("=", 1)
        model, _, side = name.partition("@")
        spec = lookup(model)
        spec = replace(spec, resolution_px=int(side or spec.resolution_px))
        pictures, classes = read_pictures(spec, arguments.dataset, arguments.images, arguments.test)
        known = replace(spec, num_classes=classes)
        for twin in (False,) if arguments.plain else (False, True):
            for row in rows(known, Path(path), pictures, output, twin, wanted):
                print(row, flush=True)


def read_pictures(spec: ModelSpec, dataset: str, images: int, test: int | None) -> tuple[Pictures, int]:
    """What to calibrate and to measure with, and the number of classes."""
    data = load_dataset(dataset)
    held_out = np.concatenate([data.splits["validation"], data.splits["test"]])
    held_out = held_out if test is None else data.splits["test"][:test]
    chosen = stratified_sample(data.classes, data.splits["train"], images, 0)
    read = [lazy_pixels(data, numbers, spec.preprocessing, spec.resolution_px)[:] for numbers in (chosen, held_out)]
    return Pictures(calibration=read[0], held_out=read[1], classes=data.classes[held_out]), len(data.labels)


def rows(
    spec: ModelSpec,
    checkpoint: Path,
    pictures: Pictures,
    output: str,
    twin: bool,
    variants: Mapping[str, QuantizationSettings],
) -> Iterator[str]:
    """The table's rows for a network or its twin."""
    # All by the converters, from networks that differ in their factors alone.
    ways = {False, *(settings.equalize for settings in variants.values())}
    floats = {way: float_files(spec, checkpoint, pictures, output, twin, way) for way in ways}
    wanted = {way: run(files[0], "float32.tflite", spec, pictures.held_out) for way, files in floats.items()}
    for way in ways - {False}:
        print(f"float outputs differ by {np.abs(wanted[way] - wanted[False]).max():.1e}", file=sys.stderr, flush=True)
    reference = wanted[False]
    title = f"{spec.name}@{spec.resolution_px}{' twin' if twin else ''}"
    right = reference.argmax(axis=1) == pictures.classes
    for name, settings in variants.items():
        precision = name if name in (MIXED, WIDE) else "int8"
        tflite, onnx = floats[settings.equalize]
        start = time.process_time()
        islands = precision == MIXED
        made_of = calibrate(tflite, pictures.calibration, spec.preprocessing, settings, silent, islands=islands)
        seconds = time.process_time() - start
        content = make_tflite(tflite, PRECISIONS["tflite", precision], made_of)
        start = time.process_time()
        found = run(content, f"{precision}.tflite", spec, pictures.held_out)
        top1 = found.argmax(axis=1)
        each_us = 1e6 * (time.process_time() - start) / len(found)
        agrees = "-"
        if precision != WIDE:
            other = make_onnx(onnx, tflite, PRECISIONS["onnx", precision], made_of, spec.preprocessing)
            onnx_top1 = run(other, f"{precision}.onnx", spec, pictures.held_out).argmax(axis=1)
            agrees = f"{np.mean(top1 == onnx_top1):.2%}"
        low, high = paired_interval(right, top1 == pictures.classes)
        noise = np.sum((found - reference) ** 2)
        drop = 100 * (right.mean() - np.mean(top1 == pictures.classes))
        yield (
            f"| {title} | {right.mean():.2%} | {name}{blocks_note(made_of)} "
            f"| {10 * np.log10(np.sum(reference**2) / noise):.1f} "
            f"| {np.mean(top1 == reference.argmax(axis=1)):.2%} "
            f"| {drop:.2f} ({100 * low:.2f} to {100 * high:.2f}) "
            f"| {agrees} | {len(content) / 1000:.0f} | {each_us:.0f} | {seconds:.0f} |"
        )


def blocks_note(calibration: Calibration) -> str:
    """Which blocks are float, and what part of the mult-adds that is."""
    if not calibration.blocks:
        return ""
    names = ", ".join(f"`{block.name}`" for block in calibration.blocks)
    return f": {names} ({sum(block.mult_add_share for block in calibration.blocks):.0%} of the mult-adds)"


def float_files(
    spec: ModelSpec, checkpoint: Path, pictures: Pictures, output: str, twin: bool, equalized: Equalize
) -> tuple[bytes, bytes]:
    """The float TFLite and ONNX files of a network or its twin, equalized or not."""
    folded: keras.Model = fold_batch_norm(into_network(checkpoint, read_checkpoint(checkpoint), spec), spec)
    if twin:
        changed = stress(folded, spec, pictures.calibration)
        print(f"{spec.name}: {changed} channels rescaled", file=sys.stderr, flush=True)
    settings = replace(DEFAULTS, equalize=equalized)
    tflite, decision = tflite_for(folded, spec, output, pictures.calibration, settings, silent)
    if decision:
        print(f"{spec.name}: {decision.words}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        path.write_bytes(tflite)
        return tflite, to_onnx(path, spec.name)


def run(content: bytes, name: str, spec: ModelSpec, pixels: Pixels) -> NDArray[np.float64]:
    """What a file gives, as numbers, `[N, classes]`."""
    kind, _, form = name.partition(".")
    precision = next(row for row in PRECISIONS.values() if (row.name, row.format) == (kind, form))
    info = read_contents(content, precision)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        predict = load_onnx(path) if precision.format == "onnx" else load_tflite(path, builtin_only=False)
        fed = to_input(pixels, info.input, spec.preprocessing)
        found = np.concatenate([predict(fed[number : number + 1]) for number in range(len(fed))]).astype(np.float64)
    scale, zero_point = info.output.scale, info.output.zero_point
    return found if scale is None or zero_point is None else (found - zero_point) * scale


if __name__ == "__main__":
    main()
