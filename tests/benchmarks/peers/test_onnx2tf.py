"""Programs of another environment: what stands in their way is told apart from what they say, and none outlives us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.peers import onnx2tf
from models.errors import ConversionError, NotInstalledError, WorkerError

ROOT = Path(__file__).parents[3]


def test_without_uv_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match=r"made by uv, which is not there; install uv$"):
        onnx2tf.program()


def test_an_installation_that_fails_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\necho no such network >&2\nexit 2\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(NotInstalledError, match=r"^onnx2tf cannot be installed: uv ended with 2: no such network; "):
        onnx2tf.program()


def test_the_last_line_is_told_and_a_failure_is_one(tmp_path: Path) -> None:
    assert onnx2tf.run_bound(["sh", "-c", "echo first; echo last"], tmp_path) == "last"
    with pytest.raises(ConversionError, match=r"^sh ended with 3: reason$"):
        onnx2tf.run_bound(["sh", "-c", "echo reason >&2; exit 3"], tmp_path)
    with pytest.raises(WorkerError, match=r"^sh was killed by signal 9; "):
        onnx2tf.run_bound(["sh", "-c", "kill -9 $$"], tmp_path)


def test_what_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx2tf, "LIMIT_S", 0.5)
    with pytest.raises(WorkerError, match=r"^sleep had not ended after 0.5 s; "):
        onnx2tf.run_bound(["sleep", "60"], tmp_path)


PARENT = """
import sys
from pathlib import Path
from benchmarks.peers import onnx2tf
from models.worker import run_in_worker

def work(report, folder):
    onnx2tf.run_bound(["sh", "-c", "echo $$ > pid; mv pid started; exec sleep 60"], folder)

if __name__ == "__main__":
    run_in_worker(work, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_program_ends_with_the_run_that_started_it(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", tmp_path],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as parent:
        assert wait_for((tmp_path / "started").exists, 20)
        child = int((tmp_path / "started").read_text())
        try:
            if number == signal.SIGINT:
                os.killpg(parent.pid, number)
            else:
                parent.send_signal(number)
            parent.wait(20)
            assert wait_for(lambda: not running(child), 5)
        finally:
            if running(child):
                os.kill(child, signal.SIGKILL)


def running(pid: int) -> bool:
    """Whether there is such a process that is more than an entry in the table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], limit_s: float) -> bool:
    ends = time.monotonic() + limit_s
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    return condition()
