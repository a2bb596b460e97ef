"""What the worker process of a rung does: makes its TFLite file, and looks at it on the whole test split."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from export.budget.rungs import Rung, RungResult
from export.precision import PRECISIONS
from export.stages import Notes, calibrate_stage, tflite_stage
from export.verify import answers, load_tflite, paired_interval
from export.work import WorkFiles
from models.data import Pixels
from models.errors import ConversionError
from models.spec import ModelSpec
from models.worker import Progress, Report


def rung_stage(
    report: Report,
    rung: Rung,
    spec: ModelSpec,
    notes: Notes,
    work: WorkFiles,
    learned: Mapping[str, tuple[float, float]] | None = None,
) -> RungResult:
    """Makes a rung's file of the float file and compares it with the Keras model's answers.

    Args:
        report: Receives the progress.
        rung: What to make.
        spec: The network, with the preprocessing that the files take.
        notes: What is written into the file, which is part of its size.
        work: Where the float file, the pictures and the answers are.
        learned: Ranges of quantization-aware training, where the float file is of its weights.

    Raises:
        ConversionError: the file cannot be made.
        VerificationError: LiteRT refuses it.
    """
    from export.budget.latency import relative_latency
    from export.contents import read_contents

    precision = PRECISIONS["tflite", rung.precision]
    refusal = calibrate_stage(report, spec, rung.settings, work, precision.islands, dict(learned) if learned else None)
    failures = {} if refusal else tflite_stage(report, (precision,), notes, work)
    if refusal or failures:
        raise ConversionError(refusal or next(iter(failures.values())))
    pixels: Pixels = np.load(work.test_pixels, mmap_mode="r")
    classes, reference = np.load(work.test_classes), np.load(work.reference).astype(np.float64)
    made, done = work.made(precision), itertools.count(1)
    content = made.read_bytes()

    def tell() -> None:
        report(Progress(stage=f"rung {rung.name}", done=next(done), total=len(pixels) + 1))

    found = answers(load_tflite(made, builtin_only=False), read_contents(content, precision), pixels,
                    spec.preprocessing, tell)  # fmt: skip
    top1, float_top1 = found.argmax(axis=1), reference.argmax(axis=1)
    right, float_right = top1 == classes, float_top1 == classes
    result = RungResult(
        name=rung.name,
        size_bytes=len(content),
        top1=float(right.mean()),
        drop=float(float_right.mean() - right.mean()),
        drop_ci95=paired_interval(float_right, right),
        agreement=float(np.mean(top1 == float_top1)),
        mean_error=float(np.abs(found - reference).max(axis=1).mean()),
        relative_latency=relative_latency(work.float_tflite, made),
    )
    report(Progress(stage=f"rung {rung.name}", done=len(pixels) + 1, total=len(pixels) + 1, detail=format_drop(result)))
    return result


def format_drop(result: RungResult) -> str:
    """The drop in points with its interval."""
    low, high = (100 * bound for bound in result.drop_ci95)
    return f"drop {100 * result.drop:.2f} ({low:.2f} to {high:.2f})"
