"""The values of the manifest: what is said of a network, its weights, and each file made from them."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import export
import models
from export.artifact import Artifact, Verification, artifact_path
from export.calibrate import input_quantization
from export.contents import read_contents
from export.deployed import deployed, has_front
from export.metadata.info import ModelInfo
from export.precision import Precision
from export.stages import Prepared
from export.work import WorkFiles
from models.checkpoint import TrainedModel
from models.cost import model_cost
from models.errors import ConversionError, ToolchainError
from models.files import sha256_file
from models.spec import ModelSpec

TOOLS = (
    "tensorflow",
    "keras",
    "litert-quantizer",
    "ai-edge-litert",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "numpy",
    "pillow",
)


def tool_versions() -> dict[str, str]:
    """Of all that decides an artifact's bytes and numbers: the packages, and the text of this program itself."""
    sources = sorted(path for package in (models, export) for path in Path(package.__path__[0]).rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return {"this program": f"sha256 {digest[:16]}", **{name: metadata.version(name) for name in TOOLS}}


def describe_model(spec: ModelSpec, output: str) -> dict[str, Any]:
    """The network, with the class count it was exported with."""
    cost = spec.own or model_cost(spec)
    return {
        "name": spec.name,
        "family": spec.family,
        "width": spec.width,
        "resolution_px": spec.resolution_px,
        "num_classes": spec.num_classes,
        "parameters": cost.parameters,
        "mult_adds": cost.mult_adds,
        "output": output,
    }


def describe_origin(info: ModelInfo) -> dict[str, Any]:
    """What the TFLite files say of where they come from; null where nobody said."""
    return {"version": info.version, "author": info.author, "license": info.license}


def describe_weights(weights: TrainedModel, prepared: Prepared, work: WorkFiles) -> dict[str, Any]:
    """The checkpoint, with the Keras model's accuracy on the test split as measured in this run."""
    reference, classes = np.load(work.reference), np.load(work.test_classes)
    origin = weights.record.get("origin")
    return {
        "source": weights.source,
        "sha256": weights.sha256,
        "seed": weights.seed,
        "dataset": prepared.dataset,
        "dataset_sha256": prepared.dataset_sha256,
        "top1": float(np.mean(reference.argmax(axis=1) == classes)),
        "images": len(classes),
        **({"origin": origin} if origin else {}),
    }


def describe_preprocessing(spec: ModelSpec) -> dict[str, Any]:
    """The contract for whoever feeds the files, and how exactly the integer inputs keep it.

    `in_graph`, where there is one, is the normalisation that the network was trained with and that the files' first
    operator makes of this one.
    """
    taken = deployed(spec.preprocessing)
    described = taken.to_json()
    if has_front(spec.preprocessing):
        described["in_graph"] = {key: spec.preprocessing.to_json()[key] for key in ("mean", "std", "channel_order")}
    try:
        pixel = input_quantization(taken)
    except ConversionError:
        return described
    return {
        **described,
        "float_input": "(byte - mean) / std",
        "uint8_input": "byte",
        "int8_input": "byte - 128",
        "integer_input": {
            "scale": pixel.scale,
            "uint8_zero_point": pixel.zero_point,
            "residual_grey_levels": pixel.residual,
        },
    }


def _float_blocks(work: WorkFiles) -> tuple[dict[str, Any], ...]:
    from export.quantization.calibration import load_calibration

    return tuple(block.to_json() for block in load_calibration(work.calibration).blocks)


def describe_artifact(
    spec: ModelSpec, precision: Precision, verdict: Verification | ToolchainError, work: WorkFiles
) -> Artifact:
    """A made file with its verdict; an error as verdict means that its runtime refused it or died."""
    path = work.made(precision)
    contents = read_contents(path.read_bytes(), precision)
    return Artifact(
        file=artifact_path(path.parent, spec.name, precision).name,
        format=precision.format,
        precision=precision.name,
        size_bytes=path.stat().st_size,
        sha256=sha256_file(path),
        source_sha256=sha256_file(work.float_tflite),
        input=contents.input,
        output=contents.output,
        operators=contents.operators,
        weights=contents.weights,
        float_blocks=_float_blocks(work) if precision.islands else (),
        verification=verdict if isinstance(verdict, Verification) else None,
        failure=str(verdict) if isinstance(verdict, ToolchainError) else None,
    )
