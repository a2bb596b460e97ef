"""Nothing that runs here or on a device reports to anybody: ONNX Runtime does, unless it is told not to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device_bench.runners.loop import SCRIPT

ROOT = Path(__file__).parents[1]
LOAD = "import sys; import onnxruntime; assert 'onnxruntime' in sys.modules"


def left_by(folder: Path, *words: str) -> list[str]:
    """Files that a program leaves where ONNX Runtime keeps what it is about to report."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    environment |= {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_onnx_runtime_left_alone_would_report(tmp_path: Path) -> None:
    # The other tests prove nothing once this fails: then look where it keeps its files now.
    assert "deviceid" in left_by(tmp_path, "-c", LOAD)


@pytest.mark.parametrize("package", ["models", "export", "device_bench"])
def test_our_programs_do_not_let_it(tmp_path: Path, package: str) -> None:
    assert left_by(tmp_path, "-c", f"import {package}; {LOAD}") == []


def test_neither_does_the_timed_loop_on_a_device(tmp_path: Path) -> None:
    assert left_by(tmp_path, str(SCRIPT), "--package=onnxruntime", "--probe") == []
