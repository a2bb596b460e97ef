"""The ladder of one export: which float file a rung starts from, what is known of it, and what to make in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from export.artifact import Manifest
from export.budget.climb import climb
from export.budget.kept import KeptResults
from export.budget.measure import format_drop, rung_stage
from export.budget.rungs import LEVERS, Climbed, Rung, RungResult, check_provable
from export.budget.wanted import MIXED
from export.quantization.learned import ranges_on_record
from export.quantization.settings import LEARNED
from export.stages import Notes, convert_stage
from export.work import WorkFiles
from models.checkpoint import TrainedModel
from models.errors import ConversionError, TrainingError, VerificationError, WorkerError
from models.spec import ModelSpec
from models.training.recipes import QAT
from models.worker import Progress, Report, run_in_worker

FLOAT_BLOCKS = (1, 2, 4, 8)
"""How many blocks stay float, rung after rung."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """What all rungs of an export have in common."""

    spec: ModelSpec
    """As trained."""
    files: ModelSpec
    """With the preprocessing that the files take."""
    checkpoint: Path
    output: str
    notes: Notes
    folder: Path
    work: WorkFiles
    """Holds the float file without equalization, pictures and answers."""
    may_mix: bool
    """Whether files with float islands serve."""
    train_qat: Callable[[], TrainedModel] | None = None
    """Gives the weights of quantization-aware training, where it is allowed."""

    def find(self, max_drop: float, origin: Manifest, report: Report) -> Climbed:
        """Climbs until a rung's TFLite file is proven to keep the budget.

        Args:
            max_drop: The budget, as a share.
            origin: What the results depend on beside the rung.
            report: Receives the progress.

        Raises:
            DataError: the test split is too small to prove the budget.
            ToolchainError: of what makes and verifies files.
        """
        check_provable(max_drop, origin.weights["images"])
        kept = KeptResults(
            self.folder,
            {
                **{key: dict(getattr(origin, key)) for key in ("model", "weights", "preprocessing", "labels", "tools")},
                **{key: origin.calibration[key] for key in ("images", "seed", "sha256")},
            },
        )

        def measure(rung: Rung) -> RungResult | None:
            try:
                return look(rung)
            except (ConversionError, TrainingError, VerificationError, WorkerError) as error:
                # One rung less; what it would have given may still be had by another.
                report(Progress(stage=f"rung {rung.name}", done=1, total=1, detail=f"failed: {error}"))
                return None

        def look(rung: Rung) -> RungResult:
            if rung.checkpoint == QAT and self.train_qat:
                return self._measure_qat(rung, self.train_qat(), report)
            if known := kept.find(rung):
                report(Progress(stage=f"rung {rung.name}", done=1, total=1, detail=f"{format_drop(known)}, known"))
                return known
            result: RungResult = run_in_worker(
                rung_stage, rung, self.files, self.notes, self._floats(rung, report), report=report
            )
            kept.keep(rung, result)
            return result

        levers = [lever for lever in LEVERS if not (self.spec.own and lever[0] == "equalize")]
        return climb(max_drop, levers, measure, self._beyond)

    def _beyond(self, best: Rung) -> Sequence[Rung]:
        """The rungs that cost size and latency, then the one that costs a training."""
        rungs = [
            Rung(name=f"mixed {blocks}", settings=replace(best.settings, float_blocks=blocks), precision=MIXED)
            for blocks in FLOAT_BLOCKS
        ]
        trained = Rung(name=QAT, settings=LEARNED, checkpoint=QAT)
        return [*(rungs if self.may_mix else ()), *([trained] if self.train_qat else ())]

    def _measure_qat(self, rung: Rung, weights: TrainedModel, report: Report) -> RungResult:
        """Against the answers of the float network that the training started from."""
        work = self.work.beside(QAT)
        run_in_worker(convert_stage, self.spec, weights.path, self.output, False, work, rung.settings, report=report)
        learned = ranges_on_record(weights)
        result: RungResult = run_in_worker(rung_stage, rung, self.files, self.notes, work, learned, report=report)
        return result

    def _floats(self, rung: Rung, report: Report) -> WorkFiles:
        """Where the float file is that a rung starts from; makes it when it is the first to need it."""
        if not rung.settings.equalize:
            return self.work
        work = self.work.beside(f"equalized-{rung.settings.equalize}")
        if not work.float_tflite.exists():
            run_in_worker(
                convert_stage, self.spec, self.checkpoint, self.output, False, work, rung.settings, report=report
            )
        return work
