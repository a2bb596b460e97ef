"""All runners on emulated devices: found, measured, and computing what this machine computes."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from device_bench.adb.client import Adb
from device_bench.adb.phone import Phone
from device_bench.case import Case, Pass, RunnerName, RunSettings
from device_bench.result import RunnerOutput
from device_bench.runners.discover import available_runners
from device_bench.runners.runner import Runner
from device_bench.state.facts import read_facts
from models.errors import RunnerOutputError, UsageError
from tests.device_bench import tiny_models
from tests.device_bench.lab.phones import LabPhone
from tests.device_bench.runners.fakes import tiny_case

pytestmark = pytest.mark.lab

INT8 = Path(__file__).parents[2] / "golden/lab_int8/small_int8.tflite"
SETTINGS = RunSettings(runs=10, min_s=0.1, max_s=20, warmup_min_s=0.05)
INPUTS = np.random.default_rng(3).normal(0, 1, (3, 4, 4, 3)).astype(np.float32)
HOSTILE = "x:0 $(id) ; 'q'"
RUNNERS: tuple[RunnerName, ...] = ("classic", "interpreter", "litert_python", "onnxruntime")

Device = Callable[[str], LabPhone]


@contextmanager
def session(phone: LabPhone, name: RunnerName, **options: Any) -> Iterator[tuple[Phone, str, Runner]]:
    """A target, its private folder, and one runner on it."""
    target = Phone(Adb(), phone.serial)
    with target.session() as folder:
        facts = read_facts(target, folder)
        (runner,) = available_runners(target, facts, folder, wanted=(name,), report=lambda _: None, **options)
        yield target, folder, runner


def push_tiny(target: Phone, folder: str, runner: Runner, tmp_path: Path) -> tuple[Case, str]:
    """The smallest network for a runner, under a hostile path and with a hostile input."""
    onnx = runner.info.name == "onnxruntime"
    local = tmp_path / "network"
    local.write_bytes(tiny_models.onnx() if onnx else tiny_models.tflite(input_name=HOSTILE))
    remote = f"{folder}/it's $(id).{'onnx' if onnx else 'tflite'}"
    target.push(local, remote)
    case = tiny_case(format="onnx" if onnx else "tflite", input_name=HOSTILE, runner=runner.info.name, cpu_mask=1)
    return case, remote


def measure(target: Phone, folder: str, runner: Runner, case: Case, kind: Pass, model: str, keep: Path) -> RunnerOutput:
    work = f"{folder}/{kind}"
    target.shell(f"mkdir {shlex.quote(work)}")
    command = runner.command(case, kind, SETTINGS, model, work)
    finished = target.execute(command, work, timeout_s=120)
    keep.mkdir()
    if finished.exit_code == 0:
        for name in runner.result_files(kind):
            target.pull(f"{work}/{name}", keep / name)
    return runner.read(case, kind, finished, keep, command)


@pytest.mark.parametrize("name", RUNNERS)
def test_a_runner_measures_and_computes(
    name: RunnerName, lab_device: Device, native_runner: str, tmp_path: Path
) -> None:
    with session(lab_device("good"), name) as (target, folder, runner):
        if name == "classic":
            assert (runner.info.path, len(runner.info.sha256 or "")) == (native_runner, 64)
        else:
            assert "ai_edge_litert" in runner.info.versions or "onnxruntime" in runner.info.versions
        case, model = push_tiny(target, folder, runner, tmp_path)
        kinds: tuple[Pass, ...] = ("latency", "memory", "profile")
        for kind in (kind for kind in kinds if runner.refuses(case, kind) is None):
            output = measure(target, folder, runner, case, kind, model, tmp_path / kind)
            assert output.measured.latency.runs >= SETTINGS.runs
            assert (output.profiles is not None) == (kind == "profile")
            if kind == "memory":
                assert (output.measured.memory.peak_rss_bytes or 0) > 2**20
        outputs = runner.compute(target, case, model, INPUTS, folder, timeout_s=60)
        assert outputs is not None
        # Sums of 48 products in single precision; another order of adding is allowed, another input is not.
        np.testing.assert_allclose(outputs.astype(np.float64), tiny_models.expected(INPUTS), atol=1e-5)


def int8_case(name: RunnerName) -> tuple[Case, NDArray[np.int8], NDArray[np.int8]]:
    """The stored network with inputs and what this machine computes of them."""
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(str(INT8), num_threads=1)
    network.allocate_tensors()
    source, target = network.get_input_details()[0], network.get_output_details()[0]
    shape = tuple(int(size) for size in source["shape"])
    inputs = np.random.default_rng(1).integers(-128, 128, (8, *shape[1:]), np.int8)
    outputs = []
    for image in inputs:
        network.set_tensor(source["index"], image[None])
        network.invoke()
        outputs.append(network.get_tensor(target["index"]).reshape(-1))
    case = tiny_case(input_shape=shape, input_dtype="int8", output_dtype="int8", input_name=source["name"], runner=name)
    return case, inputs, np.stack(outputs)


def compute_int8(target: Phone, folder: str, runner: Runner) -> tuple[NDArray[Any], NDArray[np.int8]]:
    case, inputs, expected = int8_case(runner.info.name)
    target.push(INT8, f"{folder}/m.tflite")
    outputs = runner.compute(target, case, f"{folder}/m.tflite", inputs, folder, timeout_s=60)
    assert outputs is not None
    return outputs, expected


@pytest.mark.parametrize("device", ["good", "board", "amd64"])
def test_int8_outputs_of_the_interpreter_are_this_machines_bit_for_bit(device: str, lab_device: Device) -> None:
    with session(lab_device(device), "interpreter") as (target, folder, runner):
        outputs, expected = compute_int8(target, folder, runner)
        np.testing.assert_array_equal(outputs, expected)


def test_int8_outputs_of_the_native_runner_are_near_this_machines(lab_device: Device, native_runner: str) -> None:
    del native_runner
    with session(lab_device("good"), "classic") as (target, folder, runner):
        outputs, expected = compute_int8(target, folder, runner)
    # Builtin NEON kernels round otherwise than XNNPACK: up to 6 steps of 256 were seen on good devices. Inputs mixed
    # up, or not read, differ by tens.
    assert outputs.dtype == np.int8
    assert np.abs(outputs.astype(int) - expected.astype(int)).max() <= 6
    assert len({row.tobytes() for row in outputs}) == len(outputs)


def test_wrong_kernels_are_seen_in_the_outputs(lab_device: Device) -> None:
    with session(lab_device("liar"), "interpreter") as (target, folder, runner):
        outputs, expected = compute_int8(target, folder, runner)
    assert np.abs(outputs.astype(int) - expected.astype(int)).max() > 10


def test_an_unknown_instruction_is_reported_as_such(lab_device: Device, tmp_path: Path) -> None:
    # LiteRT's newer interface needs atomic instructions that this CPU does not have; the interpreter does not.
    with session(lab_device("old"), "litert_python") as (target, folder, runner):
        case, model = push_tiny(target, folder, runner, tmp_path)
        with pytest.raises(
            RunnerOutputError, match=r"^the command was ended by SIGILL \(exit code 132\): 'FATAL ERROR: "
        ):
            measure(target, folder, runner, case, "latency", model, tmp_path / "raw")


def test_a_program_given_runs_from_the_private_folder(lab_device: Device, native_runner: str, tmp_path: Path) -> None:
    phone = lab_device("good")
    given = tmp_path / "my $(id) runner"
    Phone(Adb(), phone.serial).pull(native_runner, given)
    with session(phone, "classic", runner_path=given) as (target, folder, runner):
        assert runner.info.path == f"{folder}/runner-given/benchmark_model"
        case, model = push_tiny(target, folder, runner, tmp_path)
        assert measure(target, folder, runner, case, "latency", model, tmp_path / "raw").measured.latency.runs >= 10


def test_a_program_of_this_desktop_is_refused_before_it_is_pushed(lab_device: Device) -> None:
    program = shutil.which("true")
    assert program
    with (
        pytest.raises(
            UsageError, match=r"^'true' is a program for .*, but the device \(ABIs arm64-v8a\) runs arm64; give"
        ),
        session(lab_device("good"), "classic", runner_path=Path(program)),
    ):
        pass
