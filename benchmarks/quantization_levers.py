"""What each lever of 8-bit quantization is worth, alone and together: a table for docs/quantization.md.

    .venv/bin/python -m benchmarks.quantization_levers CHECKPOINT ... [--dataset digits] [--images 128] [--logits]

A CHECKPOINT is `NAME@SIDE=PATH.keras`: a network of the zoo, at which side in pixels, and its weights. Each is measured
as it is and as its stress twin, which computes the same with channels rescaled by 2^U(-4,4). Pictures are those of the
validation and test splits; calibration takes pictures of the training split. Run it from the repository's root.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from export.calibrate import all_ranges
from export.contents import read_contents
from export.equalized import equalize
from export.precision import PRECISIONS
from export.quantization.bias import bias_shifts, with_shifted_biases, with_shifted_onnx_biases
from export.quantization.observe import observe
from export.quantization.settings import NAIVE, QuantizationSettings
from export.quantize import quantize_tflite
from export.quantize_onnx import quantize_onnx
from export.to_float import to_onnx, to_tflite
from export.verify import load_onnx, load_tflite, paired_interval, to_input
from models.build import fold_batch_norm
from models.data import Pixels, lazy_pixels, load_dataset, stratified_sample
from models.load import into_network, read_checkpoint
from models.spec import ModelSpec
from models.worker import Progress
from models.zoo import lookup
from tests.export.quantization.twins import stress

TFLITE, ONNX, FLOAT = (PRECISIONS[key] for key in (("tflite", "int8"), ("onnx", "int8"), ("tflite", "float32")))
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
    arguments = parser.parse_args()
    output = "logits" if arguments.logits else "probabilities"
    print("| network | float top-1 | levers | SQNR dB | agrees | drop, points (95 %) | ONNX agrees |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for given in arguments.checkpoints:
        name, path = given.split("=", 1)
        model, _, side = name.partition("@")
        spec = lookup(model)
        spec = replace(spec, resolution_px=int(side or spec.resolution_px))
        for row in rows(spec, Path(path), arguments.dataset, arguments.images, output):
            print(row, flush=True)


def rows(spec: ModelSpec, checkpoint: Path, dataset: str, images: int, output: str) -> Iterator[str]:
    """The table's rows for a network and its twin."""
    data = load_dataset(dataset)
    spec = replace(spec, num_classes=len(data.labels))
    held_out = np.concatenate([data.splits["validation"], data.splits["test"]])
    chosen = stratified_sample(data.classes, data.splits["train"], images, 0)
    read = [lazy_pixels(data, numbers, spec.preprocessing, spec.resolution_px)[:] for numbers in (chosen, held_out)]
    pictures = Pictures(calibration=read[0], held_out=read[1], classes=data.classes[held_out])
    for twin in (False, True):
        # Both by the converters, from networks that differ in their factors alone.
        floats = {flag: float_files(spec, checkpoint, pictures, output, twin, flag) for flag in (False, True)}
        wanted = {flag: run(files[0], "float32.tflite", spec, pictures.held_out) for flag, files in floats.items()}
        print(f"float outputs differ by {np.abs(wanted[True] - wanted[False]).max():.1e}", file=sys.stderr, flush=True)
        seen = {
            flag: observe(files[0], pictures.calibration, spec.preprocessing, silent) for flag, files in floats.items()
        }
        reference = wanted[False]
        title = f"{spec.name}@{spec.resolution_px}{' twin' if twin else ''}"
        right = reference.argmax(axis=1) == pictures.classes
        for name, settings in VARIANTS.items():
            tflite, onnx = floats[settings.equalize]
            ranges = all_ranges(tflite, seen[settings.equalize], spec.preprocessing, settings)
            if settings.bias_correction:
                shifts = bias_shifts(tflite, pictures.calibration, spec.preprocessing, silent)
                tflite, onnx = with_shifted_biases(tflite, shifts), with_shifted_onnx_biases(onnx, shifts)
            made = quantize_tflite(tflite, TFLITE, ranges), quantize_onnx(onnx, ONNX, ranges, spec.preprocessing)
            found = run(made[0], "int8.tflite", spec, pictures.held_out)
            other = run(made[1], "int8.onnx", spec, pictures.held_out)
            top1 = found.argmax(axis=1)
            low, high = paired_interval(right, top1 == pictures.classes)
            noise = np.sum((found - reference) ** 2)
            drop = 100 * (right.mean() - np.mean(top1 == pictures.classes))
            yield (
                f"| {title} | {right.mean():.2%} | {name} | {10 * np.log10(np.sum(reference**2) / noise):.1f} "
                f"| {np.mean(top1 == reference.argmax(axis=1)):.2%} "
                f"| {drop:.2f} ({100 * low:.2f} to {100 * high:.2f}) "
                f"| {np.mean(top1 == other.argmax(axis=1)):.2%} |"
            )


def float_files(
    spec: ModelSpec, checkpoint: Path, pictures: Pictures, output: str, twin: bool, equalized: bool
) -> tuple[bytes, bytes]:
    """The float TFLite and ONNX files of a network or its twin, equalized or not."""
    folded: keras.Model = fold_batch_norm(into_network(checkpoint, read_checkpoint(checkpoint), spec), spec)
    if twin:
        changed = stress(folded, spec, pictures.calibration)
        print(f"{spec.name}: {changed} channels rescaled", file=sys.stderr, flush=True)
    if equalized:
        equalize(folded, spec, pictures.calibration)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        path.write_bytes(to_tflite(folded, spec, output))
        return path.read_bytes(), to_onnx(path, spec.name)


def run(content: bytes, name: str, spec: ModelSpec, pixels: Pixels) -> NDArray[np.float64]:
    """What a file gives, as numbers, `[N, classes]`."""
    precision = {"float32.tflite": FLOAT, "int8.tflite": TFLITE, "int8.onnx": ONNX}[name]
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
