"""`ExportRequest`, what to make of what, and `Exported`, what came out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.artifact import Manifest
from export.budget.rungs import Climbed
from export.precision import Precision
from export.quantization.settings import DEFAULTS, QuantizationSettings
from models.spec import ModelSpec
from models.worker import Progress, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to make of what."""

    spec: ModelSpec
    dataset: str
    weights: str
    """`auto`, `random`, `imagenet` or the path of a checkpoint."""
    precisions: tuple[Precision, ...]
    calibration_images: int | None
    """None: the usual number, or all training pictures where there are fewer."""
    seed: int
    output: str
    """`probabilities` or `logits`."""
    build_dir: Path
    labels: tuple[str, ...] | None = None
    """Names of the classes instead of the data set's."""
    author: str | None = None
    """Whoever answers for the files; it is written into them, as the licence is."""
    license: str | None = None
    quantization: QuantizationSettings = DEFAULTS
    """The levers that 8-bit files are made with."""
    max_drop: float | None = None
    """What 8-bit files may lose of the top-1 accuracy, 0..1, proven; the levers are then found, not given."""
    allow_qat: bool = False
    """Whether the network may be trained for int8 where nothing else keeps that budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What came out."""

    folder: Path
    manifest: Manifest
    """Of everything in the folder, earlier files from the same weights and settings included."""
    passed: bool
    """Whether everything asked for this time was made and proven."""
    removed: tuple[str, ...]
    """Names of earlier files that are gone, because other weights, settings or programs made them."""
    climbed: Climbed | None = None
    """How the budget was met, or why not, where one was given."""


def tell_removed(exported: Exported, report: Report) -> None:
    """Says which files of other settings are gone, to whoever asked for something else than an export."""
    if exported.removed:
        report(
            Progress(stage="removed", done=0, total=1, detail=f"made by other settings: {', '.join(exported.removed)}")
        )
