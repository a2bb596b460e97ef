"""The pages of a bundle for people: what its first page and its model card say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from export.artifact import Artifact, Manifest
from export.bundle.contract import Contract
from export.bundle.labels import background_index
from export.bundle.latency import Latency
from export.bundle.literals import Literal
from export.bundle.rendering import render
from export.bundle.snippets import PRIVACY_NOTICE, SNIPPETS, describe_feed, describe_fit
from export.precision import PRECISIONS

MAX_CLASSES_NAMED = 20

OLDEST_RUNTIME = "TensorFlow Lite 2.14"
"""Under whose tflite-runtime 2.14.0 such files were run and agreed (docs/export.md, Old runtimes)."""


def render_readme(manifest: Manifest, contracts: Sequence[tuple[Artifact, Contract]], names: Sequence[str]) -> str:
    """The bundle's first page."""
    return render(
        "README.md",
        model=manifest.model["name"],
        classes=len(names),
        images=manifest.weights["images"],
        background=background_index(names),
        oldest=OLDEST_RUNTIME,
        runtime=f"ai-edge-litert {manifest.tools.get('ai-edge-litert', 'of unknown version')}",
        notice=PRIVACY_NOTICE if any(contract.fits_mediapipe for _, contract in contracts) else None,
        models=[_row(artifact, contract) for artifact, contract in contracts],
    )


def render_card(
    name: str,
    manifest: Manifest,
    contracts: Sequence[tuple[Artifact, Contract]],
    names: Sequence[str],
    latencies: Sequence[Latency],
    *,
    data: str,
    training: Mapping[str, Any] | None,
    purpose: str | None,
) -> str:
    """The model card.

    Args:
        name: Of the bundle.
        manifest: Of the export.
        contracts: The files of the bundle.
        names: Of the classes.
        latencies: Measured ones.
        data: Where the pictures come from.
        training: The record of the training run; None if the weights came without one.
        purpose: What its makers say it is for; None if they said nothing.
    """
    model, weights = manifest.model, manifest.weights
    nothing_said = "not stated by whoever made this bundle; ask before you ship it"
    return render(
        "model_card.md",
        name=name,
        model=model["name"],
        family=model["family"],
        parameters=f"{model['parameters']:,}",
        mult_adds="unknown" if model["mult_adds"] is None else f"{model['mult_adds']:,}",
        side_px=model["resolution_px"],
        classes=len(names),
        output=model["output"],
        version=model["version"],
        author=model["author"] or nothing_said,
        license=model["license"] or nothing_said,
        class_list=_list_classes(names),
        purpose=purpose,
        data=f"{data} (data set {weights['dataset']}, sha256 {weights['dataset_sha256'][:12]}…)",
        training=_describe_training(weights, training),
        images=weights["images"],
        reference=f"{weights['top1']:.2%}",
        models=[_row(artifact, contract) for artifact, contract in contracts],
        latencies=[_latency_row(row) for row in latencies],
        quantization=_describe_quantization(manifest, contracts),
    )


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of `count` independent pictures (Wilson 1927): not empty even at 0 and 1."""
    z = 1.959964
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _row(artifact: Artifact, contract: Contract) -> dict[str, Any]:
    verdict = artifact.verification
    if verdict is None:
        raise ValueError(f"{artifact.file} is not verified")
    low, high = wilson_interval(verdict.top1, verdict.images)
    drop_low, drop_high = (100 * bound for bound in verdict.top1_drop_ci95)
    shape = " x ".join(str(side) for side in contract.input.shape)
    meaning = "logits, the softmax is yours to do" if contract.gives_logits else "probabilities"
    return {
        "file": contract.file,
        "precision": artifact.precision,
        "folder": artifact.precision,
        "size": f"{artifact.size_bytes / 1e6:.2f} MB",
        "top1": f"{verdict.top1:.2%} ({100 * low:.2f} to {100 * high:.2f})",
        "drop": f"{100 * verdict.top1_drop:.2f} ({drop_low:.2f} to {drop_high:.2f})",
        "agree": f"{verdict.top1_agreement:.2%}",
        "use": PRECISIONS[artifact.format, artifact.precision].use,
        "input": f"{contract.input.dtype} {shape}",
        "output": f"{contract.output.dtype} 1 x {contract.classes}{_scale(contract)}: {meaning}",
        "feeds": describe_feed(contract),
        "fit": describe_fit(contract),
        "why_not_mediapipe": None if contract.fits_mediapipe else _why_not_mediapipe(contract),
        "snippets": [{"file": row.file, "use": Literal(row.use)} for row in SNIPPETS if row.suits(contract)],
    }


def _scale(contract: Contract) -> str:
    output = contract.output
    return "" if output.scale is None else f", each (stored - {output.zero_point}) * {output.scale!r}"


def _why_not_mediapipe(contract: Contract) -> str:
    if contract.input.dtype not in ("uint8", "float32"):
        return f"its image classifier refuses {contract.input.dtype} input"
    if contract.gives_logits:
        return "it shows the numbers as they are, and logits are no probabilities"
    return f"it stretches the whole picture, this network was trained otherwise ({contract.preprocessing.fit})"


def _list_classes(names: Sequence[str]) -> str:
    listed = ", ".join(names[:MAX_CLASSES_NAMED])
    more = len(names) - MAX_CLASSES_NAMED
    return f"{listed} and {more} more, all in labels.txt" if more > 0 else listed


def _describe_training(weights: Mapping[str, Any], record: Mapping[str, Any] | None) -> str:
    digest = f"checkpoint sha256 {weights['sha256'][:12]}…"
    if not record or not record.get("settings"):
        return f"The weights are {weights['source']!r} and came without a record of their training ({digest})"
    phases = [
        f"{phase['epochs']} epochs at {phase['resolution_px']} px"
        for phase in record["settings"].get("phases", ())
        if {"epochs", "resolution_px"} <= phase.keys()
    ]
    seed = f"seed {weights['seed']}" if weights["seed"] is not None else "unknown seed"
    course = ", then ".join(phases) or "see trained.json"
    return f"Trained by this toolchain on {weights['source']}: {course}; {seed}; {digest}"


def _describe_quantization(manifest: Manifest, contracts: Sequence[tuple[Artifact, Contract]]) -> str:
    calibrated = [a.precision for a, _ in contracts if PRECISIONS[a.format, a.precision].calibrated]
    calibration = manifest.calibration
    if not calibrated:
        return "No file of this bundle needed calibration"
    return (
        f"{', '.join(calibrated)}: after training, with ranges from {calibration['images']} pictures of the "
        f"{calibration['split']} split (seed {calibration['seed']}, {calibration['method']})"
    )


def _latency_row(row: Latency) -> dict[str, str]:
    warning = ", EMULATED: means nothing" if row.emulated else ""
    interval = f"{row.low_us / 1000:.3g} to {row.high_us / 1000:.3g}, {row.processes} processes"
    return {
        "device": f"{row.device}{warning}",
        "precision": row.precision,
        "median": f"{row.median_us / 1000:.3g} ms ({interval}{', of means' if row.statistic == 'mean' else ''})",
        "p95": "not known" if row.p95_us is None else f"{row.p95_us / 1000:.3g} ms",
        "how": row.how,
        "day": row.measured,
    }
