"""The files to be measured, taken from an export's manifest, and the pictures that check them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.case import Model
from export.artifact import Artifact, Manifest, load_manifest
from export.precision import Precision
from models.checkpoint import run_folder
from models.cli import make_command
from models.data import Pixels
from models.errors import DataError, UsageError
from models.files import sha256_file
from models.imagenet import IMAGENET
from models.spec import ModelSpec, Preprocessing
from models.weights import CHOICES, weights_source
from models.worker import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One export's proven files."""

    folder: Path
    manifest: Manifest
    artifacts: tuple[Artifact, ...]
    """Those asked for."""

    @property
    def preprocessing(self) -> Preprocessing:
        """With which the files were calibrated and verified."""
        names = {field.name for field in fields(Preprocessing)}
        known = {name: value for name, value in self.manifest.preprocessing.items() if name in names}
        return Preprocessing.from_json(known)

    @property
    def models(self) -> tuple[Model, ...]:
        """As cases name them."""
        return tuple(_model(artifact) for artifact in self.artifacts)

    def artifact(self, file: str) -> Artifact:
        """The artifact of that file name."""
        return next(artifact for artifact in self.artifacts if artifact.file == file)

    def description(self) -> dict[str, Any]:
        """What a benchmark's record says of them."""
        return {
            "name": self.manifest.model["name"],
            "resolution_px": self.manifest.model["resolution_px"],
            "weights": self.manifest.weights["source"],
            "weights_sha256": self.manifest.weights["sha256"],
            "tools": dict(self.manifest.tools),
        }


def exported_folder(build_dir: Path, model: str, weights: str, dataset: str) -> Path:
    """Where the export of a choice of weights lies."""
    from models.data import dataset_slug

    return run_folder(build_dir, model, weights_source(weights, dataset_slug(dataset)))


def find_exported(folder: Path, weights: str, dataset: str, precisions: Sequence[Precision]) -> Exported | None:
    """The proven files of those precisions; None if any of them has to be exported first.

    Args:
        folder: Of the export.
        weights: As they are called on the command line.
        dataset: As it is called there.
        precisions: Of the files.

    Raises:
        UsageError: a file was exported and failed its checks: it would be measured for nothing.
    """
    manifest = load_manifest(folder)
    if manifest is None:
        return None
    if weights not in CHOICES and (
        not Path(weights).is_file() or sha256_file(Path(weights)) != manifest.weights["sha256"]
    ):
        return None
    rows = {(artifact.format, artifact.precision): artifact for artifact in manifest.artifacts}
    found = [rows.get((precision.format, precision.name)) for precision in precisions]
    for artifact in found:
        if artifact is not None and not artifact.passed:
            command = make_command("export", manifest.model["name"], weights=weights, dataset=dataset)
            raise UsageError(
                f"{folder / artifact.file} failed its checks when it was exported; why: `{command}`; "
                "PRECISION leaves it out"
            )
    artifacts = tuple(artifact for artifact in found if artifact is not None)
    exported = Exported(folder=folder, manifest=manifest, artifacts=artifacts)
    try:
        _ = exported.preprocessing
    except (KeyError, TypeError, ValueError):
        # An edited or foreign manifest: what the files expect is unknown.
        return None
    return exported if len(artifacts) == len(found) else None


def export_first(
    spec: ModelSpec, weights: str, dataset: str, precisions: tuple[Precision, ...], build_dir: Path, report: Report
) -> Exported:
    """Exports the files of those precisions now, as `make export` does.

    Raises:
        ToolchainError: the export failed.
        UsageError: a file failed its checks.
    """
    from export.pipeline import export_model
    from export.request import ExportRequest, tell_removed

    request = ExportRequest(
        spec=spec,
        dataset=dataset,
        weights=weights,
        precisions=precisions,
        calibration_images=None,
        seed=0,
        output="probabilities",
        build_dir=build_dir,
    )
    made = export_model(request, report)
    tell_removed(made, report)
    folder = made.folder
    exported = find_exported(folder, weights, dataset, precisions)
    if exported is None:
        command = make_command("export", spec.name, weights=weights, dataset=dataset)
        raise UsageError(f"the export into {folder} is not complete; see what `{command}` says")
    return exported


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """Labelled test pictures as raw network input."""

    pixels: Pixels
    """uint8 `[N, H, W, 3]`."""
    classes: NDArray[np.int64]
    """`[N]`."""

    def first(self, count: int) -> Pictures:
        """The first of them."""
        return Pictures(pixels=self.pixels[:count], classes=self.classes[:count])


def load_pictures(exported: Exported, spec: ModelSpec, dataset: str, count: int, report: Report) -> Pictures:
    """Pictures of the held-out test split, in the order of a fixed shuffle: any number from the start is a fair sample.

    Args:
        exported: What they are for.
        spec: The network, with the preprocessing it was trained with.
        dataset: What the data set is called on the command line.
        count: Of the pictures.
        report: Receives the progress, if they have to be made first.

    Raises:
        DataError: the split has fewer, or it is not the data set that the files were exported with.
    """
    from models.data import DATASETS, as_imagenet, dataset_slug, lazy_pixels, load_dataset

    named = exported.manifest.weights["dataset"]
    if exported.manifest.weights["source"] == IMAGENET:
        dataset = as_imagenet(dataset)
    if dataset_slug(dataset) != named:
        if named not in DATASETS:
            raise DataError(
                f"the files in {exported.folder} were exported with data set {named}; give it with --dataset"
            )
        dataset = named
    data = load_dataset(dataset, report)
    expected = exported.manifest.weights.get("dataset_sha256")
    if expected and data.digest != expected:
        raise DataError(f"data set {named} is not what it was when {exported.folder} was exported; export it again")
    test = np.random.default_rng(0).permutation(data.splits["test"])
    if count > len(test):
        raise DataError(f"{count} test images asked for, {data.name} has {len(test)}; ask for at most that")
    chosen = test[:count]
    pixels = lazy_pixels(data, chosen, spec.preprocessing, spec.resolution_px)[:]
    return Pictures(pixels=pixels, classes=data.classes[chosen])


def _model(artifact: Artifact) -> Model:
    return Model(
        file=artifact.file,
        format=artifact.format,
        precision=artifact.precision,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        input_name=artifact.input.name,
        input_dtype=artifact.input.dtype,
        input_shape=artifact.input.shape,
        output_dtype=artifact.output.dtype,
    )
