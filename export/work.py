"""The files through which the worker processes of one export hand their results to each other."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact import artifact_path
from export.precision import Precision


@dataclass(frozen=True, slots=True)
class WorkFiles:
    """Paths inside the private folder of one run."""

    folder: Path

    @property
    def test_pixels(self) -> Path:
        """`.npy`, uint8 `[N, H, W, 3]`: the test split as raw network input."""
        return self.folder / "test-pixels.npy"

    @property
    def test_classes(self) -> Path:
        """`.npy`, int64 `[N]`: its class indices."""
        return self.folder / "test-classes.npy"

    @property
    def calibration_pixels(self) -> Path:
        """`.npy`, uint8 `[M, H, W, 3]`: the representative data set."""
        return self.folder / "calibration-pixels.npy"

    @property
    def calibration(self) -> Path:
        """`.json`: what was calibrated with it; see `export.quantization.calibration`."""
        return self.folder / "calibration.json"

    @property
    def reference(self) -> Path:
        """`.npy`, float32 `[N, classes]`: the Keras model's probabilities on the test split."""
        return self.folder / "reference.npy"

    @property
    def twin(self) -> Path:
        """`.npy`, float32 `[N, classes]`: what the twin of a quantization-aware training says of the test split."""
        return self.folder / "twin.npy"

    def reference_for(self, precision: Precision) -> Path:
        """What a precision's answers are compared with: the twin's, if it was trained to compute as that does."""
        learned = precision.has_bytes and self.twin.exists()
        return self.twin if learned else self.reference

    @property
    def float_tflite(self) -> Path:
        """The float32 conversion all TFLite precisions and the ONNX conversion start from."""
        return self.folder / "float.tflite"

    @property
    def float_onnx(self) -> Path:
        """The float32 conversion all ONNX precisions start from."""
        return self.folder / "float.onnx"

    def beside(self, name: str) -> WorkFiles:
        """The same pictures and answers, for another float file of the same network."""
        other = WorkFiles(self.folder / name)
        other.folder.mkdir(exist_ok=True)
        for path in (self.test_pixels, self.test_classes, self.calibration_pixels, self.reference):
            link = other.folder / path.name
            if not link.is_symlink():
                link.symlink_to(path.resolve())
        return other

    def made(self, precision: Precision) -> Path:
        """A finished file before verification and publication."""
        return artifact_path(self.folder, "made", precision)


def save_array(path: Path, values: NDArray[Any]) -> None:
    """Writes a `.npy` file.

    Raises:
        OSError: with the system's reason, such as a full disk, which `np.save` into a file forgets.
    """
    buffer = io.BytesIO()
    np.save(buffer, values)
    path.write_bytes(buffer.getbuffer())


def save_batches(path: Path, shape: tuple[int, ...], parts: Iterable[NDArray[np.uint8]]) -> None:
    """Writes a `.npy` file of bytes part by part, for an array that need not fit into memory.

    Raises:
        OSError: with the system's reason, such as a full disk.
    """
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for part in parts:
            file.write(part.tobytes())
