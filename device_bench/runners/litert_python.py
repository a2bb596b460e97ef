"""litert-benchmark, the console script of the ai-edge-litert wheel, for boards whose Python has that wheel.

It counts runs only: the least time of a measurement is beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.case import Case, Pass, RunSettings
from device_bench.parse.loop import RESULT_FILE
from device_bench.result import RunnerOutput
from device_bench.runners.loop import Loop
from device_bench.runners.native import read_run
from device_bench.runners.runner import RunnerInfo
from device_bench.target import Command, Finished, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class LitertPython:
    """The Python package's own benchmark."""

    info: RunnerInfo
    loop: Loop | None
    """The same package in the timed loop, which computes on given inputs; None if its Python could not be told."""

    def refuses(self, case: Case, kind: Pass) -> str | None:
        """As `Runner.refuses`."""
        if case.model.format != "tflite":
            return f"litert-benchmark runs TFLite files, not {case.model.format}"
        if kind == "memory":
            return "litert-benchmark does not measure memory; the interpreter runner does"
        if kind == "profile":
            return "litert-benchmark has no operator profile; classic benchmark_model has"
        needed = ["model", "num_runs", "warmup_runs", "num_threads", "result_json"]
        needed += ["use_gpu", "no_cpu"] if case.delegate == "gpu" else []
        missing = [f"--{name}" for name in needed if name not in self.info.flags]
        return f"this litert-benchmark has no {', '.join(missing)}; install a newer ai-edge-litert" if missing else None

    def command(self, case: Case, kind: Pass, settings: RunSettings, model: str, folder: str) -> Command:
        """As `Runner.command`."""
        del kind
        words = [
            f"--model={model}",
            f"--num_runs={settings.runs}",
            f"--warmup_runs={settings.warmup_runs}",
            f"--num_threads={case.threads}",
            f"--result_json={folder}/{RESULT_FILE}",
        ]
        if case.delegate == "gpu":
            # With the CPU allowed, its output does not tell which of the two ran.
            words += ["--use_gpu", "--no_cpu"]
            words += ["--require_full_delegation"] if settings.strict else []
        return Command(argv=(self.info.path, *words), cpu_mask=case.cpu_mask)

    def result_files(self, kind: Pass) -> tuple[str, ...]:
        """As `Runner.result_files`."""
        del kind
        return (RESULT_FILE,)

    def read(self, case: Case, kind: Pass, finished: Finished, files: Path, command: Command) -> RunnerOutput:
        """As `Runner.read`."""
        del case
        return read_run(finished, files, self.result_files(kind), command)

    def compute(
        self, target: Target, case: Case, model: str, inputs: NDArray[Any], folder: str, *, timeout_s: float
    ) -> NDArray[np.generic] | None:
        """As `Runner.compute`, by the same package's interpreter: the program itself takes no inputs."""
        if self.loop is None:
            return None
        return self.loop.compute(target, case, model, inputs, folder, timeout_s=timeout_s)
