"""What is quantized: a trained network or its stress twin, as float files and pictures, the same for every tool."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.quantization.settings import NAIVE, QuantizationSettings
from export.work import WorkFiles, save_array
from models.data import lazy_pixels, load_dataset, stratified_sample
from models.spec import ModelSpec
from models.worker import Progress, Report

FLOAT_VERSION = "2"
"""Of the float files: another one where `export` writes other ones, and every tool begins anew."""
FEW = 4
"""Test pictures for the comparison with Keras that every conversion makes; the benchmark itself reads them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network with its weights and pictures."""

    spec: ModelSpec
    """With the class count of the data set."""
    weights: Path
    """The `.keras` file of the network as it was trained."""
    twin: bool
    """Whether it is the stress twin: the same function with unlike channels."""
    dataset: str
    images: int
    """For calibration."""
    folder: Path
    """Where its files are kept."""

    @property
    def title(self) -> str:
        """In the words of a table."""
        return f"{self.spec.name}{' twin' if self.twin else ''}"

    @property
    def work(self) -> WorkFiles:
        """Float files and pictures."""
        return WorkFiles(self.folder)

    @property
    def checkpoint(self) -> Path:
        """The `.keras` file that is converted."""
        return self.folder / "twin.keras" if self.twin else self.weights


def find_subject(spec: ModelSpec, weights: Path, dataset: str, images: int, store: Path, *, twin: bool) -> Subject:
    """The subject with a folder of its own, named by the hash of all that its float files and pictures depend on."""
    data = load_dataset(dataset)
    parts = (
        FLOAT_VERSION,
        hashlib.sha256(weights.read_bytes()).hexdigest(),
        data.digest,
        str(spec.resolution_px),
        str(images),
    )
    digest = hashlib.sha256("\0".join((spec.name, *parts, str(twin))).encode()).hexdigest()
    folder = store / f"{spec.name}-{'twin-' if twin else ''}{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return Subject(spec=spec, weights=weights, twin=twin, dataset=dataset, images=images, folder=folder)


def prepare(report: Report, subject: Subject) -> None:
    """Writes the representative pictures, the twin's checkpoint and the float files, unless they are there."""
    work, spec = subject.work, subject.spec
    # Written last, once the float files are proven to be of this network.
    if work.reference.exists():
        return
    data = load_dataset(subject.dataset)
    chosen = stratified_sample(data.classes, data.splits["train"], subject.images, 0)
    save_array(work.calibration_pixels, lazy_pixels(data, chosen, spec.preprocessing, spec.resolution_px)[:])
    few = lazy_pixels(data, data.splits["test"][:FEW], spec.preprocessing, spec.resolution_px)[:]
    save_array(work.test_pixels, few)
    if subject.twin:
        report(Progress(stage="twin", done=0, total=1))
        changed = write_twin(subject)
        report(Progress(stage="twin", done=1, total=1, detail=f"{changed} channels rescaled"))
    convert(report, subject, work, NAIVE)


def convert(report: Report, subject: Subject, work: WorkFiles, settings: QuantizationSettings) -> None:
    """The float TFLite and ONNX files, which end with logits, equalized as the settings have it."""
    from export.to_float import convert_float

    convert_float(report, subject.spec, subject.checkpoint, "logits", True, work, settings)


def write_twin(subject: Subject) -> int:
    """Writes the twin as a checkpoint of its own; returns how many channels were rescaled.

    Its batch normalizations do nothing but add a bias, so that it loads and folds as any other checkpoint.
    """
    from export.equalized import read_weights
    from models.blocks import plan_layers
    from models.build import BATCH_NORM_EPSILON, build, fold_batch_norm
    from models.load import into_network, read_checkpoint
    from tests.export.quantization.twins import stress

    spec = subject.spec
    folded = fold_batch_norm(into_network(subject.weights, read_checkpoint(subject.weights), spec), spec)
    changed = stress(folded, spec, np.load(subject.work.calibration_pixels))
    weights, twin, plan = read_weights(folded, spec), build(spec), plan_layers(spec)
    gated = {layer.name for layer in plan if layer.kind == "multiply"}
    for layer in plan:
        if layer.name not in weights:
            continue
        kernel, *bias = weights[layer.name]
        # What folding does to hard-sigmoids, undone.
        kernel = kernel * np.float32(6) if layer.inputs[0] in gated else kernel
        bias = [bias[0] - np.float32(3)] if layer.activation == "hard_sigmoid" else bias
        if layer.shift == "norm":
            one, zero = np.ones_like(bias[0]), np.zeros_like(bias[0])
            norm = [one, bias[0], zero, one - np.float32(BATCH_NORM_EPSILON)]
            twin.get_layer(f"{layer.name}_norm").set_weights(norm)
            bias = []
        twin.get_layer(layer.name).set_weights([kernel, *bias])
    twin.save(subject.checkpoint)
    return changed
