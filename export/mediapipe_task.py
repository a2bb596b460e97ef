"""MediaPipe's ImageClassifier as apps have it, on the CPU, in a process that cannot report its use.

Since 0.10.35 MediaPipe Tasks send metrics to their maker, without a switch for it (its package's privacy notice;
google-ai-edge/mediapipe#6291). Pictures stay where they are; still, nothing here reports to anybody.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.offline import forbid_connections
from models.data import Pixels
from models.errors import NotInstalledError, VerificationError
from models.worker import Progress, Report

INPUT_DTYPES = OUTPUT_DTYPES = ("uint8", "float32")
"""What it accepts. It refuses int8: `Requested one of these types: uint8/float32, got INT8`."""

Classify = Callable[[Pixels], NDArray[np.float64]]
"""A picture, uint8 `[H, W, 3]` RGB of any size, to the scores of all classes, `[classes]`."""


def load_mediapipe() -> Any:
    """The module `mediapipe`; from here on this process cannot open a connection.

    Raises:
        NotInstalledError: it is not installed, the system lacks a library of it, or connections cannot be forbidden.
    """
    forbid_connections()
    # It imports TensorFlow, if there is one, for a decorator of its documentation: 5 s for nothing. And what it draws
    # with: OpenCV, which wants libGL, and Matplotlib, which writes into the home folder.
    sys.modules.setdefault("tensorflow", None)  # type: ignore[arg-type]
    for name in ("cv2", "matplotlib", "matplotlib.pyplot"):
        sys.modules.setdefault(name, ModuleType(name))
    try:
        import mediapipe
        from mediapipe.tasks.python import vision

        # The library is not loaded before its first use.
        mediapipe.Image(mediapipe.ImageFormat.SRGB, np.zeros((1, 1, 3), np.uint8))
        _ = vision.ImageClassifier
    except ImportError as error:
        raise NotInstalledError(f"MediaPipe cannot be imported ({error}); run `make setup`") from error
    except OSError as error:
        raise NotInstalledError(
            f"MediaPipe lacks a library of the system ({error}); on Debian and Ubuntu: apt install libegl1 libgles2"
        ) from error
    return mediapipe


@contextmanager
def image_classifier(path: Path, classes: int) -> Iterator[Classify]:
    """The ImageClassifier with this file, as an app makes it: from the file alone.

    Args:
        path: A `.tflite` file with metadata.
        classes: Number of its outputs.

    Raises:
        NotInstalledError: see `load_mediapipe`.
        VerificationError: it refuses the file.
    """
    mediapipe = load_mediapipe()
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=str(path)))
    try:
        classifier = vision.ImageClassifier.create_from_options(options)
    except (ValueError, RuntimeError, OSError) as error:
        raise VerificationError(f"MediaPipe refuses {path.name}: {' '.join(str(error).split())}") from error

    def classify(picture: Pixels) -> NDArray[np.float64]:
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(picture))
        (head,) = classifier.classify(image).classifications
        scores = np.zeros(classes)
        for category in head.categories:
            scores[category.index] = category.score
        return scores

    with classifier:
        yield classify


def check_mediapipe(_: Report) -> str:
    """Its version; in a worker.

    Raises:
        NotInstalledError: it cannot be used here.
    """
    return str(load_mediapipe().__version__)


def classify_pictures(report: Report, path: Path, classes: int, pictures: Path) -> NDArray[np.float64]:
    """Scores `[N, classes]` of pictures in a `.npy` file, uint8 `[N, H, W, 3]` RGB; in a worker.

    Raises:
        NotInstalledError: it cannot be used here.
        VerificationError: it refuses the file.
    """
    pixels = np.load(pictures, mmap_mode="r")
    scores = np.zeros((len(pixels), classes))
    with image_classifier(path, classes) as classify:
        for number, picture in enumerate(pixels):
            scores[number] = classify(picture)
            report(Progress(stage=f"MediaPipe {path.name}", done=number + 1, total=len(pixels)))
    return scores
