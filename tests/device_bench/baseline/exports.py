"""An export of a tiny network in both formats, as `make export` would leave it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device_bench.measuring.artifacts import exported_folder
from export.artifact import Artifact, Manifest, Verification, save_manifest
from export.contents import TensorInfo
from models.files import sha256_file
from models.spec import MINUS_ONE_TO_ONE
from tests.device_bench import tiny_models

MODEL = "mobilenet_v1_0.25_128"
SIZE_PX = 128


def onnx_file(size_px: int = SIZE_PX, *, scale: float = 1.0) -> bytes:
    """The tiny network for pictures of that size, its batch fixed at one; its weights times `scale`."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(tiny_models.onnx())
    for dim in model.graph.input[0].type.tensor_type.shape.dim[1:3]:
        dim.dim_value = size_px
    filters = numpy_helper.to_array(model.graph.initializer[0]) * np.float32(scale)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(filters, "filters"))
    content: bytes = model.SerializeToString()
    return content


def make_export(build: Path, *, onnx_scale: float = 1.0) -> Path:
    """The folder; with another scale, the ONNX file computes something else than the TFLite file."""
    folder = exported_folder(build, MODEL, "auto", "digits")
    folder.mkdir(parents=True)
    files = {"tflite": tiny_models.tflite(size_px=SIZE_PX), "onnx": onnx_file(scale=onnx_scale)}
    for kind, content in files.items():
        (folder / f"{MODEL}-float32.{kind}").write_bytes(content)
    verification = Verification(
        images=1, top1=1.0, top1_drop=0.0, top1_drop_ci95=(0.0, 0.0), top1_agreement=1.0, max_abs_error=0.0,
        builtin_error=0.0, checks=(), reason="",
    )  # fmt: skip
    artifacts = tuple(
        Artifact(
            file=f"{MODEL}-float32.{kind}", format=kind, precision="float32", size_bytes=len(content),  # type: ignore[arg-type]
            sha256=sha256_file(folder / f"{MODEL}-float32.{kind}"), source_sha256="",
            input=TensorInfo(name="image", dtype="float32", shape=(1, SIZE_PX, SIZE_PX, 3)),
            output=TensorInfo(name="output", dtype="float32", shape=(1, tiny_models.CLASSES)), operators={}, weights={},
            verification=verification, failure=None,
        )
        for kind, content in files.items()
    )  # fmt: skip
    manifest = Manifest(
        model={"name": MODEL, "resolution_px": SIZE_PX},
        weights={"source": "digits", "dataset": "digits", "sha256": "0"},
        preprocessing=MINUS_ONE_TO_ONE.to_json(), labels={}, calibration={}, tools={}, artifacts=artifacts, failures={},
    )  # fmt: skip
    save_manifest(folder, manifest)
    return folder
