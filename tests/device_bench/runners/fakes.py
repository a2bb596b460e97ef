"""Targets and programs for the tests of runners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from device_bench.case import Case, RunSettings
from device_bench.parse import parse_output
from device_bench.result import Flavour, RunnerHelp
from device_bench.runners.classic import Classic
from device_bench.runners.runner import RunnerInfo
from device_bench.state.facts import DeviceFacts
from device_bench.target import Command, Finished
from models.errors import DeviceError
from tests.device_bench.cases import make_case, make_model
from tests.device_bench.tiny_models import INPUT_SHAPE
from tests.programs import first_lines

GOLDEN = Path(__file__).parents[2] / "golden"
HELP_2_14 = (GOLDEN / "native_2.14_arm64" / "help" / "stderr").read_text("utf-8")
SETTINGS = RunSettings()

MODERN = (
    "graph", "num_runs", "min_secs", "max_secs", "warmup_runs", "warmup_min_secs", "num_threads", "use_xnnpack",
    "use_gpu", "gpu_precision_loss_allowed", "gpu_experimental_enable_quant", "require_full_delegation",
    "report_peak_memory_footprint", "enable_op_profiling", "op_profiling_output_mode", "op_profiling_output_file",
    "profiling_output_csv_file", "result_file_path", "input_layer", "input_layer_shape", "input_layer_value_files",
    "output_filepath",
)  # fmt: skip
"""Flags of the classic runner of LiteRT 2.1 that matter here."""

LITERT = (
    "graph", "num_runs", "min_secs", "max_secs", "warmup_runs", "warmup_min_secs", "num_threads", "use_cpu", "use_gpu",
    "use_npu", "require_full_delegation", "report_peak_memory_footprint", "result_file_path", "dispatch_library_path",
)  # fmt: skip


def flags_2_14() -> tuple[str, ...]:
    """Of the recorded help text."""
    usage = parse_output("", HELP_2_14)
    assert isinstance(usage, RunnerHelp)
    return usage.flags


def make_info(
    name: Any = "classic", flags: tuple[str, ...] = MODERN, path: str = "/data/b", **changes: Any
) -> RunnerInfo:
    flavours: dict[str, Flavour] = {"classic": "classic", "litert": "litert", "litert_python": "litert_python"}
    values: dict[str, Any] = {
        "name": name, "flavour": flavours.get(name, "loop"), "path": path, "sha256": "0" * 64, "versions": {},
        "flags": flags, "source": "given: b",
    }  # fmt: skip
    return RunnerInfo(**{**values, **changes})


def make_classic(flags: tuple[str, ...] = MODERN, path: str = "/data/b") -> Classic:
    return Classic(info=make_info(flags=flags, path=path))


def tiny_case(**changes: Any) -> Case:
    """A case of the networks in `tiny_models`."""
    model = {"input_shape": INPUT_SHAPE, "input_dtype": "float32", "output_dtype": "float32"}
    names = ("format", "input_name", "input_shape", "input_dtype", "output_dtype", "file")
    given = {name: changes.pop(name) for name in names if name in changes}
    return make_case(model=make_model("float32", **{**model, **given}), **changes)


def make_facts(*, abis: tuple[str, ...] | None = None, machine: str | None = "x86_64") -> DeviceFacts:
    names = [name for name in DeviceFacts.__dataclass_fields__ if name != "missing"]
    values: dict[str, Any] = dict.fromkeys(names) | {"abis": abis, "machine": machine}
    return DeviceFacts(**values, missing={name: "?" for name in names if values[name] is None})


def finished(stdout: str = "", stderr: str = "", exit_code: int = 0) -> Finished:
    return Finished(stdout=stdout.encode(), stderr=stderr.encode(), exit_code=exit_code, wall_s=0.1)


class FakeTarget:
    """Answers scripts and programs from functions, and records all that was asked; files are in a local folder."""

    def __init__(
        self,
        execute: Callable[[Command], Finished],
        shell: Callable[[str], Finished] = lambda _: finished(),
        name: str = "phone",
    ) -> None:
        self.name = name
        self.identity = "0" * 16
        self._execute, self._shell = execute, shell
        self.scripts: list[str] = []
        self.commands: list[Command] = []
        self.pushed: dict[str, Path] = {}

    def shell(self, script: str, *, timeout_s: float = 15.0) -> Finished:
        del timeout_s
        self.scripts.append(script)
        return self._shell(script)

    def execute(self, command: Command, folder: str, *, timeout_s: float) -> Finished:
        del folder, timeout_s
        self.commands.append(command)
        return self._execute(command)

    def push(self, local: Path, remote: str, *, executable: bool = False) -> None:
        del executable
        assert local.is_file()
        self.pushed[remote] = local

    def pull(self, remote: str, local: Path, *, largest_bytes: int = 64 * 2**20) -> None:
        del local, largest_bytes
        raise DeviceError(f"no file {remote}")

    def session(self) -> Any:
        raise AssertionError("the session is the caller's")


def install_stub(folder: Path) -> Path:
    """The stub as an executable `benchmark_model` in `folder`, with its help text beside it."""
    program = folder / "benchmark_model"
    source = Path(__file__).with_name("stub_benchmark_model.py")
    lines = source.read_text("utf-8").split("\n")
    # `-S -E`: without site-packages a process starts in milliseconds.
    program.write_text(first_lines("-SE") + "\n".join(lines[1:]), "utf-8")
    program.chmod(0o755)
    (folder / "stub_help.txt").write_text(HELP_2_14, "utf-8")
    return program


def words(command: Command) -> list[str]:
    """Arguments, without the program."""
    return list(command.argv[1:])


NO_ENVIRONMENT = MappingProxyType[str, str]({})
