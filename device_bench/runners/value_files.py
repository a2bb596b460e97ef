"""Outputs of recorded inputs through benchmark_model's value files: one process and one file per input.

Inputs travel as one file per batch and are cut on the target; outputs are gathered there and travel back as one file.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.case import Case
from device_bench.parse.lines import shown
from device_bench.runners.native import Flag
from device_bench.target import Command, Finished, Target
from models.errors import RunnerOutputError
from models.files import output_errors

BATCH_BYTES = 32 * 2**20
"""Of inputs that are on the target at a time: small enough for a nearly full phone."""

_LARGEST_OUTPUT_BYTES = 2**20


def batches(inputs: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """`inputs` in pieces of at most `BATCH_BYTES`, at least one picture each."""
    count = max(1, BATCH_BYTES // max(1, inputs[:1].nbytes))
    for start in range(0, len(inputs), count):
        yield inputs[start : start + count]


def unusable_name(tensor: str) -> bool:
    """Whether a tensor's name cannot be written in the runner's lists, which commas separate."""
    return "," in tensor or not tensor


def value_flags(case: Case, value: str, output: str) -> tuple[Flag, ...]:
    """Flags for an input file and an output file; a colon in names is doubled, against the program's own help text."""
    name = case.model.input_name
    return (
        ("input_layer", name),
        ("input_layer_shape", ",".join(str(size) for size in case.model.input_shape)),
        ("input_layer_value_files", f"{name.replace(':', '::')}:{value.replace(':', '::')}"),
        ("output_filepath", output),
    )


def compute_by_value_files(
    target: Target,
    case: Case,
    inputs: NDArray[Any],
    folder: str,
    command: Callable[[tuple[Flag, ...]], Command],
    check: Callable[[Finished, Command], None],
    *,
    timeout_s: float,
) -> NDArray[np.generic]:
    """Raw outputs, `[N, classes]`, of inputs `[N, H, W, 3]`.

    Args:
        target: Where.
        case: Artifact and delegate.
        inputs: As the input tensor stores them.
        folder: Private folder on the target.
        command: The program's command with these flags added.
        check: Refuses a process that failed.
        timeout_s: For each process.

    Raises:
        RunnerOutputError: inputs of another type or shape than the network's; a process failed, or wrote an output of
            another size than the others.
        DeviceError: as for `Target.execute`.
    """
    _expect(case, inputs)
    rows = []
    for batch in batches(inputs):
        rows += _compute_batch(target, case, batch, folder, command, check, timeout_s=timeout_s)
    sizes = {row.size for row in rows}
    if len(sizes) > 1:
        raise RunnerOutputError(f"outputs of {sorted(sizes)} numbers came from one network; each input gives as many")
    return np.stack(rows)


def _compute_batch(
    target: Target,
    case: Case,
    inputs: NDArray[Any],
    folder: str,
    command: Callable[[tuple[Flag, ...]], Command],
    check: Callable[[Finished, Command], None],
    *,
    timeout_s: float,
) -> list[NDArray[np.generic]]:
    everything, value, output, outputs = (f"{folder}/{name}.bin" for name in ("inputs", "input", "output", "outputs"))
    size = inputs[:1].nbytes
    with tempfile.TemporaryDirectory() as name:
        local = Path(name) / "inputs.bin"
        with output_errors(local.parent):
            local.write_bytes(np.ascontiguousarray(inputs).tobytes())
        target.push(local, everything)
        local.unlink()
        sizes = []
        for number in range(len(inputs)):
            _tell(target, _cut_script(everything, value, number, size, output, outputs if number == 0 else None))
            ran = command(value_flags(case, value, output))
            finished = target.execute(ran, folder, timeout_s=timeout_s)
            check(finished, ran)
            sizes.append(_gather(target, output, outputs))
        local = Path(name) / "outputs.bin"
        target.pull(outputs, local, largest_bytes=len(inputs) * _LARGEST_OUTPUT_BYTES)
        content = local.read_bytes()
    _tell(target, f"rm -f {_words(everything, value, output, outputs)}")
    return _split(content, sizes, np.dtype(case.model.output_dtype))


def _cut_script(everything: str, value: str, number: int, size: int, output: str, outputs: str | None) -> str:
    """Takes input `number` out of the batch; removes the last output, so that no old one passes for a new one."""
    cut = f"dd if={_words(everything)} of={_words(value)} bs={size} skip={number} count=1 2>/dev/null"
    return f"rm -f {_words(output, *([outputs] if outputs else []))} && {cut}"


def _gather(target: Target, output: str, outputs: str) -> int:
    """Appends an output to those before it; its size in bytes."""
    said = _tell(target, f"wc -c < {_words(output)} && cat {_words(output)} >> {_words(outputs)}").strip()
    if not said.isdecimal() or not 0 < int(said[:20]) <= _LARGEST_OUTPUT_BYTES:
        raise RunnerOutputError(
            f"the output file has {shown(said)} bytes, 1 to {_LARGEST_OUTPUT_BYTES} are believed; check the model"
        )
    return int(said)


def _split(content: bytes, sizes: list[int], dtype: np.dtype[Any]) -> list[NDArray[np.generic]]:
    if len(content) != sum(sizes) or any(size % dtype.itemsize for size in sizes):
        raise RunnerOutputError(
            f"outputs of {sorted(set(sizes))} bytes became {len(content)} bytes together; they are no {len(sizes)} "
            f"tensors of {dtype}"
        )
    ends = np.cumsum(sizes)
    return [
        np.frombuffer(content[end - size : end], dtype).copy() for size, end in zip(sizes, ends.tolist(), strict=True)
    ]


def _expect(case: Case, inputs: NDArray[Any]) -> None:
    model = case.model
    if inputs.dtype != np.dtype(model.input_dtype) or (1, *inputs.shape[1:]) != model.input_shape or not len(inputs):
        raise RunnerOutputError(
            f"inputs of {inputs.dtype} {list(inputs.shape)} do not fit {model.file!r}, which takes {model.input_dtype} "
            f"{list(model.input_shape)} one at a time"
        )


def _tell(target: Target, script: str) -> str:
    finished = target.shell(script, timeout_s=30.0)
    if finished.exit_code:
        said = finished.stderr.decode("utf-8", "replace")
        raise RunnerOutputError(
            f"the files of a computation could not be handled (exit code {finished.exit_code}): {shown(said.strip())}; "
            "free storage on the device and look whether the runner wrote its output"
        )
    return finished.stdout[:1000].decode("utf-8", "replace")


def _words(*paths: str) -> str:
    return " ".join(shlex.quote(path) for path in paths)
