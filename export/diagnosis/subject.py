"""What is examined: the export in a folder, and the pictures it was made with."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from export.artifact import LABELS_FILE, MANIFEST_FILE, Artifact, Manifest, load_manifest
from export.metadata.labels import parse_labels
from export.record import AGAIN, as_stored, check_manifest
from models.data import DATASETS
from models.errors import BrokenFileError, DataError, UsageError
from models.imagenet import IMAGENET
from models.spec import OWN
from models.weights import RANDOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An export with the two files that are compared."""

    folder: Path
    manifest: Manifest
    float_file: Artifact
    int8_file: Artifact
    dataset: str
    """What it is called on the command line."""
    labels: tuple[str, ...]
    """Of `labels.txt`."""
    words: tuple[str, ...]
    """Of `make`, that name this export: `MODEL=…`, `DATASET=…`."""

    def make(self, target: str, *more: str) -> str:
        """A command about this export; what is given more replaces what was given before."""
        replaced = {word.partition("=")[0] for word in more}
        # A training has no weights to take and no preprocessing to be told.
        kept = ("MODEL", "DATASET") if target == "train" else None
        words = [(word.partition("=")[0], word) for word in self.words]
        return shlex.join(
            ["make", target, *(w for name, w in words if name not in replaced and (not kept or name in kept)), *more]
        )


def open_subject(folder: Path, precision: str, dataset: str | None, words: tuple[str, ...] = ()) -> Subject:
    """The export in a folder.

    Args:
        folder: What `make export` made.
        precision: `int8`, `int8_npu` or `int16x8`.
        dataset: Its data set, where the manifest's name for it is not enough to find it.
        words: Of `make`, that name this export; none: by its manifest.

    Raises:
        UsageError: there is no export, or it lacks one of the two files.
        BrokenFileError: the manifest says what no export writes, or a file cannot be read.
        DataError: the data set cannot be found by its name alone.
    """
    manifest = load_manifest(folder)
    named = shlex.join(["make", "export", *(words or ("MODEL=…",))])
    if manifest is None:
        raise UsageError(f"{folder} holds no export that can be read; make one with `{named}`")
    check_manifest(manifest, folder)
    words = words or _words(manifest)
    files = {artifact.precision: artifact for artifact in manifest.artifacts if artifact.format == "tflite"}
    missing = [name for name in ("float32", precision) if name not in files]
    if missing:
        again = shlex.join(["make", "export", *words, f"PRECISION=float32,{precision}", "FORMAT=tflite"])
        raise UsageError(
            f"{folder} has no {' and no '.join(missing)} TFLite file as its manifest describes it, and the doctor "
            f"compares both; make them with `{again}`"
        )
    name = manifest.weights["dataset"]
    if dataset is None and name not in DATASETS:
        raise DataError(f"the files in {folder} were verified with data set {name}; give it with --dataset")
    float_file, int8_file = (as_stored(files[name], folder) for name in ("float32", precision))
    classes = {artifact.output.shape[-1] for artifact in (float_file, int8_file)}
    return Subject(
        folder=folder,
        manifest=manifest,
        float_file=float_file,
        int8_file=int8_file,
        dataset=dataset or name,
        labels=_labels(folder, manifest, classes),
        words=words,
    )


def _labels(folder: Path, manifest: Manifest, classes: set[int]) -> tuple[str, ...]:
    path, count = folder / LABELS_FILE, manifest.labels["count"]
    if classes != {count}:
        given = " and ".join(map(str, sorted(classes)))
        raise BrokenFileError(f"{folder / MANIFEST_FILE}: labels.count is {count}, the files have {given}; {AGAIN}")
    try:
        return parse_labels(path.read_bytes(), count)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; export again") from error


def _words(manifest: Manifest) -> tuple[str, ...]:
    source, dataset = manifest.weights["source"], manifest.weights["dataset"]
    name = manifest.model["name"]
    # Where a file lies is not on record.
    words = [f"MODEL=path/to/{name}.keras" if source == OWN else f"MODEL={name}"]
    if source in (RANDOM, IMAGENET):
        words.append(f"WEIGHTS={source}")
    elif source not in (OWN, dataset):
        words.append(f"WEIGHTS=path/to/{source}.keras")
    if dataset != "digits":
        words.append(f"DATASET={dataset}")
    return tuple(words)
