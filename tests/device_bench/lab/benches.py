"""`python -m device_bench bench` against devices of the lab, as a person types it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_bench.measuring.record import BenchRecord, load_record
from export.pipeline import export_model
from export.precision import select_precisions
from export.request import ExportRequest
from models.checkpoint import run_folder
from models.files import sha256_file
from models.worker import Progress
from models.zoo import lookup
from tests.device_bench.lab.phones import LabPhone

ROOT = Path(__file__).parents[3]
MODEL = "mobilenet_v1_0.25_128"
WEIGHTS = "random"
"""Outputs that agree do so for any weights; training would take a minute."""

INT8 = f"{MODEL}-int8.tflite"
FLOAT32 = f"{MODEL}-float32.tflite"

Done = subprocess.CompletedProcess[str]

HASTY = "tests.device_bench.lab.hasty"

_QUICK = ("--threads=1", "--repeats=1", "--runs=3", "--min-seconds=0.05", "--no-memory", "--no-profile", "--check=2")
_PATIENCE_S = 60.0
_MARKS = ("--num_runs=", "--runs=")


def make_export(build: Path) -> None:
    """A small network in the files that the tests measure."""
    request = ExportRequest(
        spec=lookup(MODEL),
        dataset="digits",
        weights=WEIGHTS,
        precisions=(
            *select_precisions(("float32", "float16", "int8"), ("tflite",)),
            *select_precisions(("float32",), ("onnx",)),
        ),
        calibration_images=128,
        seed=0,
        output="probabilities",
        build_dir=build,
    )
    assert export_model(request, _silent).passed


@dataclass(slots=True, kw_only=True)
class Bench:
    """A folder with a finished export of its own, and the devices it is measured on."""

    folder: Path
    device: Callable[[str], LabPhone]
    phones: list[LabPhone] = field(default_factory=list)
    build_name: str = "build"
    program: str = "device_bench"
    """Module of the command line; `HASTY` gives silent devices up after seconds."""

    @property
    def build(self) -> Path:
        """Of `--build-dir`."""
        return self.folder / self.build_name

    @property
    def exported(self) -> Path:
        """Where the files to be measured lie."""
        return run_folder(self.build, MODEL, WEIGHTS)

    def phone(self, name: str) -> LabPhone:
        """A device, up and without faults, that must be left clean."""
        phone = self.device(name)
        if phone not in self.phones:
            self.phones.append(phone)
        return phone

    def command(self, phone: LabPhone | None, *words: str) -> list[str]:
        """The command line; `words` come last and win."""
        where = [f"--device={phone.serial}"] if phone else []
        fixed = [sys.executable, "-m", self.program, "bench", f"--model={MODEL}", f"--weights={WEIGHTS}"]
        return [*fixed, f"--build-dir={self.build}", *where, *_QUICK, *words]

    def environment(self, **variables: str) -> dict[str, str]:
        """Nothing of the user's but the adb server and the lab that the tests use."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **self.state, **variables}

    @property
    def state(self) -> dict[str, str]:
        """Locks and what is known of runs lie beside the build."""
        return {"XDG_STATE_HOME": str(self.folder / "state")}

    def run(self, phone: LabPhone | None, *words: str, timeout_s: float = 200, **variables: str) -> Done:
        """The finished command."""
        return subprocess.run(
            self.command(phone, *words), cwd=self.folder, env=self.environment(**variables), capture_output=True,
            stdin=subprocess.DEVNULL, encoding="utf-8", timeout=timeout_s, check=False,
        )  # fmt: skip

    def clean_up(self, phone: LabPhone) -> Done:
        """The finished command that removes what a benchmark left on a device."""
        return subprocess.run(
            [sys.executable, "-m", "device_bench", "cleanup", f"--device={phone.serial}"],
            cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    @contextmanager
    def start(self, phone: LabPhone | None, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """The command while it runs; nothing of it outlives the block."""
        with subprocess.Popen(
            self.command(phone, *words), cwd=self.folder, env=self.environment(**variables), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def records(self) -> list[BenchRecord]:
        """All records written, in order of time."""
        return [load_record(path) for path in self.record_files()]

    def record_files(self) -> list[Path]:
        """The files of those."""
        return sorted((self.exported / "bench").glob("*.json"))

    def record_of(self, phone: LabPhone) -> BenchRecord:
        """The only record of a device."""
        identity = hashlib.sha256(phone.serial.encode()).hexdigest()[:16]
        (record,) = [record for record in self.records() if record.target["identity"] == identity]
        return record

    def replace_file(self, name: str, content: bytes) -> None:
        """Puts something else in an exported file's place, and a manifest that says it is right."""
        path, manifest = self.exported / name, self.exported / "manifest.json"
        # A new file: the old one is shared with other tests.
        path.unlink()
        path.write_bytes(content)
        value = json.loads(manifest.read_text("utf-8"))
        (row,) = [row for row in value["artifacts"] if row["file"] == name]
        row.update(size_bytes=len(content), sha256=sha256_file(path))
        manifest.unlink()
        manifest.write_text(json.dumps(value), "utf-8")

    def check_clean(self) -> None:
        """Fails if anything is left on a device that was used, and removes it, so that only one test fails of it."""
        found = {}
        for phone in self.phones:
            phone.heal()
            found[phone.name] = (left_over(phone), running(phone))
            phone.shell("rm -rf /data/local/tmp/* || true")
        assert found == dict.fromkeys(found, ("", [])), f"left on the devices: {found}"


def copy_export(build: Path, to: Path) -> None:
    """The finished export in a folder of a test's own, without copying contents."""
    to.mkdir()
    shutil.copytree(run_folder(build, MODEL, WEIGHTS), run_folder(to, MODEL, WEIGHTS), copy_function=os.link)


def rows(done: Done, *, runner: str = "") -> list[str]:
    """Lines of the printed tables that tell of a case."""
    found = [line for line in done.stdout.splitlines() if line.split(".")[0] in ("float32", "float16", "int8")]
    return [line for line in found if runner in line]


def shows_times(row: str) -> bool:
    """Whether a line of the table has anything but dashes for median, p95, first and init."""
    return not re.search(r"(?:\s-){4}", re.sub(r"\s+", " ", row))


def assert_nothing_valid(done: Done, *records: BenchRecord) -> None:
    """No latency was shown or recorded as a result."""
    assert not any(shows_times(row) for row in rows(done)), done.stdout
    for record in records:
        assert not record.passed
        assert all(summary.failure for summary in record.summaries())


def assert_no_results(bench: Bench, done: Done) -> None:
    """It ended before anything was measured: no record, and no table."""
    assert bench.record_files() == []
    assert done.stdout == ""


def finish(process: subprocess.Popen[str]) -> Done:
    """What a command said until its end."""
    stdout, stderr = process.communicate(timeout=_PATIENCE_S * 2)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def measures(phone: LabPhone) -> bool:
    """Whether a runner is timing inferences on the device at this moment."""
    return any(word.startswith(_MARKS) for row in running(phone) for word in row)


def running(phone: LabPhone) -> list[list[str]]:
    """Command lines of all programs on the device but adbd."""
    found: list[dict[str, Any]] = phone.control("ps")
    return [row["argv"] for row in found if row["state"] != "Z" and not row["argv"][0].endswith("/adbd")]


def left_over(phone: LabPhone) -> str:
    """What lies where runs have their folders."""
    return phone.shell("ls -A /data/local/tmp")


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Returns when something has come about; fails if `process` ends before, or it takes too long."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _silent(_: Progress) -> None:
    """Takes progress and shows none."""
