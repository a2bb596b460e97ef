"""LiteRT's benchmark_model (CompiledModel API): other flags, no given inputs, no operator profile that is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.case import Case, Pass, RunSettings
from device_bench.result import RunnerOutput
from device_bench.runners.native import RESULT_PROTO, Flag, known_flags, lacks, library_path, read_run, run_control
from device_bench.runners.runner import RunnerInfo
from device_bench.target import Command, Finished, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Litert:
    """The runner of LiteRT; its libraries are in its own folder."""

    info: RunnerInfo

    def refuses(self, case: Case, kind: Pass) -> str | None:
        """As `Runner.refuses`."""
        if case.model.format != "tflite":
            return f"benchmark_model runs TFLite files, not {case.model.format}"
        if kind == "profile":
            return "LiteRT's benchmark_model has no operator profile; the classic one has"
        needed = ["graph", "num_threads", "num_runs", f"use_{case.delegate}"]
        needed += ["report_peak_memory_footprint"] if kind == "memory" else []
        return lacks(self.info, *needed)

    def command(self, case: Case, kind: Pass, settings: RunSettings, model: str, folder: str) -> Command:
        """As `Runner.command`."""
        gpu = case.delegate == "gpu"
        strict = gpu and settings.strict
        flags: list[Flag] = [
            ("graph", model),
            *run_control(case, settings),
            # With the CPU allowed, `require_full_delegation` ends the program with an abort.
            ("use_cpu", not strict),
            ("use_gpu", gpu),
            ("use_npu", False),
            ("require_full_delegation", strict),
            ("report_peak_memory_footprint", kind == "memory"),
            ("result_file_path", f"{folder}/{RESULT_PROTO}"),
        ]
        return Command(
            argv=(self.info.path, *known_flags(self.info, flags)),
            environment=library_path(self.info.path, self.info.source),
            cpu_mask=case.cpu_mask,
        )

    def result_files(self, kind: Pass) -> tuple[str, ...]:
        """As `Runner.result_files`."""
        del kind
        return (RESULT_PROTO,) if "result_file_path" in self.info.flags else ()

    def read(self, case: Case, kind: Pass, finished: Finished, files: Path, command: Command) -> RunnerOutput:
        """As `Runner.read`."""
        del case
        return read_run(finished, files, self.result_files(kind), command)

    def compute(
        self, target: Target, case: Case, model: str, inputs: NDArray[Any], folder: str, *, timeout_s: float
    ) -> NDArray[np.generic] | None:
        """None: the program takes no inputs and writes no outputs."""
        del target, case, model, inputs, folder, timeout_s
        return None
