"""The same pictures through our preprocessing and LiteRT, and through MediaPipe's: how far the answers differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.artifact import Artifact, Check, Manifest, load_manifest
from export.contents import read_contents
from export.mediapipe_task import INPUT_DTYPES, OUTPUT_DTYPES, Classify, image_classifier
from export.precision import PRECISIONS, for_random_weights
from export.record import as_stored, check_manifest, manifest_preprocessing
from export.verify import load_tflite, paired_interval, to_input, to_probabilities
from models.data import DATASETS, Pixels, load_dataset, prepare_picture
from models.errors import DataError, UsageError
from models.spec import Preprocessing
from models.weights import RANDOM
from models.worker import Progress, Report, Task, run_in_workers

PARITY_FILE = "parity.json"
SEED = 20_170_417

Way = Callable[[Pixels, Preprocessing, int, int], Pixels]
"""A picture, the preprocessing, the input's side in pixels and the picture's number to what both are given."""


def _prepared(picture: Pixels, preprocessing: Preprocessing, size_px: int, _: int) -> Pixels:
    return prepare_picture(picture, preprocessing, size_px)


def _own_size(picture: Pixels, _: Preprocessing, __: int, ___: int) -> Pixels:
    return picture


def _odd_size(picture: Pixels, _: Preprocessing, size_px: int, number: int) -> Pixels:
    """From 0.6 to 2.4 times the input's side, no side even, and no two alike."""
    draw = np.random.default_rng((SEED, number)).uniform(0.6, 2.4, 2) * size_px
    width, height = (int(side) // 2 * 2 + 1 for side in draw)
    return np.asarray(
        Image.fromarray(picture).resize((width, height + 2 * (width == height)), Image.Resampling.LANCZOS)
    )


WAYS: Mapping[str, Way] = MappingProxyType({"prepared": _prepared, "own size": _own_size, "odd sizes": _odd_size})
"""How a picture reaches the two: as we prepare it, so that nobody scales it again and only the runtimes differ; as it
lies in the data set; and at sizes that fit nothing."""

MAX_RESIZE_DROP = 0.02
"""Accuracy that MediaPipe's own resize may lose against ours, if the pictures are enough to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One file, one way. Accuracies and shares are 0..1."""

    file: str
    sha256: str
    way: str
    images: int
    top1: float
    """Ours."""
    mediapipe_top1: float
    drop_ci95: tuple[float, float]
    """Paired 95 % interval of the accuracy that MediaPipe loses."""
    agreement: float
    """Share of pictures with the same top-1 class."""
    max_abs_error: float
    """Largest difference of any score."""
    smaller: bool
    """Whether a picture was smaller than the input, which MediaPipe does not enlarge without moving it."""
    check: Check | None
    """None: the pictures are what they are, and the accuracy is told."""

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the file."""
        return self.check is None or self.check.passed

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "drop_ci95": list(self.drop_ci95)}


def accepted(artifact: Artifact) -> bool:
    """Whether MediaPipe takes such a file at all."""
    fits = artifact.input.dtype in INPUT_DTYPES and artifact.output.dtype in OUTPUT_DTYPES
    return artifact.format == "tflite" and fits


def measure_parity(folder: Path, dataset: str | None, images: int, report: Report) -> tuple[Comparison, ...]:
    """Compares every proven file of an export that MediaPipe takes, in the order of the manifest.

    Args:
        folder: What `make export` made.
        dataset: Its data set, where the manifest's name for it is not enough to find it.
        images: At most this many of its test pictures.
        report: Receives the progress.

    Raises:
        UsageError: there is no export, or no file that MediaPipe takes.
        BrokenFileError: the manifest says what no export writes, or a file cannot be read.
        DataError: the data set is not the one that the files were verified with.
        NotInstalledError: MediaPipe cannot be used here.
        VerificationError: MediaPipe refuses a file.
    """
    manifest = load_manifest(folder)
    if manifest is None:
        raise UsageError(f"{folder} holds no export; make one with `make export MODEL=…`")
    proven = [as_stored(a, folder) for a in manifest.artifacts if a.passed and a.format == "tflite"]
    artifacts = [artifact for artifact in proven if accepted(artifact)]
    if not artifacts:
        raise UsageError(
            f"{folder} holds no .tflite file that passed and that MediaPipe takes (uint8 or float32 in and out); "
            "export float32 or int8"
        )
    check_manifest(manifest, folder)
    name = manifest.weights["dataset"]
    if dataset is None and name not in DATASETS:
        raise DataError(f"the files in {folder} were verified with data set {name}; give it with --dataset")
    tasks = [Task(_compare, (folder, artifact, manifest, dataset or name, images)) for artifact in artifacts]
    results: list[Comparison] = []
    for outcome in run_in_workers(tasks, at_once=2, report=report):
        if isinstance(outcome, Exception):
            raise outcome
        results += outcome
    return tuple(results)


def _compare(
    report: Report, folder: Path, artifact: Artifact, manifest: Manifest, dataset: str, images: int
) -> list[Comparison]:
    """One file, all ways, in a worker."""
    data = load_dataset(dataset, report)
    if data.digest != manifest.weights["dataset_sha256"]:
        raise DataError(f"data set {dataset} is not the one that {folder} was verified with; give that with --dataset")
    test = np.random.default_rng(0).permutation(data.splits["test"])[:images]
    path, preprocessing = folder / artifact.file, manifest_preprocessing(manifest)
    size_px, classes = artifact.input.shape[1], artifact.output.shape[-1]
    ours = our_classifier(path, artifact, preprocessing)
    found = []
    with image_classifier(path, classes) as theirs:
        for way, change in WAYS.items():
            stage, rows, smaller = f"MediaPipe {artifact.precision}, {way}", [], False
            for done, number in enumerate(test):
                picture = change(data.images[number], preprocessing, size_px, int(number))
                smaller |= min(picture.shape[:2]) < size_px
                rows.append((ours(picture), theirs(picture)))
                report(Progress(stage=stage, done=done + 1, total=len(test)))
            least = least_agreement(artifact, manifest.weights["source"])
            found.append(judge(artifact, way, np.array(rows), data.classes[test], least, smaller=smaller))
    return found


def our_classifier(path: Path, artifact: Artifact, preprocessing: Preprocessing) -> Classify:
    """Our preprocessing and LiteRT, as verification has them."""
    contents = read_contents(path.read_bytes(), PRECISIONS[artifact.format, artifact.precision])
    predict = load_tflite(path, builtin_only=False)

    def classify(picture: Pixels) -> NDArray[np.float64]:
        pixels = prepare_picture(picture, preprocessing, contents.input.shape[1])[None]
        stored: NDArray[Any] = predict(to_input(pixels, contents.input, preprocessing))
        scores: NDArray[np.float64] = to_probabilities(stored, contents.output)[0]
        return scores

    return classify


def least_agreement(artifact: Artifact, weights: str) -> float | None:
    """Share of pictures on which two runtimes must name the same class, given the same pixels; None: not limited.

    What verification allows the file against the Keras model: ties flip as single steps are rounded otherwise, in int8
    and above all in dynamic_range, which rounds every activation anew; another normalisation, order of channels or of
    class names flips tens of percent.
    """
    limits = PRECISIONS[artifact.format, artifact.precision].limits
    return (for_random_weights(limits) if weights == RANDOM else limits).min_top1_agreement


def judge(
    artifact: Artifact,
    way: str,
    scores: NDArray[np.float64],
    classes: NDArray[np.int64],
    least: float | None,
    *,
    smaller: bool,
) -> Comparison:
    """The comparison of one way.

    Args:
        artifact: The file.
        way: A name in `WAYS`.
        scores: `[N, 2, classes]`, ours and MediaPipe's.
        classes: The true class of each picture, `[N]`.
        least: Share of prepared pictures that must get the same class.
        smaller: Whether a picture was smaller than the input.
    """
    ours, theirs = scores.argmax(axis=2).T
    agreement, interval = float(np.mean(ours == theirs)), paired_interval(ours == classes, theirs == classes)
    check = None
    if way == "prepared" and least is not None:
        passed = agreement >= least
        check = Check(name="agreement", value=agreement, limit=least, passed=passed, detail="")
    elif way == "odd sizes":
        # The least loss that the pictures leave possible: few pictures prove nothing.
        passed = interval[0] <= MAX_RESIZE_DROP
        check = Check(name="least top1_drop", value=interval[0], limit=MAX_RESIZE_DROP, passed=passed, detail="")
    return Comparison(
        file=artifact.file,
        sha256=artifact.sha256,
        way=way,
        images=len(classes),
        top1=float(np.mean(ours == classes)),
        mediapipe_top1=float(np.mean(theirs == classes)),
        drop_ci95=interval,
        agreement=agreement,
        max_abs_error=float(np.abs(scores[:, 0] - scores[:, 1]).max()),
        smaller=smaller,
        check=check,
    )
