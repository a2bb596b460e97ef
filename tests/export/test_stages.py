"""The processes of an export: one that crashes condemns its file only, and an end at any moment leaves nothing half."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from models.checkpoint import run_folder
from models.files import sha256_file

if TYPE_CHECKING:
    from tests.export.conftest import Cli, Network

ROOT = Path(__file__).parent.parent.parent


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256_file(p) if p.is_file() else "" for p in sorted(folder.rglob("*"))}


def assert_true(folder: Path) -> None:
    """No half file, and no manifest that lies."""
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    if (folder / "manifest.json").exists():
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        for artifact in manifest["artifacts"]:
            assert sha256_file(folder / artifact["file"]) == artifact["sha256"]
        assert sha256_file(folder / "labels.txt") == manifest["labels"]["sha256"]


# A file that its runtime refuses, end to end

SABOTAGE = """
import sys
from export.job import Job
from export.tflite_file import read_model, write_model

real = Job.make_files

def sabotage(job, *more):
    work = job.work
    failures = real(job, *more)
    rows = {row.name: row for row in job.request.precisions}
    for name, spoil in (("float16", no_kernel), ("dynamic_range", no_strides), ("int8_npu", flipped)):
        model = read_model(work.made(rows[name]).read_bytes())
        spoil(model)
        work.made(rows[name]).write_bytes(write_model(model))
    return failures

def no_kernel(model):  # LiteRT follows the null pointer
    image, _, bias = model.subgraphs[0].operators[1].inputs
    model.subgraphs[0].operators[1].inputs = [image, -1, bias]

def no_strides(model):  # refused
    model.subgraphs[0].operators[0].builtinOptions.strideW = 0

def flipped(model):  # computes nonsense
    for tensor in model.subgraphs[0].tensors:
        if len(tensor.shape) == 4 and model.buffers[tensor.buffer].data is not None:
            model.buffers[tensor.buffer].data = model.buffers[tensor.buffer].data[::-1].copy()

if __name__ == "__main__":
    Job.make_files = sabotage
    from export.__main__ import main
    from models.cli import run
    run(main)
"""


def test_files_that_crash_are_refused_or_compute_nonsense_fail_by_name_and_the_good_one_passes(
    trained: "Network", build_dir: Path, tmp_path: Path, run_script: "Cli"
) -> None:
    script = tmp_path / "sabotage.py"
    script.write_text(SABOTAGE)
    run = run_script(
        str(script), "run", "--model", trained.spec.name, "--build-dir", str(build_dir), "--format", "tflite",
        "--precision", "float32,float16,dynamic_range,int8_npu",
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    marks = {line.split()[0]: line.split()[-1] for line in run.stdout.splitlines() if " MB " in line}
    assert marks == {
        "float32.tflite": "passed", "float16.tflite": "FAILED", "dynamic_range.tflite": "FAILED",
        "int8_npu.tflite": "FAILED",
    }  # fmt: skip
    name = trained.spec.name
    # Which of the two depends on the kernels that LiteRT has for this processor.
    assert re.search(rf"failed {name}-float16\.tflite: .*( died \(signal SIGSEGV\)|refuses)", run.stdout)
    assert re.search(rf"failed {name}-dynamic_range\.tflite: LiteRT with XNNPACK refuses .*stride", run.stdout)
    assert re.search(rf"failed {name}-int8_npu\.tflite: top1_agreement is 0\.\d+, the limit is 0\.97", run.stdout)
    assert re.search(rf"failed {name}-int8_npu\.tflite: top1_drop is 0\.\d+, the limit is 0\.006", run.stdout)
    manifest = json.loads((run_folder(build_dir, name, "digits") / "manifest.json").read_text("utf-8"))
    assert [a["verification"]["passed"] for a in manifest["artifacts"]] == [True, False, False, False]
    assert_true(run_folder(build_dir, name, "digits"))


# An end at any moment

DYING = """
import os, signal, sys
import export.publish as publish

real, left = publish.replace_file, int(os.environ["LEFT"])

def replace_file(made, final):
    global left
    real(made, final)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    publish.replace_file = replace_file
    from export.__main__ import main
    from models.cli import run
    run(main)
"""

MOMENTS = ["test-pixels.npy", "float.tflite", "reference.npy", "made-float32.tflite", "made-int8.onnx"]
QUICK = [(signal.SIGINT, "float.tflite"), (signal.SIGKILL, "test-pixels.npy")]
SLOW = pytest.mark.slow
SMALL = ("--precision", "float32,int8", "--calibration-images", "32")


def started_with(marker: str) -> list[int]:
    """Processes that have the marker in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and marker.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def wait_for(condition: Callable[[], Any], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks for left processes in /proc")
@pytest.mark.parametrize(
    ("number", "moment"),
    [
        pytest.param(number, moment, id=f"{number.name}-{moment}", marks=() if (number, moment) in QUICK else SLOW)
        for number in (signal.SIGINT, signal.SIGKILL)
        for moment in MOMENTS
    ],
)
def test_an_end_at_any_moment_leaves_no_half_file_no_lie_and_no_process(
    number: signal.Signals, moment: str, published: Path, trained: "Network", cli: "Cli"
) -> None:
    before, marker = tree(published), str(uuid.uuid4())
    words = ["--model", trained.spec.name, "--build-dir", str(published.parent), *SMALL]
    process = subprocess.Popen(
        [sys.executable, "-m", "export", "run", *words], cwd=published.parent, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "EXPORT_TEST": marker}, start_new_session=True,
    )  # fmt: skip
    assert wait_for(lambda: list(published.glob(f".partial-*/{moment}")), 120)
    assert process.poll() is None, "the moment is over"
    if number == signal.SIGINT:
        # A terminal sends Ctrl-C to all processes.
        os.killpg(process.pid, number)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 130
        assert stderr.rstrip().endswith("interrupted: nothing was left half-written; the same command starts again")
        assert "Traceback" not in stderr
        assert tree(published) == before
    else:
        process.kill()
        process.communicate(timeout=20)
        whole = {name: digest for name, digest in tree(published).items() if not name.startswith(".partial-")}
        assert whole == before
    assert wait_for(lambda: not started_with(marker), 20), started_with(marker)
    again = cli(*words, "--format", "tflite")
    assert again.returncode in (0, 1), again.stderr
    assert [name for name in ("float32", "int8") if not list(published.glob(f"*-{name}.tflite"))] == []
    assert_true(published)


@pytest.mark.slow
@pytest.mark.parametrize("left", [1, 2])
def test_kill_while_publishing_leaves_no_manifest_that_lies(
    left: int, published: Path, trained: "Network", tmp_path: Path, run_script: "Cli", cli: "Cli"
) -> None:
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    words = ["--model", trained.spec.name, "--build-dir", str(published.parent), "--format", "tflite", *SMALL]
    assert run_script(str(script), "run", *words, LEFT=str(left)).returncode == -signal.SIGKILL
    assert not (published / "manifest.json").exists()
    again = cli(*words)
    assert again.returncode in (0, 1), again.stderr
    assert_true(published)
