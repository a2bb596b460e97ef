"""`Runner`: a program that measures one artifact in a process of its own. A new runner is a file in `runners/`.

A runner turns a `Case` into a `Command` and what came back into a `RunnerOutput`. It starts nothing by itself: the
target does, so that the same runner works on a phone, a board and the desktop, and `--dry-run` can print everything.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from device_bench.case import Case, Pass, RunnerName, RunSettings
from device_bench.result import Flavour, RunnerOutput
from device_bench.target import Command, Finished, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerInfo:
    """Which program measures, and what it can do."""

    name: RunnerName
    flavour: Flavour
    path: str
    """On the target."""
    sha256: str | None
    """Of a native program; a Python package is known by `versions`."""
    versions: dict[str, str]
    """Of the packages that compute, by name."""
    flags: tuple[str, ...]
    """That it knows, without dashes."""
    source: str
    """Where it comes from: a URL, a path given, or `found on the device`."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "flags": list(self.flags)}


class Runner(Protocol):
    """A benchmark program that is ready on a target."""

    @property
    def info(self) -> RunnerInfo:
        """Which program it is."""
        ...

    def refuses(self, case: Case, kind: Pass) -> str | None:
        """Why this runner cannot do that (no such delegate, no operator profile, another format); None if it can."""
        ...

    def command(self, case: Case, kind: Pass, settings: RunSettings, model: str, folder: str) -> Command:
        """The exact command. Only flags that the program knows are in it.

        Args:
            case: What to measure.
            kind: Which of latency, memory and operator profile.
            settings: How long.
            model: Path of the artifact on the target.
            folder: Private, empty folder on the target, where the program may write.
        """
        ...

    def result_files(self, kind: Pass) -> tuple[str, ...]:
        """Names of the files that such a run leaves in its folder, to be kept with its raw output."""
        ...

    def read(self, case: Case, kind: Pass, finished: Finished, files: Path, command: Command) -> RunnerOutput:
        """The numbers.

        Args:
            case: What was measured.
            kind: Which pass it was.
            finished: What came back.
            files: Local folder with the result files.
            command: That was run.

        Raises:
            RunnerOutputError: the run failed, ignored a flag, or its output cannot be read without guessing.
        """
        ...

    def compute(
        self, target: Target, case: Case, model: str, inputs: NDArray[Any], folder: str, *, timeout_s: float
    ) -> NDArray[np.generic] | None:
        """The artifact's raw outputs on recorded inputs, computed on the target; None if this runner cannot.

        Args:
            target: Where.
            case: The artifact, delegate, threads and CPUs.
            model: Path of the artifact on the target.
            inputs: `[N, H, W, 3]` as the input tensor stores them.
            folder: Private folder on the target.
            timeout_s: For each process.

        Returns:
            `[N, classes]` as the output tensor stores them.

        Raises:
            RunnerOutputError: the program failed or wrote something else than N outputs.
            DeviceError: as for `Target.execute`.
        """
        ...
