"""Which runners a target has: the one given, those installed there, and Google's if nothing else is there."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from device_bench.case import RunnerName
from device_bench.parse.lines import shown
from device_bench.result import RunnerHelp
from device_bench.runners.builds import Kind, find_build
from device_bench.runners.classic import Classic
from device_bench.runners.elf import read_elf
from device_bench.runners.fetch import Fetcher, fetcher_from
from device_bench.runners.litert import Litert
from device_bench.runners.litert_python import LitertPython
from device_bench.runners.loop import Loop, Package, find_loop
from device_bench.runners.machine import Machine, read_machine, script_python
from device_bench.runners.native import INSTALLED, library_path
from device_bench.runners.runner import Runner, RunnerInfo
from device_bench.runners.start import ask_help
from device_bench.state.facts import DeviceFacts
from device_bench.target import Command, Target
from models.errors import DeviceError, DownloadError, ProgramError, RunnerOutputError, UsageError
from models.files import sha256_file
from models.worker import Report


def available_runners(
    target: Target,
    facts: DeviceFacts,
    folder: str,
    *,
    wanted: Sequence[RunnerName] = (),
    runner_path: Path | None = None,
    report: Report,
    fetcher: Fetcher | None = None,
) -> tuple[Runner, ...]:
    """Runners that were started on the target, in the order wanted; the first that it has if none is named.

    Args:
        target: Where, in a session.
        facts: Of it.
        folder: Of the session; programs that have to be copied go there, and with it.
        wanted: Names; all of them must be there.
        runner_path: A native program on this machine, used for the flavour that it has.
        report: Receives the progress of a fetch.
        fetcher: Where Google's runners come from; None asks the environment, and only if one has to be fetched.

    Raises:
        UsageError: `runner_path` is no program for this target, or none of the runners wanted.
        ProgramError: a program does not start there; the runner wanted is not there.
        DownloadError: the runner has to be fetched and cannot be.
        DeviceError: as for `Target`; no runner at all.
    """
    finder = _Finder(target=target, machine=read_machine(target, facts), folder=folder, report=report, fetcher=fetcher)
    if runner_path is not None:
        finder.given = finder.push_given(runner_path)
        if wanted and finder.given.info.name not in wanted:
            raise UsageError(
                f"{runner_path.name!r} is a {finder.given.info.name} runner, wanted are {', '.join(wanted)}; name it "
                "with --runner or leave --runner-path out"
            )
        wanted = wanted or (finder.given.info.name,)
    return tuple(finder.find(name) for name in dict.fromkeys(wanted)) if wanted else (finder.first(),)


@dataclass(slots=True, kw_only=True)
class _Finder:
    """The search on one target, which asks each program once."""

    target: Target
    machine: Machine
    folder: str
    report: Report
    fetcher: Fetcher | None
    given: Classic | Litert | None = None
    _installed: Classic | Litert | None = None
    _loops: dict[tuple[str, Package], Loop] = field(default_factory=dict)

    def find(self, name: RunnerName) -> Runner:
        """The runner of this name, however it can be had."""
        if name == "classic" or name == "litert":
            return self.installed(name) or self.fetched(name)
        if name == "litert_python":
            return self.litert_python()
        return self.interpreter() if name == "interpreter" else self.onnxruntime()

    def first(self) -> Runner:
        """The first that works: what is there before what has to be fetched, a native one before Python."""
        ways: list[Callable[[], Runner]] = [self.any_installed, self.interpreter, self.litert_python, self.google]
        if self.machine.android:
            # Without Python, so that the failures say what matters.
            ways = [self.any_installed, self.google]
        reasons = []
        for way in ways:
            try:
                return way()
            except (ProgramError, RunnerOutputError, DownloadError) as error:
                reasons.append(str(error))
        raise DeviceError(f"no benchmark runner for {self.target.name}: {'; '.join(dict.fromkeys(reasons))}")

    # Native programs

    def any_installed(self) -> Classic | Litert:
        """`benchmark_model` on the target's PATH."""
        path = self.machine.programs.get("benchmark_model")
        if path is None:
            raise ProgramError("there is no benchmark_model on the device's PATH; give one with --runner-path")
        if self._installed is None:
            self._installed = self._start(path, self._sha256(path), INSTALLED)
        return self._installed

    def installed(self, name: Kind) -> Classic | Litert | None:
        """The program given or on PATH, if it is of this flavour.

        Raises:
            ProgramError: a program on PATH does not start. It is not passed over in silence.
        """
        if self.given is not None and self.given.info.name == name:
            return self.given
        if "benchmark_model" not in self.machine.programs:
            return None
        found = self.any_installed()
        return found if found.info.name == name else None

    def push_given(self, path: Path) -> Classic | Litert:
        """A program of this machine, with LiteRT's libraries if they lie beside it."""
        self.machine.refuse_foreign(path.name, read_elf(path))
        beside = sorted(path.resolve().parent.glob("libLiteRt*.so"))
        return self._push("given", path, beside, f"given: {path.name}")

    def google(self) -> Classic | Litert:
        """Google's classic build."""
        return self.fetched("classic")

    def fetched(self, name: Kind) -> Classic | Litert:
        """Google's build for the target's best architecture."""
        if not self.machine.architectures:
            raise DownloadError(
                f"Google has no {name} benchmark_model for a device {self.machine.description}; give one with "
                "--runner-path"
            )
        build = find_build(name, android=self.machine.android, architecture=self.machine.architectures[0])
        fetcher = self.fetcher or fetcher_from(os.environ)
        program, *libraries = fetcher.fetch(build, self.report)
        runner = self._push(f"fetched-{name}", program, libraries, fetcher.url(build.program))
        if runner.info.name != name:
            raise ProgramError(
                f"{fetcher.url(build.program)} is a {runner.info.name} runner, not {name}; give one with --runner-path"
            )
        return runner

    def _push(self, where: str, program: Path, libraries: Sequence[Path], source: str) -> Classic | Litert:
        folder = f"{self.folder}/runner-{where}"
        made = self.target.shell(f"mkdir -p {shlex.quote(folder)}")
        if made.exit_code:
            said = shown(made.stderr.decode("utf-8", "replace").strip())
            raise DeviceError(f"{self.target.name} made no folder for the runner: {said}; free or mend its storage")
        remote = f"{folder}/benchmark_model"
        digest = sha256_file(program)
        self.target.push(program, remote, executable=True)
        for library in libraries:
            self.target.push(library, f"{folder}/{library.name}", executable=True)
        return self._start(remote, digest, source)

    def _start(self, path: str, sha256: str, source: str) -> Classic | Litert:
        command = Command(argv=(path, "--help"), environment=library_path(path, source))
        try:
            usage = ask_help(self.target, command, self.folder)
        except RunnerOutputError as error:
            raise UsageError(
                f"{shown(path)} prints no help of a benchmark runner; give TFLite's or LiteRT's benchmark_model"
            ) from error
        info = _native_info(usage, path, sha256, source)
        return Litert(info=info) if info.name == "litert" else Classic(info=info)

    def _sha256(self, path: str) -> str:
        quoted = shlex.quote(path)
        finished = self.target.shell(f"sha256sum {quoted} || toybox sha256sum {quoted}", timeout_s=60.0)
        digest = finished.stdout.decode("utf-8", "replace").lstrip("\\").split(" ")[0]
        if len(digest) != len(hashlib.sha256().hexdigest()) or set(digest) - set("0123456789abcdef"):
            said = shown(finished.stderr.decode("utf-8", "replace").strip())
            raise ProgramError(
                f"the device does not tell the sha256 of {shown(path)}: {said}; give the runner with --runner-path"
            )
        return digest

    # Python

    def interpreter(self) -> Loop:
        """The timed loop with the newer of the two packages."""
        python = self._python()
        try:
            return self._loop(python, "ai_edge_litert")
        except ProgramError as first:
            try:
                return self._loop(python, "tflite_runtime")
            except ProgramError:
                # The newer one is what a board should have.
                raise first from None

    def onnxruntime(self) -> Loop:
        """The timed loop with ONNX Runtime."""
        return self._loop(self._python(), "onnxruntime")

    def litert_python(self) -> LitertPython:
        """`litert-benchmark` on the target's PATH."""
        path = self.machine.programs.get("litert-benchmark")
        if path is None:
            raise ProgramError(
                "there is no litert-benchmark on the device's PATH; install ai-edge-litert there with pip"
            )
        usage = ask_help(self.target, Command(argv=(path, "--help")), self.folder)
        if usage.flavour != "litert_python":
            raise ProgramError(
                f"{shown(path)} is a {usage.flavour} runner, not litert-benchmark; mend the device's PATH"
            )
        python = script_python(self.target, path)
        loop = self._loop(python, "ai_edge_litert") if python else None
        info = RunnerInfo(
            name="litert_python",
            flavour="litert_python",
            path=path,
            sha256=None,
            versions=loop.info.versions if loop else {},
            flags=usage.flags,
            source=INSTALLED,
        )
        return LitertPython(info=info, loop=loop)

    def _python(self) -> str:
        python = self.machine.programs.get("python3")
        if python is None:
            raise ProgramError(
                "there is no python3 on the device's PATH; use a native runner with --runner-path, or install Python"
            )
        return python

    def _loop(self, python: str, package: Package) -> Loop:
        if (python, package) not in self._loops:
            self._loops[python, package] = find_loop(self.target, python, self.folder, package)
        return self._loops[python, package]


def _native_info(usage: RunnerHelp, path: str, sha256: str, source: str) -> RunnerInfo:
    if usage.flavour not in ("classic", "litert"):
        raise ProgramError(f"{shown(path)} is a {usage.flavour} runner, not benchmark_model; give another")
    return RunnerInfo(
        name="litert" if usage.flavour == "litert" else "classic",
        flavour=usage.flavour,
        path=path,
        sha256=sha256,
        versions={},
        flags=usage.flags,
        source=source,
    )
