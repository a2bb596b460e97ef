"""A healthy export with one fault put into it, each as it happens to people."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.artifact import LABELS_FILE, MANIFEST_FILE, Artifact, Manifest, artifact_path, load_manifest
from export.calibrate import measure_ranges, sample_digest
from export.contents import read_contents
from export.precision import PRECISIONS
from export.quantization.settings import DEFAULTS, QuantizationSettings
from export.quantize import quantize_tflite
from export.record import manifest_preprocessing
from export.tflite_file import builtin_name, read_model, write_model
from models.data import Pixels, lazy_pixels, load_dataset, stratified_sample
from models.files import format_json, sha256_file
from models.presets import PRESETS
from models.spec import Preprocessing

INT8, FLOAT = PRECISIONS["tflite", "int8"], PRECISIONS["tflite", "float32"]

FEW = 32
"""Calibration pictures, so that the tests take a quarter of the time."""

Ranges = dict[str, tuple[float, float]]


class Patient:
    """A copy of an export that may be harmed."""

    def __init__(self, healthy: Path, folder: Path) -> None:
        self.folder = Path(shutil.copytree(healthy, folder, ignore=shutil.ignore_patterns("*.onnx", "*.keras")))
        self.manifest = self._read()
        self.preprocessing = manifest_preprocessing(self.manifest)

    def _read(self) -> Manifest:
        found = load_manifest(self.folder)
        assert found is not None
        return found

    def path(self, precision: Any) -> Path:
        return artifact_path(self.folder, self.manifest.model["name"], precision)

    @property
    def float_file(self) -> bytes:
        return self.path(FLOAT).read_bytes()

    def pictures(self, count: int = FEW) -> Pixels:
        """The calibration pictures."""
        data = load_dataset("digits")
        chosen = stratified_sample(data.classes, data.splits["train"], count, 0)
        return lazy_pixels(data, chosen, self.preprocessing, 128)[:]

    def change(self, **parts: Any) -> None:
        """Writes the manifest with other parts."""
        self.manifest = replace(self.manifest, **parts)
        (self.folder / MANIFEST_FILE).write_text(format_json(self.manifest.to_json()))

    def put(self, precision: Any, content: bytes) -> None:
        """Replaces a file, and what the manifest says of it."""
        path = self.path(precision)
        path.write_bytes(content)
        contents = read_contents(content, precision)

        def updated(artifact: Artifact) -> Artifact:
            if artifact.file != path.name:
                return artifact
            return replace(artifact, sha256=sha256_file(path), input=contents.input, output=contents.output)

        self.change(artifacts=tuple(updated(artifact) for artifact in self.manifest.artifacts))

    def quantize(self, ranges: Ranges) -> None:
        """Makes the int8 file anew."""
        self.put(INT8, quantize_tflite(self.float_file, INT8, ranges))

    def ranges(
        self,
        pictures: Pixels | None = None,
        preprocessing: Preprocessing | None = None,
        settings: QuantizationSettings = DEFAULTS,
    ) -> Ranges:
        """Of the float file on the calibration pictures, or on others."""
        pixels = self.pictures() if pictures is None else pictures
        return measure_ranges(self.float_file, pixels, preprocessing or self.preprocessing, lambda _: None, settings)

    def edit(self, precision: Any, change: Callable[[Any], None]) -> None:
        """Changes a file as a model."""
        model = read_model(self.path(precision).read_bytes())
        change(model)
        self.put(precision, write_model(model))


def recalibrate(patient: Patient, settings: QuantizationSettings = DEFAULTS) -> None:
    """No fault: the int8 file made anew of fewer pictures, and the manifest says so."""
    pictures = patient.pictures()
    patient.quantize(patient.ranges(pictures, settings=settings))
    levers = replace(settings, bias_correction=False).to_json()
    made = {"images": FEW, "sha256": sample_digest(pictures), **levers}
    patient.change(calibration=dict(patient.manifest.calibration) | made)


def constant(model: Any, name: str, dtype: type) -> NDArray[Any]:
    """A constant's values, writable in place."""
    tensor = next(t for t in model.subgraphs[0].tensors if t.name == name.encode())
    buffer = model.buffers[tensor.buffer]
    buffer.data = np.array(buffer.data, np.uint8)
    values: NDArray[Any] = buffer.data.view(dtype).reshape(tuple(tensor.shape))
    return values


def noise() -> Pixels:
    """`np.random` instead of pictures, as in many a tutorial."""
    return np.random.default_rng(3).integers(0, 256, (24, 128, 128, 3), dtype=np.uint8)


def noise_calibration(patient: Patient) -> None:
    """Calibrated with noise."""
    patient.quantize(patient.ranges(noise()))


def calibration_normalised_otherwise(patient: Patient) -> None:
    """0..1 for the calibration, where training had -1..1."""
    patient.quantize(patient.ranges(preprocessing=PRESETS["zero-to-one"]))


def wrong_preprocessing(patient: Patient) -> None:
    """0..1 for everything, where training had -1..1."""
    other = PRESETS["zero-to-one"]
    patient.quantize(patient.ranges(preprocessing=other))
    patient.change(preprocessing=dict(patient.manifest.preprocessing) | other.to_json())


def few_pictures(patient: Patient) -> None:
    """One calibration picture, and a nearly black one."""
    patient.quantize(patient.ranges(patient.pictures(1) // 8))
    patient.change(calibration=dict(patient.manifest.calibration) | {"images": 1, "sha256": "0" * 64})


def dark_pictures(patient: Patient) -> None:
    """Calibration pictures of the night, test pictures of the day."""
    patient.quantize(patient.ranges(patient.pictures() // 16))


def huge_channel(patient: Patient) -> None:
    """A channel 60 times as large, which the next layer takes back: float answers alike, int8 has no steps left."""

    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        for operator in graph.operators:
            if graph.tensors[operator.outputs[0]].name == b"separable_6_depthwise":
                # Its limit of 6 would cut the channel off.
                operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
        constant(model, "separable_6_depthwise/kernel", np.float32)[..., 5] *= 60
        constant(model, "separable_6_depthwise/bias", np.float32)[5] *= 60
        constant(model, "separable_6_project/kernel", np.float32)[..., 5] /= 60

    patient.edit(FLOAT, change)
    patient.quantize(patient.ranges())


def dead_channel(patient: Patient) -> None:
    """A channel whose weights are all zero in the int8 file."""

    def change(model: Any) -> None:
        constant(model, "separable_3_project/kernel", np.int8)[7] = 0
        constant(model, "separable_3_project/bias", np.int32)[7] = 0

    patient.edit(INT8, change)


def narrow_range(patient: Patient) -> None:
    """One tensor's range at a quarter of what it needs."""
    ranges = patient.ranges()
    low, high = ranges["classifier"]
    patient.quantize(ranges | {"classifier": (low / 4, high / 4)})


def wide_range(patient: Patient) -> None:
    """One tensor's range 64 times as wide as it needs."""
    ranges = patient.ranges()
    patient.quantize(ranges | {"pool": (0.0, 64 * ranges["pool"][1])})


def names_swapped(patient: Patient) -> None:
    """Two lines of labels.txt exchanged."""
    names = (patient.folder / LABELS_FILE).read_text().split()
    names[3], names[8] = names[8], names[3]
    (patient.folder / LABELS_FILE).write_text("\n".join(names) + "\n")


def names_off_by_one(patient: Patient) -> None:
    """A background class in front, as in the files of TensorFlow's first releases."""
    names = (patient.folder / LABELS_FILE).read_text().split()
    (patient.folder / LABELS_FILE).write_text("\n".join(["background", *names[:-1]]) + "\n")


def outputs_rolled(patient: Patient) -> None:
    """A network that learned each class one place further."""
    _reorder(patient, np.roll(np.arange(10), 1))


def outputs_swapped(patient: Patient) -> None:
    """A network that learned two classes for each other."""
    order = np.arange(10)
    order[[2, 6]] = order[[6, 2]]
    _reorder(patient, order)


def _reorder(patient: Patient, order: NDArray[np.int64]) -> None:
    def change(model: Any) -> None:
        for name in ("classifier/kernel", "classifier/bias"):
            values = constant(model, name, np.float32)
            values[:] = values[order].copy()

    patient.edit(FLOAT, change)
    patient.quantize(patient.ranges())


def other_weights(patient: Patient) -> None:
    """An int8 file of another training."""

    def change(model: Any) -> None:
        rng = np.random.default_rng(1)
        for tensor in model.subgraphs[0].tensors:
            if tensor.name.endswith(b"/kernel") and len(tensor.shape) > 1:
                rng.shuffle(constant(model, tensor.name.decode(), np.float32).reshape(-1))

    float_file = patient.float_file
    patient.edit(FLOAT, change)
    patient.quantize(patient.ranges())
    patient.put(FLOAT, float_file)


PLANTS: dict[Callable[[Patient], None], str] = {
    noise_calibration: "noise_calibration",
    calibration_normalised_otherwise: "unnormalised_input",
    wrong_preprocessing: "wrong_preprocessing",
    few_pictures: "few_calibration_images",
    dark_pictures: "unlike_calibration_images",
    huge_channel: "channel_spread",
    dead_channel: "dead_channel",
    narrow_range: "saturated_range",
    wide_range: "wide_range",
    names_swapped: "swapped_labels",
    names_off_by_one: "label_offset",
    outputs_rolled: "label_offset",
    outputs_swapped: "swapped_labels",
    other_weights: "other_weights",
}
"""What the doctor must call each."""


def operators(content: bytes) -> list[str]:
    """Of a file, in order."""
    model = read_model(content)
    return [builtin_name(model.operatorCodes[o.opcodeIndex]) for o in model.subgraphs[0].operators]


def read_json(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text("utf-8"))
