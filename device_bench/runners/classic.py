"""TFLite's classic benchmark_model (Interpreter API), the runner that also computes on given inputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.case import Case, Pass, RunSettings
from device_bench.result import RunnerOutput
from device_bench.runners.native import RESULT_PROTO, Flag, known_flags, lacks, read_run, run_control
from device_bench.runners.runner import RunnerInfo
from device_bench.runners.value_files import compute_by_value_files, unusable_name
from device_bench.target import Command, Finished, Target
from models.errors import RunnerOutputError

PROFILE = "profile.csv"
_COMPUTE = ("input_layer", "input_layer_shape", "input_layer_value_files", "output_filepath")


@dataclass(frozen=True, slots=True, kw_only=True)
class Classic:
    """The runner of TensorFlow Lite, as Google builds it every night and Debian from its own sources."""

    info: RunnerInfo

    def refuses(self, case: Case, kind: Pass) -> str | None:
        """As `Runner.refuses`."""
        if case.model.format != "tflite":
            return f"benchmark_model runs TFLite files, not {case.model.format}"
        needed = ["graph", "num_threads", "num_runs"]
        needed += ["use_gpu"] if case.delegate == "gpu" else []
        needed += ["report_peak_memory_footprint"] if kind == "memory" else []
        needed += ["enable_op_profiling"] if kind == "profile" else []
        return lacks(self.info, *needed)

    def command(self, case: Case, kind: Pass, settings: RunSettings, model: str, folder: str) -> Command:
        """As `Runner.command`."""
        flags: list[Flag] = [("graph", model), *run_control(case, settings), *self._delegates(case, settings.strict)]
        # Explicit also where it is off: both cost time, and defaults may change.
        flags.append(("report_peak_memory_footprint", kind == "memory"))
        flags.append(("enable_op_profiling", kind == "profile"))
        if kind == "profile":
            flags += self._profile_file(folder)
        flags.append(("result_file_path", f"{folder}/{RESULT_PROTO}"))
        return self._command(case, flags)

    def result_files(self, kind: Pass) -> tuple[str, ...]:
        """As `Runner.result_files`."""
        proto = (RESULT_PROTO,) if "result_file_path" in self.info.flags else ()
        return (*proto, PROFILE) if kind == "profile" and self._profile_file("") else proto

    def read(self, case: Case, kind: Pass, finished: Finished, files: Path, command: Command) -> RunnerOutput:
        """As `Runner.read`."""
        del case
        return read_run(finished, files, self.result_files(kind), command)

    def compute(
        self, target: Target, case: Case, model: str, inputs: NDArray[Any], folder: str, *, timeout_s: float
    ) -> NDArray[np.generic] | None:
        """As `Runner.compute`; None if this build has no value files, or the input's name cannot be written in them."""
        if lacks(self.info, *_COMPUTE) or unusable_name(case.model.input_name):
            return None
        settings = RunSettings(runs=1, min_s=0.0, max_s=timeout_s, warmup_runs=0, warmup_min_s=0.0)

        def command(value_flags: tuple[Flag, ...]) -> Command:
            flags = [("graph", model), *run_control(case, settings), *self._delegates(case, strict=False), *value_flags]
            return self._command(case, flags)

        def check(finished: Finished, ran: Command) -> None:
            output = read_run(finished, None, (), ran)
            if output.fell_back:
                raise RunnerOutputError(f"the outputs would be the CPU's: the {case.delegate} delegate ran nothing")

        return compute_by_value_files(target, case, inputs, folder, command, check, timeout_s=timeout_s)

    def _delegates(self, case: Case, strict: bool) -> tuple[Flag, ...]:
        gpu = case.delegate == "gpu"
        flags: list[Flag] = [("use_gpu", gpu)]
        if gpu:
            # The runner's own defaults: what applications get from the GPU delegate is 16-bit arithmetic.
            flags += [("gpu_precision_loss_allowed", True), ("gpu_experimental_enable_quant", True)]
        # What the GPU leaves over runs on XNNPACK, as in applications. Strict, nothing may be left over, and a second
        # delegate without work would count as a fallback.
        flags.append(("use_xnnpack", not (gpu and strict)))
        flags.append(("require_full_delegation", gpu and strict))
        return tuple(flags)

    def _profile_file(self, folder: str) -> tuple[Flag, ...]:
        path = f"{folder}/{PROFILE}"
        if {"op_profiling_output_mode", "op_profiling_output_file"} <= set(self.info.flags):
            return (("op_profiling_output_mode", "csv"), ("op_profiling_output_file", path))
        # Until 2024.
        return (("profiling_output_csv_file", path),) if "profiling_output_csv_file" in self.info.flags else ()

    def _command(self, case: Case, flags: list[Flag]) -> Command:
        return Command(argv=(self.info.path, *known_flags(self.info, flags)), cpu_mask=case.cpu_mask)
