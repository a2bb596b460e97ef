"""Starts the measuring program in fresh processes, and believes nothing that it did not write whole."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.baseline.case import FailureKind, Measured, Placement
from device_bench.baseline.program.request import SCHEMA, Request
from device_bench.target import Command, Finished, Target
from models.cli import one_line
from models.errors import ProgramError
from models.files import format_json

PROGRAM = "device_bench.baseline.program"
LARGEST_RESULT_BYTES = 64 * 2**20

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one process ended."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    exit_code: int | None
    wall_s: float
    placement: Placement | None = None
    versions: Mapping[str, str]
    measured: Measured | None = None
    outputs: NDArray[np.float32] | None = None
    failure: str | None = None
    failure_kind: FailureKind | None = None


def environment_of(request: Request, gpu: Mapping[str, str]) -> dict[str, str]:
    """What the process gets besides the caller's environment."""
    values = {
        "PYTHONPATH": str(_ROOT),
        "ORT_DISABLE_TELEMETRY": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        # A keras.json in the home folder could change the layout of all pictures.
        "KERAS_HOME": request.folder,
    }
    if request.engine.family == "keras":
        values["KERAS_BACKEND"] = request.engine.variant
    if request.device == "cpu":
        return values | {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_TORCH_DEVICE": "cpu", "JAX_PLATFORMS": "cpu"}
    # Memory as it is needed: others may compute on the same GPU.
    values |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false", **gpu}
    if request.precision == "float32":
        # NVIDIA's libraries then leave TF32 off, whatever a runtime asks them for; TensorRT has no switch of its own.
        values["NVIDIA_TF32_OVERRIDE"] = "0"
    return values


def command_of(request: Request, gpu: Mapping[str, str]) -> Command:
    """The process; its request and result lie in the request's folder."""
    folder = Path(request.folder)
    return Command(
        argv=(sys.executable, "-m", PROGRAM, str(folder / "request.json"), str(folder / "result.json")),
        environment=environment_of(request, gpu),
    )


def run_request(target: Target, request: Request, gpu: Mapping[str, str]) -> Outcome:
    """Runs one process to its end; its folder is made before and gone afterwards.

    Raises:
        DeviceError: this machine cannot start it.
    """
    folder, command = Path(request.folder), command_of(request, gpu)
    folder.mkdir(mode=0o700)
    try:
        (folder / "request.json").write_text(format_json(request.to_json()), "utf-8")
        try:
            finished = target.execute(command, request.folder, timeout_s=request.settings.timeout_s)
        except ProgramError as error:
            return Outcome(
                argv=command.argv,
                environment=command.environment,
                exit_code=None,
                wall_s=request.settings.timeout_s,
                versions={},
                failure=str(error),
                failure_kind="timeout",
            )
        return _read(request, command, finished)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read(request: Request, command: Command, finished: Finished) -> Outcome:
    def outcome(**values: Any) -> Outcome:
        return Outcome(
            argv=command.argv,
            environment=command.environment,
            exit_code=finished.exit_code,
            wall_s=finished.wall_s,
            **{"versions": {}, **values},
        )

    path = Path(request.folder) / "result.json"
    if not path.is_file():
        kind, text = obituary(finished)
        return outcome(failure=text, failure_kind=kind)
    try:
        if path.stat().st_size > LARGEST_RESULT_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes")
        result = json.loads(path.read_text("utf-8"))
        if result["schema"] != SCHEMA:
            raise ValueError(f"schema {result['schema']}")
        if "failure" in result:
            return outcome(failure=one_line(result["failure"]), failure_kind=result["failure_kind"])
        outputs = np.load(request.outputs, allow_pickle=False)
        if outputs.ndim != 2 or outputs.dtype != np.float32:
            raise ValueError(f"outputs {outputs.dtype} {outputs.shape}")
        return outcome(
            placement=Placement.from_json(result["placement"]),
            versions={str(name): one_line(str(text)) for name, text in result["versions"].items()},
            measured=None if result["measured"] is None else Measured.from_json(result["measured"]),
            outputs=outputs,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return outcome(failure=f"the process wrote no result that can be read: {error!r:.200}", failure_kind="crashed")


def obituary(finished: Finished) -> tuple[FailureKind, str]:
    """What a process that left no result died of, with its last words."""
    lines = [line for line in finished.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    last = f"; its last words: {one_line(lines[-1])[:300]}" if lines else ""
    if finished.exit_code == 137:
        return "memory", f"the process was killed: by somebody, or by the system because memory ran out{last}"
    if finished.exit_code > 128:
        return "crashed", f"the process died of signal {finished.exit_code - 128}{last}"
    return "crashed", f"the process ended with exit code {finished.exit_code} and no result{last}"
