"""Golden vectors: test pictures that every bundled file gets right, with what goes in and what must come out."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.bundle.contract import Contract
from export.bundle.labels import check_order
from export.bundle.shipped.verify_bundle import MIN_VECTORS
from export.bundle.tolerances import TOLERANCES
from export.verify import Predict, load_tflite, to_input, to_probabilities
from models.data import Dataset, Pixels, load_dataset, prepare_picture
from models.errors import DataError, VerificationError
from models.worker import Progress, Report

STAGE = "golden vectors"
LEAST, MOST = MIN_VECTORS, 16
"""Pictures: one of each class, as far as that goes."""
MAX_TRIED = 400
"""Pictures looked at before a network counts as one that gets nothing right."""
PATIENCE = 8
"""Pictures of a class looked at before another class may be shown twice instead."""
TOP = 5

_SIZES = ((1.43, 1.31), (0.71, 0.83), (2.13, 1.91), (1.0, 1.17), (0.57, 0.47), (1.73, 2.03), (1.21, 0.93), (2.51, 2.77))
"""Width and height of golden pictures over the network's input, made odd: larger and smaller, wide and tall, so that
whoever resizes them in another way is found out. They differ little enough from the picture's own shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A bundled file and where it lies."""

    path: Path
    contract: Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """What was made, as the manifest has it."""

    images: tuple[dict[str, Any], ...]
    vectors: dict[str, tuple[dict[str, Any], ...]]
    """By precision."""
    source: str
    """Of the pictures, for people."""


def golden_stage(
    report: Report, dataset: str, digest: str, names: tuple[str, ...], subjects: tuple[Subject, ...], bundle: Path
) -> Golden:
    """Chooses pictures of the test split and writes them, the inputs made of them and the outputs, into `bundle`.

    Args:
        report: Receives the progress.
        dataset: As on the command line.
        digest: Of the data set that the files were verified on.
        names: Of the classes.
        subjects: The files; the first one's preprocessing is that of all.
        bundle: The folder in the making.

    Raises:
        DataError: the pictures are others by now, or the class names are out of the data set's order.
        VerificationError: the files do not get enough of the pictures right.
    """
    data = load_dataset(dataset, report)
    if data.digest != digest:
        raise DataError(
            f"the pictures of {dataset} are not those that the files were verified on (sha256 {data.digest[:12]}…, "
            f"then {digest[:12]}…); export again"
        )
    check_order(names, data.labels)
    predictors = {subject.contract.precision: load_tflite(subject.path, builtin_only=False) for subject in subjects}
    chosen = _choose(report, data, subjects, predictors)
    if len(chosen) < LEAST:
        raise VerificationError(
            f"all of {', '.join(predictors)} get only {len(chosen)} of {MAX_TRIED} test pictures right, at least "
            f"{LEAST} are needed to prove a bundle; train longer, or choose other precisions"
        )
    report(Progress(stage=STAGE, done=len(chosen), total=len(chosen), detail=f"{len(chosen)} pictures"))
    return _write(chosen, names, subjects, bundle, data.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """A picture that all files get right."""

    class_index: int
    picture: Pixels
    inputs: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]
    """Both by precision, as the tensors have them."""
    clear: bool
    """Whether no file's tolerance could make another class the best one."""


def _choose(
    report: Report, data: Dataset, subjects: Sequence[Subject], predictors: dict[str, Predict]
) -> list[_Chosen]:
    """Pictures that all files get right, one of each class as far as that goes."""
    present = len(np.unique(data.classes[data.splits["test"]]))
    wanted = max(LEAST, min(MOST, present))
    chosen: list[_Chosen] = []
    doubtful: list[_Chosen] = []
    tried = 0
    for turn, index, again in _candidates(data):
        shown = {one.class_index for one in chosen}
        # Each class once, before any comes again.
        if int(data.classes[index]) in shown and len(shown) < min(wanted, present) and turn < PATIENCE:
            continue
        if len(chosen) == wanted or tried == MAX_TRIED:
            break
        tried += 1
        report(Progress(stage=STAGE, done=len(chosen), total=wanted))
        judged = _judge(data, index, len(chosen) + again, subjects, predictors)
        if judged is not None:
            (chosen if judged.clear else doubtful).append(judged)
    # Of networks that are sure of nothing, what they get right by a little; classes not shown yet first.
    shown = {one.class_index for one in chosen}
    doubtful.sort(key=lambda one: one.class_index in shown)
    return (chosen + doubtful)[:wanted]


def _candidates(data: Dataset) -> Iterator[tuple[int, int, int]]:
    """Turn, test picture and how often it came before: class after class, and after all the same at other sizes."""
    test = data.splits["test"]
    classes = data.classes[test]
    present = np.unique(classes)
    # Of many classes, those that lie evenly between the first and the last come first.
    first = present[np.linspace(0, len(present) - 1, min(MOST, len(present))).round().astype(int)]
    by_class = [test[classes == number] for number in (*first, *np.setdiff1d(present, first))]
    for turn in range(MAX_TRIED):
        for indices in by_class:
            yield turn, int(indices[turn % len(indices)]), turn // len(indices)


def _judge(
    data: Dataset, index: int, size: int, subjects: Sequence[Subject], predictors: dict[str, Predict]
) -> _Chosen | None:
    """The picture with all inputs and outputs; None if a file names another class."""
    first = subjects[0].contract
    picture = _at_odd_size(data.images[index], first.side_px, size)
    pixels = prepare_picture(picture, first.preprocessing, first.side_px)[None]
    wanted, clear = int(data.classes[index]), True
    inputs, outputs = {}, {}
    for subject in subjects:
        contract = subject.contract
        given = to_input(pixels, contract.input, contract.preprocessing)
        output = predictors[contract.precision](given)
        probabilities = to_probabilities(output, contract.output)[0]
        if int(probabilities.argmax()) != wanted:
            return None
        margin = probabilities[wanted] - np.delete(probabilities, wanted).max()
        clear = clear and bool(margin > 2 * TOLERANCES[contract.precision].max_abs_error)
        inputs[contract.precision], outputs[contract.precision] = np.ascontiguousarray(given), output
    return _Chosen(class_index=wanted, picture=picture, inputs=inputs, outputs=outputs, clear=clear)


def _at_odd_size(picture: Pixels, side_px: int, number: int) -> Pixels:
    """The picture with odd sides near the network's, and nearly its own shape."""
    height, width = picture.shape[:2]
    wide, tall = _SIZES[number % len(_SIZES)]
    longest = max(height, width)
    # At most three to one: a strip would be stretched to nothing recognisable.
    sides = (
        max(side / longest, 1 / 3) * share * side_px for side, share in ((width, wide), (height, tall))
    )  # fmt: skip
    size = tuple(int(side) | 1 for side in sides)
    return np.asarray(Image.fromarray(picture).resize((size[0], size[1]), Image.Resampling.BICUBIC))


def _write(
    chosen: Sequence[_Chosen], names: Sequence[str], subjects: Sequence[Subject], bundle: Path, source: str
) -> Golden:
    images = []
    vectors: dict[str, list[dict[str, Any]]] = {subject.contract.precision: [] for subject in subjects}
    for number, one in enumerate(chosen, start=1):
        image = f"golden/images/{number:02}.png"
        buffer = io.BytesIO()
        Image.fromarray(one.picture).save(buffer, format="PNG")
        _put(bundle / image, buffer.getvalue())
        images.append(
            {
                "file": image,
                "width_px": one.picture.shape[1],
                "height_px": one.picture.shape[0],
                "class_index": one.class_index,
                "label": names[one.class_index],
            }
        )
        for subject in subjects:
            contract = subject.contract
            # Files that take the same share it.
            given = f"golden/inputs/{contract.input.dtype}/{number:02}.npy"
            output = f"golden/outputs/{contract.precision}/{number:02}.npy"
            _put(bundle / given, _npy(one.inputs[contract.precision]))
            _put(bundle / output, _npy(one.outputs[contract.precision]))
            probabilities = to_probabilities(one.outputs[contract.precision], contract.output)[0]
            best = sorted(range(len(names)), key=lambda i, p=probabilities: (-p[i], i))[:TOP]  # type: ignore[misc]
            top = [{"index": i, "label": names[i], "probability": float(probabilities[i])} for i in best]
            vectors[contract.precision].append({"image": image, "input": given, "output": output, "top5": top})
    return Golden(images=tuple(images), vectors={name: tuple(rows) for name, rows in vectors.items()}, source=source)


def _npy(tensor: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, tensor, allow_pickle=False)
    return buffer.getvalue()


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
