"""The timed loop, really run on this machine: its script, its numbers, its outputs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from device_bench.case import Pass, RunSettings
from device_bench.desktop import Desktop
from device_bench.recording import load_recording, parse_recording
from device_bench.result import RunnerOutput
from device_bench.runners import loop as loop_module
from device_bench.runners import value_files
from device_bench.runners.loop import SCRIPT, Loop, find_loop, load_outputs
from device_bench.runners.runner import Runner
from device_bench.target import Command
from models.errors import ProgramError, RunnerOutputError
from tests.device_bench import tiny_models
from tests.device_bench.runners.fakes import FakeTarget, finished, make_info, tiny_case

FAST = RunSettings(runs=20, min_s=0.01, max_s=5, warmup_runs=3, warmup_min_s=0)
INPUTS = np.random.default_rng(0).normal(0, 1, (5, 4, 4, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name is hostile, with a network of each kind in it."""
    path = tmp_path_factory.mktemp('it\'s $(id) ; "x"')
    (path / "full.tflite").write_bytes(tiny_models.tflite())
    (path / "partial.tflite").write_bytes(tiny_models.tflite(with_norm=True))
    (path / "named 'a;b'.tflite").write_bytes(tiny_models.tflite(input_name="x:0 $(id)\n,'"))
    (path / "one.onnx").write_bytes(tiny_models.onnx())
    (path / "open.onnx").write_bytes(tiny_models.onnx(batch="N"))
    return path


@pytest.fixture(scope="module")
def litert(folder: Path) -> Loop:
    return find_loop(Desktop(), sys.executable, str(folder), "ai_edge_litert")


@pytest.fixture(scope="module")
def onnx(folder: Path) -> Loop:
    return find_loop(Desktop(), sys.executable, str(folder), "onnxruntime")


def run(runner: Runner, model: Path, case_changes: dict[str, object], kind: Pass = "latency") -> RunnerOutput:
    """A measurement in a folder of its own, kept as a recording, which is read again."""
    case = tiny_case(**case_changes)
    work = Path(model.parent) / f"run-{runner.info.name}-{model.stem}"
    work.mkdir(exist_ok=True)
    command = runner.command(case, kind, FAST, str(model), str(work))
    back = Desktop().execute(command, str(work), timeout_s=60)
    output = runner.read(case, kind, back, work, command)
    for name, content in (("stdout", back.stdout), ("stderr", back.stderr), ("exit_code", b"0\n")):
        (work / name).write_bytes(content)
    assert parse_recording(load_recording(work, work)) == output
    return output


def test_it_tells_the_versions_of_what_computes(litert: Loop, onnx: Loop) -> None:
    assert set(litert.info.versions) == {"ai_edge_litert", "numpy", "python"}
    assert (litert.info.name, onnx.info.name) == ("interpreter", "onnxruntime")
    assert onnx.info.versions["numpy"] == np.__version__


def test_every_run_is_kept_and_the_statistics_are_theirs(litert: Loop, folder: Path) -> None:
    output = run(litert, folder / "full.tflite", {})
    measured = output.measured
    assert measured.samples_us is not None
    assert len(measured.samples_us) == measured.latency.runs >= FAST.runs
    assert sum(measured.samples_us) <= 5e6
    assert measured.latency.median_us == sorted(measured.samples_us)[len(measured.samples_us) // 2]
    assert measured.warmup is not None
    assert (measured.warmup.runs, measured.init_us > 0) == (3, True)
    assert output.version == f"ai_edge_litert {litert.info.versions['ai_edge_litert']}"
    assert RunnerOutput.from_json(json.loads(json.dumps(output.to_json()))) == output


def test_nodes_that_xnnpack_took_are_counted(litert: Loop, folder: Path) -> None:
    (full,) = run(litert, folder / "full.tflite", {}).delegations
    assert (full.delegate, full.verdict, full.nodes, full.nodes_total, full.kernels) == ("xnnpack", "full", 2, 2, 1)
    (partial,) = run(litert, folder / "partial.tflite", {}).delegations
    assert (partial.verdict, partial.nodes, partial.nodes_total) == ("partial", 2, 3)


def test_without_xnnpack_the_kernels_are_the_builtin_ones(litert: Loop, folder: Path) -> None:
    command = litert.command(tiny_case(), "latency", FAST, str(folder / "full.tflite"), str(folder))
    off = tuple(word.replace("--xnnpack=on", "--xnnpack=off") for word in command.argv)
    back = Desktop().execute(Command(argv=off), str(folder), timeout_s=60)
    (row,) = litert.read(tiny_case(), "latency", back, folder, command).delegations
    assert (row.delegate, row.verdict, row.evidence) == ("cpu", "builtin", ("no delegate among 2 nodes",))


def test_onnxruntime_runs_on_the_cpu_provider_alone(onnx: Loop, folder: Path) -> None:
    output = run(onnx, folder / "open.onnx", {"format": "onnx", "threads": 2})
    (row,) = output.delegations
    assert (row.delegate, row.verdict, row.evidence) == ("cpu", "builtin", ("CPUExecutionProvider",))
    assert {("threads", "2"), ("allow_spinning", "1"), ("execution", "sequential")} <= set(output.parameters)


def test_memory_is_that_of_the_process_and_grows(litert: Loop, folder: Path) -> None:
    memory = run(litert, folder / "full.tflite", {}, "memory").measured.memory
    assert not memory.missing
    assert memory.peak_rss_bytes is not None
    assert memory.peak_rss_growth_bytes is not None
    # A process that began with the peak of the one that started it would show no growth.
    assert 5 * 2**20 < memory.peak_rss_bytes < 2**30
    assert 0 < memory.peak_rss_growth_bytes < memory.peak_rss_bytes


@pytest.mark.parametrize("model", ["full.tflite", "named 'a;b'.tflite"])
def test_the_interpreter_computes_what_numpy_computes(litert: Loop, folder: Path, model: str) -> None:
    outputs = litert.compute(Desktop(), tiny_case(), str(folder / model), INPUTS, str(folder), timeout_s=60)
    assert outputs is not None
    assert outputs.shape == (5, 5)
    assert outputs.dtype == np.float32
    # Sums of 48 products in single precision; another order of adding is allowed, another input is not.
    np.testing.assert_allclose(outputs.astype(np.float64), tiny_models.expected(INPUTS), atol=1e-5)


@pytest.mark.parametrize("model", ["one.onnx", "open.onnx"])
def test_onnxruntime_computes_what_numpy_computes(
    onnx: Loop, folder: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_files, "BATCH_BYTES", 3 * INPUTS[:1].nbytes)
    case = tiny_case(format="onnx")
    outputs = onnx.compute(Desktop(), case, str(folder / model), INPUTS, str(folder), timeout_s=60)
    assert outputs is not None
    np.testing.assert_allclose(outputs.astype(np.float64), tiny_models.expected(INPUTS), atol=1e-5)


@pytest.mark.parametrize(
    ("content", "shape", "message"),
    [
        (b"garbage", (1, 4, 4, 3), r"^the command failed \(exit code 1\): 'ERROR: ValueError: "),
        (tiny_models.tflite()[:300], (1, 4, 4, 3), r"^the command (failed|was ended)"),
        (b"", (1, 4, 4, 3), r"^the command failed \(exit code 1\): 'ERROR: ValueError: "),
        (
            tiny_models.tflite(),
            (1, 8, 8, 3),
            r"ERROR: ValueError: the input's shape is \[1, 4, 4, 3\], not \[1, 8, 8, 3\]",
        ),
    ],
)
def test_a_network_that_does_not_run_gives_no_numbers(
    litert: Loop, folder: Path, tmp_path: Path, content: bytes, shape: tuple[int, ...], message: str
) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    case = tiny_case(input_shape=shape)
    command = litert.command(case, "latency", FAST, str(tmp_path / "m.tflite"), str(tmp_path))
    back = Desktop().execute(command, str(folder), timeout_s=60)
    with pytest.raises(RunnerOutputError, match=message):
        litert.read(case, "latency", back, tmp_path, command)
    assert not (tmp_path / "result.json").exists()


def test_inputs_of_another_type_are_refused_there(litert: Loop, folder: Path) -> None:
    with pytest.raises(RunnerOutputError, match=r"the inputs are uint8 \[4, 4, 3\] each; the network takes float32"):
        litert.compute(
            Desktop(), tiny_case(), str(folder / "full.tflite"), INPUTS.astype(np.uint8), str(folder), timeout_s=60
        )


def test_what_it_cannot_do_is_refused_with_its_reason(litert: Loop, onnx: Loop) -> None:
    assert litert.refuses(tiny_case(), "latency") is None
    assert onnx.refuses(tiny_case(format="onnx"), "memory") is None
    assert litert.refuses(tiny_case(format="onnx"), "latency") == "ai_edge_litert runs tflite files, not onnx"
    assert "has no operator profile" in str(litert.refuses(tiny_case(), "profile"))
    assert "runs on the CPU here" in str(onnx.refuses(tiny_case(format="onnx", delegate="gpu"), "latency"))
    assert litert.compute(Desktop(), tiny_case(delegate="gpu"), "m", INPUTS, "/f", timeout_s=1) is None


def test_the_command_states_every_setting() -> None:
    runner = Loop(
        info=make_info("interpreter", path="/usr/bin/python3"), script="/s/timed_loop.py", package="ai_edge_litert"
    )
    command = runner.command(tiny_case(threads=4, cpu_mask=0xF0), "latency", RunSettings(), "/m", "/f")
    assert command.argv == (
        "/usr/bin/python3", "/s/timed_loop.py", "--package=ai_edge_litert", "--model=/m", "--input-shape=1,4,4,3",
        "--threads=4", "--xnnpack=on", "--runs=50", "--min-s=1", "--max-s=150", "--warmup-runs=1", "--warmup-min-s=0.5",
        "--result=/f/result.json",
    )  # fmt: skip
    assert command.cpu_mask == 0xF0


@pytest.mark.parametrize(
    ("back", "message"),
    [
        (
            finished("", "ERROR: ModuleNotFoundError: No module named 'onnxruntime'\n", 1),
            "cannot load onnxruntime: .*pip$",
        ),
        (finished("", "Illegal instruction\n", 132), "was ended by SIGILL"),
        (finished("hello\n"), "answered 'hello' when asked for the version of onnxruntime; check that it is a Python"),
        (finished("{}\n"), "answered '{}' when asked"),
        (finished('{"onnxruntime": 1}\n'), "when asked"),
        (finished('["onnxruntime"]\n'), "when asked"),
        (finished("[" * 5000), "when asked"),
    ],
)
def test_a_python_without_the_package_is_told(back: object, message: str) -> None:
    target = FakeTarget(lambda _: back)  # type: ignore[arg-type,return-value]
    with pytest.raises(ProgramError, match=message):
        find_loop(target, "/usr/bin/python3", "/f", "onnxruntime")
    assert target.pushed == {"/f/timed_loop.py": SCRIPT}


def save(path: Path, value: object) -> Path:
    np.save(path, value, allow_pickle=True)  # type: ignore[arg-type]
    return path


def test_outputs_from_outside_are_read_without_trust(tmp_path: Path) -> None:
    path = tmp_path / "o.npy"
    good = np.zeros((2, 3), np.uint8)
    np.testing.assert_array_equal(load_outputs(save(path, good), 2, "uint8"), good)
    for wrong in (np.zeros((3, 3), np.uint8), np.zeros((2, 3), np.int8), np.zeros(2, np.uint8)):
        with pytest.raises(RunnerOutputError, match=r"^the outputs are .*, where uint8 \[2, classes\] is due$"):
            load_outputs(save(path, wrong), 2, "uint8")
    with pytest.raises(RunnerOutputError, match=r"^the outputs are no NumPy file"):
        load_outputs(save(path, np.array([{"run": "me"}], object)), 1, "uint8")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (999999999999, 9), }".ljust(127)
        + b"\n",
        b"\x93NUMPY\x01\x00v\x00__import__('os').system('id')".ljust(127) + b"\n",
        b"\x93NUMPY\x03\x00\xff\xff\xff\xff" + b"(" * 1000,
    ],
)
def test_files_that_are_no_outputs_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "o.npy").write_bytes(content)
    with pytest.raises(RunnerOutputError, match=r"^the outputs are "):
        load_outputs(tmp_path / "o.npy", 2, "uint8")


def test_the_script_is_written_for_the_python_of_old_boards() -> None:
    ast.parse(SCRIPT.read_text("utf-8"), feature_version=(3, 8))
    imports = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(SCRIPT.read_text("utf-8")))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
        + ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
    }
    assert imports - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}


def test_a_wrong_command_line_of_the_script_is_refused() -> None:
    back = subprocess.run(
        [sys.executable, SCRIPT, "--package=onnxruntime", "--model=x"], capture_output=True, text=True, check=False
    )
    assert back.returncode == 2
    assert "error: --model with --result, or with --inputs and --outputs, or --probe" in back.stderr


def test_the_script_travels_with_the_package() -> None:
    assert SCRIPT.is_file()
    assert Path(loop_module.__file__).parent / "timed_loop.py" == SCRIPT
