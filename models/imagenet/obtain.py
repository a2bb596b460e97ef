"""The ImageNet weights of a network as a checkpoint in the build folder, with the record of where they are from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from models.checkpoint import KERAS_FILE, TrainedModel, load_trained, make_reproducible, save_trained
from models.files import output_errors, sha256_file, work_folder
from models.imagenet.download import models_folder, swept
from models.imagenet.released import CLASS_COUNT, IMAGENET, LICENCE, Release
from models.spec import ModelSpec
from models.worker import STARTING, Progress, Report, run_in_worker


def load_obtained(folder: Path, release: Release) -> TrainedModel | None:
    """The checkpoint in `folder`; None if there is none of that release.

    Raises:
        WeightsError: it was changed or damaged.
    """
    trained = load_trained(folder)
    return trained if trained and trained.record.get("origin", {}).get("url") == release.url else None


def obtain_imagenet(spec: ModelSpec, release: Release, folder: Path, report: Report) -> TrainedModel:
    """Makes the checkpoint in a worker process and publishes it in `folder`.

    Raises:
        WeightsError: the weights cannot be downloaded, or the file is damaged or another.
        WorkerError: the process died.
        OutputError: `folder` or Keras' cache cannot be written.
    """
    with work_folder(folder) as work, swept():
        made = work / KERAS_FILE
        return save_trained(made, folder, run_in_worker(_make, spec, release, made, report=report))


def _make(report: Report, spec: ModelSpec, release: Release, made: Path) -> dict[str, Any]:
    # Here, in the worker, TensorFlow may be imported.
    report(Progress(stage=STARTING, done=0, total=1))
    from models.imagenet.network import load_imagenet

    report(Progress(stage=STARTING, done=1, total=1))
    spec = replace(spec, num_classes=CLASS_COUNT)
    model = load_imagenet(spec, report, release)
    with output_errors(made):
        model.save(made)
        make_reproducible(made)
    return describe_origin(spec, release, models_folder() / release.file_name)


def describe_origin(spec: ModelSpec, release: Release, path: Path) -> dict[str, Any]:
    """What `trained.json` says of weights that were not trained here."""
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    published = spec.published
    return {
        "model": spec.name,
        "dataset": {"name": IMAGENET, "source": "ImageNet (ILSVRC 2012)"},
        "preprocessing": spec.preprocessing.to_json(),
        "settings": {"seed": None, "phases": []},
        "origin": {
            "url": release.url,
            "file_sha256": sha256_file(path),
            "file_md5": md5,
            "checked_against_md5": release.md5,
            "unchecked_reason": None if release.md5 else "Keras knows no hash of this file",
            "licence": LICENCE,
            "published_top1": published.top1 if published else None,
        },
        "versions": {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy", "h5py")},
    }
