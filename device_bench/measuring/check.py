"""Compares a target's outputs with the desktop's on the same recorded inputs, and counts right answers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.case import Case
from device_bench.measuring.artifacts import Exported, Pictures
from device_bench.measuring.correctness import (
    Accuracy,
    Kernels,
    OutputCheck,
    compare_outputs,
    desktop_outputs,
    kernels_of,
    output_limit,
    score,
)
from device_bench.runners.runner import Runner
from device_bench.target import Target
from export.verify import to_input
from models.spec import Preprocessing
from models.worker import Report, run_in_worker

TIMEOUT_S = 120.0
"""For each process that computes outputs."""


@dataclass(slots=True, kw_only=True)
class DesktopOutputs:
    """The desktop's outputs, computed once per file and kernels, for all targets."""

    exported: Exported
    preprocessing: Preprocessing
    pictures: Pictures
    report: Report
    _known: dict[tuple[str, Kernels], NDArray[Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, file: str, kernels: Kernels) -> NDArray[Any]:
        """Raw outputs of an artifact, `[N, classes]`, computed in a process of its own.

        Raises:
            VerificationError: the desktop's runtime refuses the file.
            WorkerError: it died of it.
        """
        with self._lock:
            if (file, kernels) not in self._known:
                self._known[file, kernels] = run_in_worker(
                    desktop_outputs,
                    self.exported.folder / file,
                    kernels,
                    self.exported.artifact(file).input,
                    self.preprocessing,
                    self.pictures.pixels,
                    report=self.report,
                )
            return self._known[file, kernels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the recorded inputs told."""

    check: OutputCheck | str
    """A text if the runner cannot compute on given inputs."""
    accuracy: Accuracy | str | None
    """None if it was not asked for."""


def check_case(
    target: Target,
    runner: Runner,
    case: Case,
    model: str,
    folder: str,
    exported: Exported,
    pictures: Pictures,
    desktop: DesktopOutputs,
    *,
    check: int,
    accuracy: int,
) -> Outcome:
    """Computes the first `max(check, accuracy)` pictures on the target and judges the outputs.

    Raises:
        RunnerOutputError: the runner failed.
        DeviceError: the target failed.
    """
    artifact = exported.artifact(case.model.file)
    count = max(check, accuracy)
    inputs = to_input(pictures.pixels[:count], artifact.input, desktop.preprocessing)
    outputs = runner.compute(target, case, model, inputs, folder, timeout_s=TIMEOUT_S)
    if outputs is None:
        why = f"{runner.info.name} takes no recorded inputs; the numbers of this runner are not checked"
        return Outcome(check=why, accuracy=why if accuracy else None)
    kernels = kernels_of(case, runner.info)
    reference = desktop.of(case.model.file, kernels)[:count]
    info = artifact.output
    limit = output_limit(case.model.precision, kernels)
    return Outcome(
        check=compare_outputs(outputs, reference, info, limit, kernels),
        accuracy=score(outputs[:accuracy], reference[:accuracy], info, np.asarray(pictures.classes[:accuracy]))
        if accuracy
        else None,
    )
