"""What is found on a target, in which order, and what is said when nothing is."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from device_bench.desktop import Desktop
from device_bench.runners.classic import Classic
from device_bench.runners.discover import available_runners
from device_bench.runners.fetch import Fetcher
from device_bench.runners.litert import Litert
from device_bench.runners.litert_python import LitertPython
from device_bench.runners.loop import Loop
from device_bench.runners.machine import read_machine, script_python
from device_bench.target import Command, Finished
from models.errors import DeviceError, DownloadError, LinkError, ProgramError, UsageError
from tests.device_bench.runners.fakes import HELP_2_14, FakeTarget, finished, install_stub, make_facts
from tests.device_bench.runners.test_elf import elf

PHONE = make_facts(abis=("arm64-v8a", "armeabi-v7a"), machine="aarch64")
BOARD = make_facts(machine="aarch64")
DIGEST = hashlib.sha256(b"").hexdigest()
LITERT_HELP = HELP_2_14.replace("\t--input_layer=", "\t--dispatch_library_path=")
PYTHON_HELP = (
    "usage: litert-benchmark [-h] --model MODEL [--num_runs N]\n                        [--warmup_runs N]"
    " [--num_threads N] [--result_json F]\n\nBenchmark.\n"
)
VERSIONS = '{"%s": "2.3.0", "numpy": "2.4.6", "python": "3.13.1"}\n'


def silent(_: object) -> None:
    """No progress."""


@dataclass
class Device:
    """A device by what is on its PATH and what its programs answer."""

    path: dict[str, str]
    answers: dict[str, Finished]
    """By the program's name, or the package that the loop is asked for."""
    long_bits: str = "64"
    name: str = "phone"

    def target(self) -> FakeTarget:
        return FakeTarget(self.execute, self.shell, self.name)

    def shell(self, script: str) -> Finished:
        if script.startswith("getconf"):
            names = ("benchmark_model", "litert-benchmark", "python3")
            return finished("\n".join([self.long_bits, *(self.path.get(name, "") for name in names)]) + "\n")
        if script.startswith("sha256sum"):
            return finished(f"{DIGEST}  /somewhere\n")
        if script.startswith("head"):
            return finished("#!/opt/venv/bin/python3\nimport sys\n")
        assert script.startswith("mkdir -p ")
        return finished()

    def execute(self, command: Command) -> Finished:
        packages = [word.removeprefix("--package=") for word in command.argv if word.startswith("--package=")]
        return self.answers.get((packages or [Path(command.argv[0]).name])[0], finished("", "not found\n", 127))


NATIVE = Device({"benchmark_model": "/usr/bin/benchmark_model"}, {"benchmark_model": finished("", HELP_2_14, 1)})
PYTHON = Device(
    {"python3": "/usr/bin/python3", "litert-benchmark": "/usr/bin/litert-benchmark"},
    {
        "litert-benchmark": finished(PYTHON_HELP),
        "ai_edge_litert": finished(VERSIONS % "ai_edge_litert"),
        "onnxruntime": finished(VERSIONS % "onnxruntime"),
    },
)
NOTHING = Device({}, {})


def no_fetch(tmp_path: Path) -> Fetcher:
    """A fetcher whose server nobody is."""
    return Fetcher(base_url="http://127.0.0.1:9", folder=tmp_path / "cache", lock=tmp_path / "lock.json")


def program(folder: Path, machine: int = 183, bits: int = 64) -> Path:
    path = folder / "my runner"
    path.write_bytes(elf(machine, bits))
    return path


def test_a_program_on_path_comes_first_and_is_known_by_its_hash() -> None:
    target = NATIVE.target()
    (runner,) = available_runners(target, PHONE, "/f", report=silent)
    assert isinstance(runner, Classic)
    info = runner.info
    assert (info.path, info.sha256, info.source) == ("/usr/bin/benchmark_model", DIGEST, "found on the device")
    assert "graph" in info.flags
    assert not target.pushed
    assert [command.argv[1:] for command in target.commands] == [("--help",)]


def test_runners_come_in_the_order_wanted_and_each_once() -> None:
    wanted = ("onnxruntime", "litert_python", "interpreter", "onnxruntime")
    target = PYTHON.target()
    runners = available_runners(target, BOARD, "/f", wanted=wanted, report=silent)  # type: ignore[arg-type]
    assert [runner.info.name for runner in runners] == ["onnxruntime", "litert_python", "interpreter"]
    assert [type(runner) for runner in runners] == [Loop, LitertPython, Loop]


def test_litert_benchmark_computes_with_the_python_of_its_first_line() -> None:
    (runner,) = available_runners(PYTHON.target(), BOARD, "/f", wanted=("litert_python",), report=silent)
    assert isinstance(runner, LitertPython)
    assert runner.loop is not None
    assert runner.loop.info.path == "/opt/venv/bin/python3"
    assert runner.info.versions["ai_edge_litert"] == "2.3.0"


def test_a_board_without_a_native_runner_gets_the_interpreter() -> None:
    (runner,) = available_runners(PYTHON.target(), BOARD, "/f", report=silent)
    assert runner.info.name == "interpreter"


def test_an_older_board_gets_the_older_package() -> None:
    missing = finished("", "ERROR: ModuleNotFoundError: No module named 'ai_edge_litert'\n", 1)
    answers = {"ai_edge_litert": missing, "tflite_runtime": finished(VERSIONS % "tflite_runtime")}
    (runner,) = available_runners(replace(PYTHON, answers=answers).target(), BOARD, "/f", report=silent)
    assert isinstance(runner, Loop)
    assert runner.package == "tflite_runtime"


def test_a_runner_that_is_wanted_and_not_there_is_an_error_with_its_reason() -> None:
    with pytest.raises(ProgramError, match=r"^there is no python3 on the device's PATH; use a native runner with"):
        available_runners(NATIVE.target(), PHONE, "/f", wanted=("classic", "interpreter"), report=silent)
    with pytest.raises(
        ProgramError, match=r"^there is no litert-benchmark on the device's PATH; install ai-edge-litert"
    ):
        available_runners(NATIVE.target(), PHONE, "/f", wanted=("litert_python",), report=silent)
    broken = replace(PYTHON, answers=PYTHON.answers | {"onnxruntime": finished("", "Illegal instruction", 132)})
    with pytest.raises(ProgramError, match=r"^'/usr/bin/python3' was ended by SIGILL \(exit code 132\)"):
        available_runners(broken.target(), BOARD, "/f", wanted=("onnxruntime",), report=silent)


def test_a_program_on_path_that_does_not_start_is_not_passed_over(tmp_path: Path) -> None:
    device = replace(NATIVE, answers={"benchmark_model": finished("", "Illegal instruction\n", 132)})
    with pytest.raises(ProgramError, match=r"ended by SIGILL"):
        available_runners(device.target(), PHONE, "/f", wanted=("classic",), report=silent, fetcher=no_fetch(tmp_path))


def test_a_target_without_any_runner_hears_every_reason(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        available_runners(NOTHING.target(), BOARD, "/f", report=silent, fetcher=no_fetch(tmp_path))
    text = str(caught.value)
    assert text.startswith("no benchmark runner for phone: there is no benchmark_model on the device's PATH; ")
    for part in (
        "there is no python3",
        "cannot fetch http://127.0.0.1:9/tensorflow-nightly",
        "linux_aarch64",
        "--runner-path",
    ):
        assert part in text
    assert text.isprintable()


def test_a_lost_connection_is_no_missing_runner(tmp_path: Path) -> None:
    def lost(_: Command) -> Finished:
        raise LinkError("the connection was lost", transient=True)

    target = FakeTarget(lost, NATIVE.shell)
    with pytest.raises(LinkError):
        available_runners(target, PHONE, "/f", report=silent, fetcher=no_fetch(tmp_path))


def test_a_program_given_is_pushed_and_started(tmp_path: Path) -> None:
    given = program(tmp_path)
    target = replace(NATIVE, path={}).target()
    (runner,) = available_runners(target, PHONE, "/f", runner_path=given, report=silent)
    remote = "/f/runner-given/benchmark_model"
    assert (runner.info.path, runner.info.source) == (remote, "given: my runner")
    assert runner.info.sha256 == hashlib.sha256(given.read_bytes()).hexdigest()
    assert target.pushed == {remote: given}
    assert target.commands == [Command(argv=(remote, "--help"), environment={"LD_LIBRARY_PATH": "/f/runner-given"})]


def test_a_litert_program_given_brings_its_libraries(tmp_path: Path) -> None:
    given = program(tmp_path)
    for name in ("libLiteRt.so", "libLiteRtClGlAccelerator.so", "libOther.so", "notes.txt"):
        (tmp_path / name).touch()
    device = Device({}, {"benchmark_model": finished("", LITERT_HELP, 1)})
    target = device.target()
    (runner,) = available_runners(target, PHONE, "/f", runner_path=given, report=silent)
    assert isinstance(runner, Litert)
    assert {Path(name).name for name in target.pushed} == {
        "benchmark_model", "libLiteRt.so", "libLiteRtClGlAccelerator.so",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "bits", "facts", "message"),
    [
        (62, 64, PHONE, r"for x86-64, but the device \(ABIs arm64-v8a, armeabi-v7a\) runs arm64, arm32"),
        (183, 64, make_facts(abis=("armeabi-v7a",)), r"for arm64, but the device \(ABIs armeabi-v7a\) runs arm32"),
        (40, 32, make_facts(machine="x86_64"), r"for arm32, but the device \(x86_64\) runs x86-64"),
    ],
)  # fmt: skip
def test_a_program_for_another_machine_is_refused_before_it_is_pushed(
    tmp_path: Path, machine: int, bits: int, facts: Any, message: str
) -> None:
    target = NATIVE.target()
    with pytest.raises(UsageError, match=message):
        available_runners(target, facts, "/f", runner_path=program(tmp_path, machine, bits), report=silent)
    assert not target.pushed
    assert not target.commands


def test_a_64_bit_kernel_with_a_32_bit_system_takes_32_bit_programs(tmp_path: Path) -> None:
    device = replace(NATIVE, long_bits="32")
    with pytest.raises(UsageError, match=r"for arm64, but the device \(aarch64\) runs arm32"):
        available_runners(device.target(), BOARD, "/f", runner_path=program(tmp_path), report=silent)


def test_a_program_given_must_be_one_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^'my runner' is a classic runner, wanted are litert, interpreter; name it with"
    ):
        available_runners(
            NATIVE.target(), PHONE, "/f", wanted=("litert", "interpreter"), runner_path=program(tmp_path), report=silent
        )


def test_a_program_given_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    device = replace(NATIVE, answers={"benchmark_model": finished("", 'CANNOT LINK EXECUTABLE "x": library "y"', 1)})
    with pytest.raises(ProgramError, match=r"misses a library on this device"):
        available_runners(device.target(), PHONE, "/f", runner_path=program(tmp_path), report=silent)


class Kept(Fetcher):
    """Gives files that lie there instead of fetching them."""

    def fetch(self, build: Any, report: Any) -> tuple[Path, ...]:
        del report
        self.folder.mkdir(exist_ok=True)
        for name in (build.program, *build.libraries):
            (self.folder / Path(name).name).write_bytes(elf())
        return tuple(self.folder / Path(name).name for name in (build.program, *build.libraries))


@pytest.mark.parametrize(
    ("kind", "usage", "files"),
    [("classic", HELP_2_14, 1), ("litert", LITERT_HELP, 4)],
)
def test_a_phone_without_a_runner_gets_googles(tmp_path: Path, kind: Any, usage: str, files: int) -> None:
    target = Device({}, {"benchmark_model": finished("", usage, 1)}).target()
    fetcher = Kept(folder=tmp_path / "cache", lock=tmp_path / "lock.json")
    (runner,) = available_runners(target, PHONE, "/f", wanted=(kind,), report=silent, fetcher=fetcher)
    assert runner.info.name == kind
    assert runner.info.source.startswith("https://storage.googleapis.com/")
    assert len(target.pushed) == files
    assert all(name.startswith(f"/f/runner-fetched-{kind}/") for name in target.pushed)


def test_googles_file_of_the_other_flavour_is_refused(tmp_path: Path) -> None:
    target = Device({}, {"benchmark_model": finished("", HELP_2_14, 1)}).target()
    fetcher = Kept(folder=tmp_path / "cache", lock=tmp_path / "lock.json")
    with pytest.raises(ProgramError, match=r"is a classic runner, not litert; give one with --runner-path$"):
        available_runners(target, PHONE, "/f", wanted=("litert",), report=silent, fetcher=fetcher)


def test_a_machine_that_google_does_not_know_needs_a_program_given(tmp_path: Path) -> None:
    facts = make_facts(machine="s390x")
    with pytest.raises(
        DownloadError, match=r"^Google has no classic benchmark_model for a device s390x; give one with"
    ):
        available_runners(NOTHING.target(), facts, "/f", wanted=("classic",), report=silent, fetcher=no_fetch(tmp_path))


@pytest.mark.parametrize("said", ["", "sha256sum: not found", "zz  /x", DIGEST[:-1] + "  /x", DIGEST.upper() + "  /x"])
def test_a_program_without_a_hash_is_not_used(said: str) -> None:
    def shell(script: str) -> Finished:
        return finished(said, "\x1b[2Jno such tool") if script.startswith("sha256sum") else NATIVE.shell(script)

    target = FakeTarget(NATIVE.execute, shell)
    with pytest.raises(ProgramError) as caught:
        available_runners(target, PHONE, "/f", wanted=("classic",), report=silent)
    assert "does not tell the sha256 of '/usr/bin/benchmark_model'" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("answer", "programs"),
    [
        ("64\n/a/benchmark_model\n\n/b/python3\n", {"benchmark_model": "/a/benchmark_model", "python3": "/b/python3"}),
        ("\r\n\r\n\r\n/usr/bin/python3\r\n", {"python3": "/usr/bin/python3"}),
        ("64\nalias benchmark_model='x'\nlitert-benchmark\n/\x1b[2Jpython3\n", {}),
        ("", {}),
        ("64\n/" + "x" * 5000 + "\n", {}),
    ],
)  # fmt: skip
def test_only_files_are_taken_for_programs(answer: str, programs: dict[str, str]) -> None:
    target = FakeTarget(lambda _: finished(), lambda _: finished(answer))
    machine = read_machine(target, BOARD)
    assert machine.programs == programs


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("#!/opt/v/bin/python3.13\n", "/opt/v/bin/python3.13"),
        ("#!/usr/bin/env python3\n", "python3"),
        ("#!/bin/sh\n'''exec' /a/python \"$0\"\n", None),
        ("#!/opt/a b/python3\n", None),
        ("\x7fELF\x02", None),
        ("", None),
        ("#!/usr/bin/python3 -E\n", None),
        ("#!/opt/v/bin/python3.13", None),
    ],
)
def test_the_python_of_a_console_script_is_in_its_first_line(line: str, python: str | None) -> None:
    seen: list[str] = []

    def shell(script: str) -> Finished:
        seen.append(script)
        return finished(line)

    assert script_python(FakeTarget(lambda _: finished(), shell), "/it's; $(id)") == python
    assert seen == ["head -c 300 '/it'\"'\"'s; $(id)'"]


# On this machine, for real


def test_this_desktop_measures_with_its_own_python(tmp_path: Path) -> None:
    facts = make_facts(machine="x86_64")
    wanted = ("interpreter", "litert_python")
    runners = available_runners(Desktop(), facts, str(tmp_path), wanted=wanted, report=silent)  # type: ignore[arg-type]
    assert runners[0].info.path == sys.executable
    assert [runner.info.name for runner in runners] == list(wanted)


def test_a_real_program_on_path_is_found_hashed_and_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = install_stub(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (runner,) = available_runners(Desktop(), make_facts(), str(tmp_path), wanted=("classic",), report=silent)
    assert (runner.info.path, runner.info.sha256) == (str(stub), hashlib.sha256(stub.read_bytes()).hexdigest())


def real_program(tmp_path: Path) -> Path:
    """A native program of this machine that is no runner."""
    import shutil

    found = shutil.which("true")
    assert found
    copy = tmp_path / "true"
    copy.write_bytes(Path(found).read_bytes())
    return copy


def test_a_real_program_that_is_no_runner_is_refused(tmp_path: Path) -> None:
    import platform

    facts = make_facts(machine=platform.machine())
    with pytest.raises(UsageError, match="prints no help of a benchmark runner; give TFLite's or LiteRT's"):
        available_runners(Desktop(), facts, str(tmp_path), runner_path=real_program(tmp_path), report=silent)
