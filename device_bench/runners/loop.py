"""Our timed loop in a Python on desktop or Linux board: TFLite's interpreter or ONNX Runtime, every run's latency.

ONNX Runtime computes on the CPU with as many threads as the case says, one node after the other. Its threads spin
between nodes: its default, made explicit, which gives the latency that applications see.
"""

from __future__ import annotations

import json
import posixpath
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_bench.case import Case, Pass, RunSettings
from device_bench.parse.lines import shown
from device_bench.parse.loop import RESULT_FILE
from device_bench.result import RunnerOutput
from device_bench.runners.native import INSTALLED, read_run
from device_bench.runners.runner import RunnerInfo
from device_bench.runners.start import HELP_TIMEOUT_S, check_started
from device_bench.runners.value_files import batches
from device_bench.target import Command, Finished, Target
from models.errors import ProgramError, RunnerOutputError

SCRIPT = Path(__file__).with_name("timed_loop.py")
Package = Literal["ai_edge_litert", "tflite_runtime", "onnxruntime"]

_LARGEST_OUTPUT_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """`timed_loop.py` with one package, proven to load on the target; `info.path` is the Python."""

    info: RunnerInfo
    script: str
    """Path of `timed_loop.py` on the target."""
    package: Package

    def refuses(self, case: Case, kind: Pass) -> str | None:
        """As `Runner.refuses`."""
        runs = "onnx" if self.package == "onnxruntime" else "tflite"
        if case.model.format != runs:
            return f"{self.package} runs {runs} files, not {case.model.format}"
        if case.delegate != "cpu":
            return f"{self.package} runs on the CPU here; for the {case.delegate} use a native runner"
        return "the timed loop has no operator profile; classic benchmark_model has" if kind == "profile" else None

    def command(self, case: Case, kind: Pass, settings: RunSettings, model: str, folder: str) -> Command:
        """As `Runner.command`; the same in all passes, as a look at the memory costs the runs nothing."""
        del kind
        return self._command(
            case,
            model,
            f"--runs={settings.runs}",
            f"--min-s={settings.min_s:g}",
            f"--max-s={settings.max_s:g}",
            f"--warmup-runs={settings.warmup_runs}",
            f"--warmup-min-s={settings.warmup_min_s:g}",
            f"--result={folder}/{RESULT_FILE}",
        )

    def result_files(self, kind: Pass) -> tuple[str, ...]:
        """As `Runner.result_files`."""
        del kind
        return (RESULT_FILE,)

    def read(self, case: Case, kind: Pass, finished: Finished, files: Path, command: Command) -> RunnerOutput:
        """As `Runner.read`."""
        del case, kind
        output = read_run(finished, files, (RESULT_FILE,), command)
        if output.flavour != "loop":
            raise RunnerOutputError(f"the output is one of {output.flavour}, not of the timed loop")
        return output

    def compute(
        self, target: Target, case: Case, model: str, inputs: NDArray[Any], folder: str, *, timeout_s: float
    ) -> NDArray[np.generic] | None:
        """As `Runner.compute`, a process per batch; None for the GPU."""
        if case.delegate != "cpu":
            return None
        pieces = [self._compute(target, case, model, batch, folder, timeout_s) for batch in batches(inputs)]
        if len({piece.shape[1:] for piece in pieces}) != 1:
            raise RunnerOutputError(f"outputs of shapes {[piece.shape for piece in pieces]} came from one network")
        return np.concatenate(pieces)

    def _compute(
        self, target: Target, case: Case, model: str, inputs: NDArray[Any], folder: str, timeout_s: float
    ) -> NDArray[np.generic]:
        there = {name: posixpath.join(folder, f"{name}.npy") for name in ("inputs", "outputs")}
        command = self._command(case, model, *(f"--{name}={path}" for name, path in there.items()))
        with tempfile.TemporaryDirectory() as name:
            local = Path(name) / "inputs.npy"
            np.save(local, inputs, allow_pickle=False)
            target.push(local, there["inputs"])
            local.unlink()
            finished = target.execute(command, folder, timeout_s=timeout_s)
            check_finished(finished)
            local = Path(name) / "outputs.npy"
            target.pull(there["outputs"], local, largest_bytes=len(inputs) * _LARGEST_OUTPUT_BYTES)
            return load_outputs(local, len(inputs), case.model.output_dtype)

    def _command(self, case: Case, model: str, *words: str) -> Command:
        shape = ",".join(str(size) for size in case.model.input_shape)
        xnnpack = () if self.package == "onnxruntime" else ("--xnnpack=on",)
        fixed = (f"--package={self.package}", f"--model={model}", f"--input-shape={shape}", f"--threads={case.threads}")
        return Command(argv=(self.info.path, self.script, *fixed, *xnnpack, *words), cpu_mask=case.cpu_mask)


def find_loop(target: Target, python: str, folder: str, package: Package) -> Loop:
    """The loop with this package, which is imported in a process of its own to prove that it works there.

    Args:
        target: Where.
        python: Its Python.
        folder: Private folder on the target, to which the script goes.
        package: `ai_edge_litert`, `tflite_runtime` or `onnxruntime`.

    Raises:
        ProgramError: there is no such package, it does not load, or the CPU cannot run it.
        DeviceError: as for `Target.push` and `Target.execute`.
    """
    script = f"{folder}/{SCRIPT.name}"
    target.push(SCRIPT, script)
    probe = Command(argv=(python, script, f"--package={package}", "--probe"))
    finished = target.execute(probe, folder, timeout_s=HELP_TIMEOUT_S)
    check_started(finished, python)
    if finished.exit_code:
        said = finished.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise ProgramError(f"{python} cannot load {package}: {shown(said)}; install it there with pip")
    try:
        versions = json.loads(finished.stdout[:4096])
        if package not in versions or not all(isinstance(text, str) and len(text) < 64 for text in versions.values()):
            raise ValueError("no version")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        said = shown(finished.stdout[:200].decode("utf-8", "replace").strip())
        raise ProgramError(
            f"{python} answered {said} when asked for the version of {package}; check that it is a Python"
        ) from error
    info = RunnerInfo(
        name="onnxruntime" if package == "onnxruntime" else "interpreter",
        flavour="loop",
        path=python,
        sha256=None,
        versions=versions,
        flags=(),
        source=INSTALLED,
    )
    return Loop(info=info, script=script, package=package)


def check_finished(finished: Finished) -> None:
    """Refuses a computation that failed.

    Raises:
        RunnerOutputError: it did, with its last line.
    """
    if finished.exit_code:
        said = finished.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise RunnerOutputError(
            f"the outputs were not computed (exit code {finished.exit_code}): {shown(said) if said else 'no word'}; "
            "run the network on the desktop's runtime first"
        )


def load_outputs(path: Path, count: int, dtype: str) -> NDArray[np.generic]:
    """The outputs in a file from a target: `count` rows of the type that the network has.

    Raises:
        RunnerOutputError: it holds anything else.
    """
    try:
        # Mapped: a forged header cannot ask for more memory than the file has bytes.
        stored: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError, SyntaxError, OverflowError) as error:
        raise RunnerOutputError(f"the outputs are no NumPy file: {shown(str(error))}; run the same again") from error
    if stored.ndim != 2 or len(stored) != count or stored.dtype != np.dtype(dtype):
        what = f"{stored.dtype} {list(stored.shape)}"
        raise RunnerOutputError(f"the outputs are {what}, where {dtype} [{count}, classes] is due")
    return np.array(stored)
